"""Sockets at protected ports, with a ledger in the kernel's place: in what order, from whom, to whom.

With a kernel that knows ESP: tests/interop/test_kernel_protection.py.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Iterator

import pytest

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys
from imsphone.ipsec.shield import Passed
from imsphone.machine import Address, Flow, Transport
from imsphone.net.kernel import TRIAL_S, KernelEsp
from imsphone.net.protection import Outlets
from tests.net.ledger import Ledger

PHONE, PCSCF = "127.0.11.5", "127.0.11.6"
KEYS = Keys.of(SUITES[0], bytes(16), bytes(range(16)))
HELD = Associations(SUITES[0], PHONE, PCSCF, Ends(1256, 1257, 40101, 40102), Ends(1300, 1301, 5101, 6101), KEYS)
NEXT = dataclasses.replace(HELD, own=Ends(1258, 1259, 40103, 40102), peer=Ends(1302, 1303, 5102, 6101))
MESSAGE = b"MESSAGE sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n"
BOTH: tuple[Transport, ...] = ("UDP", "TCP")


def mirrored(held: Associations) -> Associations:
    return Associations(held.suite, held.peer_host, held.own_host, held.peer, held.own, held.keys)


class End:
    """One end, and what came out of it."""

    def __init__(self, most: int = 16) -> None:
        self.ledger = Ledger(most)
        self.messages: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue()
        self.lost: asyncio.Queue[Flow] = asyncio.Queue()
        self.noted: list[tuple[str, str, bool]] = []
        outlets = Outlets(
            lambda *message: self.messages.put_nowait(message),
            self.lost.put_nowait,
            lambda direction, flow, data, is_protected: self.noted.append((direction, flow.transport, is_protected)),
        )
        self.kernel = KernelEsp(outlets, lambda: self.ledger)

    async def next(self) -> Flow:
        return (await asyncio.wait_for(self.messages.get(), 5.0))[1]


@pytest.fixture
async def ends() -> Iterator[tuple[End, End]]:  # type: ignore[misc]
    phone, pcscf = End(), End()
    for held in (HELD, NEXT):
        phone.kernel.protect(held)
        pcscf.kernel.protect(mirrored(held))
    yield phone, pcscf
    phone.kernel.close()
    pcscf.kernel.close()


@pytest.mark.parametrize("transport", BOTH)
async def test_a_message_has_the_ports_of_its_association(ends: tuple[End, End], transport: Transport) -> None:
    phone, pcscf = ends
    phone.kernel.send(MESSAGE, Flow(transport, HELD.own_client, HELD.peer_server))
    assert await pcscf.next() == Flow(transport, HELD.peer_server, HELD.own_client)
    assert (phone.noted, pcscf.noted) == ([("sent", transport, True)], [("received", transport, True)])
    pcscf.kernel.send(MESSAGE, Flow(transport, HELD.peer_client, HELD.own_server))
    assert await phone.next() == Flow(transport, HELD.own_server, HELD.peer_client)


@pytest.mark.parametrize("held", [HELD, NEXT])
async def test_from_server_port_to_server_port_the_set_that_was_last_heard_on_is_taken(
    ends: tuple[End, End], held: Associations
) -> None:
    phone, pcscf = ends
    phone.kernel.send(MESSAGE, Flow("UDP", held.own_client, held.peer_server))
    await pcscf.next()
    pcscf.kernel.send(MESSAGE, Flow("UDP", held.peer_server, held.own_server))
    assert await phone.next() == Flow("UDP", held.own_server, held.peer_client)


async def test_what_comes_from_a_strangers_port_is_nobodys(ends: tuple[End, End]) -> None:
    phone, pcscf = ends
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((PCSCF, 0))
        stranger.sendto(MESSAGE, HELD.own_server)
        stranger.sendto(MESSAGE, HELD.own_client)
    pcscf.kernel.send(MESSAGE, Flow("UDP", HELD.peer_client, HELD.own_server))
    assert (await phone.next()).remote == HELD.peer_client
    assert phone.messages.empty()


async def test_the_old_set_takes_its_port_along_and_the_new_one_keeps_the_port_of_both(ends: tuple[End, End]) -> None:
    phone, pcscf = ends
    pcscf.kernel.send(MESSAGE, Flow("TCP", HELD.peer_client, HELD.own_server))
    await phone.next()
    phone.kernel.release(HELD)
    old = Flow("UDP", HELD.own_client, HELD.peer_server)
    phone.kernel.send(MESSAGE, old)
    assert await asyncio.wait_for(phone.lost.get(), 5.0) == old
    assert phone.kernel.guards(old)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(HELD.own_client)
    assert await asyncio.wait_for(pcscf.lost.get(), 5.0) == Flow("TCP", HELD.peer_client, HELD.own_server)
    pcscf.kernel.send(MESSAGE, Flow("UDP", HELD.peer_client, HELD.own_server))
    pcscf.kernel.send(MESSAGE, Flow("UDP", NEXT.peer_client, NEXT.own_server))
    assert (await phone.next()).remote == NEXT.peer_client
    assert list(phone.ledger.held) == [NEXT]


async def test_what_the_kernel_has_forgotten_is_over_here_too() -> None:
    phone = End()
    phone.kernel.protect(HELD)
    assert phone.ledger.held == {HELD: TRIAL_S}
    phone.kernel.prolong(HELD, 0.05)
    assert phone.ledger.held == {HELD: 0.05}
    async with asyncio.timeout(5.0):
        while phone.ledger.held:
            await asyncio.sleep(0.01)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(HELD.own_client)
    phone.kernel.close()
    assert phone.ledger.acts == ["add", "prolong", "remove", "close"]


async def test_a_port_that_is_taken_leaves_nothing_in_the_kernel() -> None:
    phone = End()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(HELD.own_server)
        with pytest.raises(NetworkError, match="taken by another program"):
            phone.kernel.protect(HELD)
    assert not phone.ledger.held
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(HELD.own_client)
    phone.kernel.close()


async def test_what_the_kernel_refuses_opens_no_port() -> None:
    phone = End(most=0)
    with pytest.raises(NetworkError, match="full"):
        phone.kernel.protect(HELD)
    assert not phone.kernel.guards(Flow("UDP", HELD.own_client, HELD.peer_server))
    assert phone.kernel.counted() == []
    phone.kernel.close()


async def test_it_tells_what_the_kernel_has_counted(ends: tuple[End, End]) -> None:
    phone, _ = ends
    assert {(one.packets, one.forged, one.replayed) for one in phone.kernel.counted()} == {(3, 2, 1)}
    assert len(phone.kernel.counted()) == 4
    assert phone.kernel.passed(HELD) == Passed(sent=0, opened=6, forged=4, replayed=2)
    phone.kernel.release(HELD)
    assert phone.kernel.passed(HELD) == Passed()


async def test_address_of_nobody() -> None:
    phone = End()
    assert not phone.kernel.guards(Flow("UDP", Address(PHONE, 5060), Address(PCSCF, 5060)))
    phone.kernel.close()
