"""How a phone's participles wait: for an event that has not happened yet, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from imsphone.events import Event, RegistrationFailed

T = TypeVar("T")


class Watch:
    """Listens for the first event of some kinds while a `with` lasts, so that none can slip by.

    `on` is `Phone.on`; while it listens it is among `watches`. With `text` only events of the text of this key count.
    """

    def __init__(
        self,
        on: Callable[[Callable[[Event], None]], Callable[[], None]],
        watches: set[Watch],
        kinds: tuple[type[Event], ...],
        text: str = "",
    ) -> None:
        self._on = on
        self._watches = watches
        self._kinds = kinds
        self._text = text
        self._found: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> Self:
        self._stop = self._on(self._hear)
        self._watches.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._watches.discard(self)
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
