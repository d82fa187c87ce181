"""The kernel's route decides which address is ours, and a change of it is noticed."""

from __future__ import annotations

import asyncio

import pytest

from imsphone.machine import Address, Flow
from imsphone.net.addresses import local_host
from imsphone.net.whereabouts import Whereabouts

PCSCF = Address("127.0.10.10", 5060)


async def looked(flow: Flow | None) -> bool:
    """Whether a look finds that the address of this flow is another now."""
    seen, moved = asyncio.Event(), asyncio.Event()

    def way() -> Flow | None:
        if seen.is_set():
            done.set()
        seen.set()
        return flow

    done = asyncio.Event()
    whereabouts = Whereabouts(way, moved.set, check_s=0.001)
    await asyncio.wait_for(done.wait(), 10)  # the second look begins: the first is over
    whereabouts.close()
    return moved.is_set()


@pytest.mark.parametrize(("host", "has_moved"), [("127.0.10.99", True), ("", False)])
async def test_an_address_that_no_route_names_is_one_that_was(host: str, has_moved: bool) -> None:
    ours = Address(host or local_host(PCSCF.host) or "", 5060)
    assert await looked(Flow("UDP", ours, PCSCF)) is has_moved


async def test_without_a_way_or_a_route_there_is_nothing_to_notice() -> None:
    assert not await looked(None)
    assert not await looked(Flow("UDP", Address("127.0.0.1", 5060), Address("pcscf.invalid", 5060)))
