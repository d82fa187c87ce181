"""What every way of protection has to offer, so that the driver need not know which one it has."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys
from imsphone.machine import Address, Flow, Ids
from imsphone.net.driver import Driver
from imsphone.net.kernel import KernelEsp
from imsphone.net.protection import Outlets, Protection
from imsphone.net.sealing import Sealing
from imsphone.sip.timers import RFC_3261
from imsphone.sip.transactions import Transactions

WAYS: list[Callable[[Outlets], Protection]] = [Sealing, KernelEsp]
HELD = Associations(
    SUITES[0], "127.0.0.5", "127.0.0.6", Ends(1256, 1257, 40301, 40302), Ends(1300, 1301, 5100, 6100),
    Keys.of(SUITES[0], bytes(16), bytes(16)),
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
async def test_unused_it_guards_nothing_counts_nothing_and_ends(way: Callable[[Outlets], Protection]) -> None:
    driver = Driver(Transactions(Ids(b"x"), RFC_3261), name="phone", protection=way)
    assert driver.protection.counted() == []
    local = driver.bind("127.0.0.1")
    assert not driver.protection.guards(Flow("UDP", local, Address("127.0.0.2", 5060)))
    await driver.close()


@pytest.mark.parametrize("way", WAYS)
async def test_where_it_cannot_protect_it_says_why_and_guards_nothing(way: Callable[[Outlets], Protection]) -> None:
    """The kernel's never can within one host, and our own cannot without a raw socket."""
    lost: list[Flow] = []
    protection = way(Outlets(lambda data, flow: None, lost.append, lambda *_: None))
    flow = Flow("UDP", HELD.own_client, HELD.peer_server)
    why = ""
    try:
        transports = protection.protect(HELD)
    except NetworkError as error:
        why = str(error)
    if why:
        assert re.search(r"ipsec_by|imsphone-sa|modules", why)
        assert not protection.guards(flow)
        assert protection.counted() == []
    else:
        assert "UDP" in transports
        assert protection.guards(flow)
        protection.prolong(HELD, 60.0)
        protection.release(HELD)
        protection.send(b"", flow)
        await asyncio.sleep(0)
        assert lost == [flow]
        assert protection.guards(flow)
    protection.close()
