"""Who waits for an event hears the one that he means, or that none will come."""

from __future__ import annotations

import asyncio

import pytest

from imsphone.events import Deregistered, RegistrationFailed, TextDelivered
from imsphone.waiting import Audience, within


async def test_the_first_of_its_kinds() -> None:
    audience = Audience()
    first, second = Deregistered(at=1.0, impu="a"), Deregistered(at=2.0, impu="b")
    with audience.watch(Deregistered) as watch:
        for event in (TextDelivered(at=0.0, text="a", status=200), first, second):
            audience.tell(event)
        assert await watch.first() is first
    audience.tell(second)  # nobody listens any more


async def test_the_text_that_is_meant() -> None:
    audience = Audience()
    one, other = TextDelivered(at=0.0, text="one", status=200), TextDelivered(at=0.0, text="other", status=200)
    with audience.watch(TextDelivered, text="other") as watch, audience.watch(TextDelivered) as whichever:
        audience.tell(one)
        audience.tell(other)
        assert await watch.first() is other
        assert await whichever.first() is one


async def test_a_failure_that_is_not_the_last_word() -> None:
    audience = Audience()
    last = RegistrationFailed(at=1.0, cause="timeout", sentence="no")
    with audience.watch(RegistrationFailed) as watch:
        audience.tell(RegistrationFailed(at=0.0, cause="timeout", sentence="yet", is_final=False))
        audience.tell(last)
        assert await watch.first() is last


async def test_none_will_come() -> None:
    audience = Audience()
    with audience.watch(Deregistered) as watch:
        audience.fail(ValueError("a bug"))
        with pytest.raises(ValueError, match="a bug"):
            await watch.first()


async def test_not_for_ever() -> None:
    with pytest.raises(TimeoutError, match=r"no text came in within 0\.01 s"):
        await within(0.01, asyncio.Event().wait(), "no text came in")
