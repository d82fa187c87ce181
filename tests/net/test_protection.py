"""What every way of protection has to offer, so that the driver need not know which one it has."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imsphone.machine import Address, Flow, Ids
from imsphone.net.driver import Driver
from imsphone.net.protection import Outlets, Protection
from imsphone.net.sealing import Sealing
from imsphone.sip.timers import RFC_3261
from imsphone.sip.transactions import Transactions

WAYS: list[Callable[[Outlets], Protection]] = [Sealing]


@pytest.mark.parametrize("way", WAYS)
async def test_unused_it_guards_nothing_counts_nothing_and_ends(way: Callable[[Outlets], Protection]) -> None:
    driver = Driver(Transactions(Ids(b"x"), RFC_3261), name="phone", protection=way)
    assert driver.protection.counted() == []
    local = driver.bind("127.0.0.1")
    assert not driver.protection.guards(Flow("UDP", local, Address("127.0.0.2", 5060)))
    await driver.close()
