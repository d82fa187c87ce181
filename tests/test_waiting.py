"""Who waits for an event hears the one that he means, or that none will come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from imsphone.events import Deregistered, Event, RegistrationFailed, TextDelivered
from imsphone.waiting import Watch, within


class Source:
    """Something that tells events, as a phone does."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[Event], None]] = []
        self.watches: set[Watch] = set()

    def on(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def watch(self, *kinds: type[Event], text: str = "") -> Watch:
        return Watch(self.on, self.watches, kinds, text)

    def tell(self, *events: Event) -> None:
        for event in events:
            for listener in self.listeners:
                listener(event)


async def test_the_first_of_its_kinds() -> None:
    source = Source()
    first, second = Deregistered(at=1.0, impu="a"), Deregistered(at=2.0, impu="b")
    with source.watch(Deregistered) as watch:
        source.tell(TextDelivered(at=0.0, text="a", status=200), first, second)
        assert await watch.first() is first
    assert not source.listeners
    assert not source.watches


async def test_the_text_that_is_meant() -> None:
    source = Source()
    one, other = TextDelivered(at=0.0, text="one", status=200), TextDelivered(at=0.0, text="other", status=200)
    with source.watch(TextDelivered, text="other") as watch, source.watch(TextDelivered) as whichever:
        source.tell(one, other)
        assert await watch.first() is other
        assert await whichever.first() is one


async def test_a_failure_that_is_not_the_last_word() -> None:
    source = Source()
    last = RegistrationFailed(at=1.0, cause="timeout", sentence="no")
    with source.watch(RegistrationFailed) as watch:
        source.tell(RegistrationFailed(at=0.0, cause="timeout", sentence="yet", is_final=False), last)
        assert await watch.first() is last


async def test_none_will_come() -> None:
    source = Source()
    with source.watch(Deregistered) as watch:
        for waiting in source.watches:
            waiting.fail(ValueError("a bug"))
        with pytest.raises(ValueError, match="a bug"):
            await watch.first()


async def test_not_for_ever() -> None:
    with pytest.raises(TimeoutError, match=r"no text came in within 0\.01 s"):
        await within(0.01, asyncio.Event().wait(), "no text came in")
