"""How a phone's participles wait: for an event that has not happened yet, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self, TypeVar

from imsphone.events import Event, RegistrationFailed

E = TypeVar("E", bound=Event)
T = TypeVar("T")


class Audience:
    """Whoever listens to one phone's events, and whoever waits for one of them."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self._watches: set[Watch] = set()

    def on(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Calls `listener` with every event; gives a function that ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def events(self) -> AsyncIterator[Event]:
        """Every event from now on, without end."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        stop = self.on(queue.put_nowait)
        try:
            while True:
                yield await queue.get()
        finally:
            stop()

    async def until(self, kind: type[E], timeout: float | None = None) -> E:
        """The next event of this kind. Raises TimeoutError."""
        with self.watch(kind) as watch:
            event = await within(timeout, watch.first(), f"{kind.__name__} did not happen")
        assert isinstance(event, kind)
        return event

    def watch(self, *kinds: type[Event], text: str = "") -> Watch:
        """Listens for the first event of these kinds; with `text` only events of the text of this key count."""
        return Watch(self, kinds, text)

    def tell(self, event: Event) -> None:
        """It has happened."""
        for listener in list(self._listeners):
            listener(event)

    def fail(self, error: Exception) -> None:
        """A bug of ours cost an event: who waits for it must not wait for ever."""
        for watch in self._watches:
            watch.fail(error)


class Watch:
    """Listens for the first event of some kinds while a `with` lasts, so that none can slip by."""

    def __init__(self, audience: Audience, kinds: tuple[type[Event], ...], text: str) -> None:
        self._audience = audience
        self._kinds = kinds
        self._text = text
        self._found: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> Self:
        self._stop = self._audience.on(self._hear)
        self._audience._watches.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._audience._watches.discard(self)
        self._found.cancel()

    def fail(self, error: Exception) -> None:
        """No event will come."""
        if not self._found.done():
            self._found.set_exception(error)

    def _hear(self, event: Event) -> None:
        is_final = not isinstance(event, RegistrationFailed) or event.is_final
        is_meant = not self._text or getattr(event, "text", "") == self._text
        if isinstance(event, self._kinds) and is_final and is_meant and not self._found.done():
            self._found.set_result(event)

    async def first(self) -> Event:
        """That event. Raises what `fail` was given."""
        return await self._found


async def within(timeout_s: float | None, awaited: Coroutine[Any, Any, T], what: str) -> T:
    """Its result, or TimeoutError with a sentence."""
    try:
        return await asyncio.wait_for(awaited, timeout_s)
    except TimeoutError:
        raise TimeoutError(f"{what} within {timeout_s:g} s") from None
