"""ESP made by this program, on real raw sockets: two ends on loopback."""

from __future__ import annotations

import asyncio

import pytest

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys
from imsphone.machine import Flow
from imsphone.net.privilege import ENVIRONMENT
from imsphone.net.protection import Outlets
from imsphone.net.sealing import Sealing
from tests.net.test_esp import needs_raw
from tests.net.test_tun import needs_tun, refuse

PHONE, PCSCF = "127.0.0.5", "127.0.0.6"
OURS, THEIRS = Ends(1256, 1257, 40001, 40002), Ends(1300, 1301, 5100, 6100)
KEYS = Keys.of(SUITES[0], bytes(16), bytes(range(16)))
HELD = Associations(SUITES[0], PHONE, PCSCF, OURS, THEIRS, KEYS)
MIRRORED = Associations(SUITES[0], PCSCF, PHONE, THEIRS, OURS, KEYS)


class End:
    """One end, and what came out of it."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue()
        self.lost: asyncio.Queue[Flow] = asyncio.Queue()
        self.noted: list[tuple[str, str, bool]] = []
        self.sealing = Sealing(
            Outlets(
                lambda data, flow: self.messages.put_nowait((data, flow)),
                self.lost.put_nowait,
                lambda direction, flow, data, is_protected: self.noted.append(
                    (direction, flow.transport, is_protected)
                ),
            )
        )


@needs_raw
async def test_a_message_crosses_and_both_ends_note_it_beside_its_packet() -> None:
    phone, pcscf = End(), End()
    try:
        phone.sealing.protect(HELD)
        pcscf.sealing.protect(MIRRORED)
        flow = Flow("UDP", HELD.own_client, HELD.peer_server)
        assert phone.sealing.guards(flow)
        phone.sealing.send(b"REGISTER", flow)
        data, arrived = await asyncio.wait_for(pcscf.messages.get(), 5.0)
        assert (data, arrived) == (b"REGISTER", Flow("UDP", HELD.peer_server, HELD.own_client))
        assert phone.noted == [("sent", "UDP", True), ("sent", "ESP", False)]
        assert pcscf.noted == [("received", "ESP", False), ("received", "UDP", True)]
        phone.sealing.release(HELD)
        phone.sealing.send(b"REGISTER", flow)  # never in the clear instead
        assert await asyncio.wait_for(phone.lost.get(), 5.0) == flow
        assert phone.sealing.guards(flow)
    finally:
        phone.sealing.close()
        pcscf.sealing.close()


LONG = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 5000\r\n\r\n" + bytes(5000)


@needs_raw
@needs_tun
async def test_a_message_over_tcp_crosses_in_packets_that_are_not_cut() -> None:
    phone, pcscf = End(), End()
    try:
        assert phone.sealing.protect(HELD) == pcscf.sealing.protect(MIRRORED) == ("UDP", "TCP")
        flow = Flow("TCP", HELD.own_client, HELD.peer_server)
        phone.sealing.send(LONG, flow)
        data, arrived = await asyncio.wait_for(pcscf.messages.get(), 5.0)
        assert (data, arrived) == (LONG, Flow("TCP", HELD.peer_server, HELD.own_client))
        assert phone.noted[0] == ("sent", "TCP", True)
        assert set(phone.noted[1:]) == {("sent", "ESP", False), ("received", "ESP", False)}
        # the P-CSCF calls from server port to server port, which the associations know as from port_pc to port_us
        call = Flow("TCP", MIRRORED.own_server, MIRRORED.peer_server)
        pcscf.sealing.send(LONG, call)
        data, arrived = await asyncio.wait_for(phone.messages.get(), 5.0)
        assert (data, arrived) == (LONG, Flow("TCP", HELD.own_server, HELD.peer_client))
        phone.sealing.release(HELD)
        lost = {await asyncio.wait_for(pcscf.lost.get(), 5.0) for _ in range(3)}
        assert call in lost  # told as its asker knows it
    finally:
        phone.sealing.close()
        pcscf.sealing.close()


@needs_raw
@needs_tun
async def test_the_end_of_an_old_connection_is_not_that_of_the_new_one() -> None:
    ours, theirs = Ends(1258, 1259, 40003, 40002), Ends(1302, 1303, 5101, 6100)
    newer = Associations(SUITES[0], PHONE, PCSCF, ours, theirs, KEYS)
    phone, pcscf = End(), End()
    call = Flow("TCP", HELD.peer_server, HELD.own_server)
    try:
        for held, mirrored in (
            (HELD, MIRRORED),
            (newer, Associations(SUITES[0], PCSCF, PHONE, theirs, ours, KEYS)),
        ):
            phone.sealing.protect(held)
            pcscf.sealing.protect(mirrored)
            phone.sealing.send(LONG, Flow("TCP", held.own_client, held.peer_server))
            await asyncio.wait_for(pcscf.messages.get(), 5.0)
            pcscf.sealing.send(LONG, call)
            _, arrived = await asyncio.wait_for(phone.messages.get(), 5.0)
            assert arrived.remote == held.peer_client
        phone.sealing.release(HELD)
        lost = {await asyncio.wait_for(pcscf.lost.get(), 5.0) for _ in range(2)}
        assert {flow.remote for flow in lost} == {HELD.own_client, HELD.own_server}
        assert call not in lost
    finally:
        phone.sealing.close()
        pcscf.sealing.close()


@needs_raw
async def test_without_a_device_there_is_udp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.net.tunnel.open_tun", refuse)
    monkeypatch.setenv(ENVIRONMENT, "/nonexistent")
    phone = End()
    try:
        assert phone.sealing.protect(HELD) == ("UDP",)
        flow = Flow("TCP", HELD.own_client, HELD.peer_server)
        phone.sealing.send(b"REGISTER", flow)
        assert await asyncio.wait_for(phone.lost.get(), 5.0) == flow
        assert phone.noted == [("sent", "TCP", True)]
    finally:
        phone.sealing.close()


async def test_without_the_privilege_protect_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.net.esp.open_raw", refuse)
    monkeypatch.setenv(ENVIRONMENT, "/nonexistent")
    with pytest.raises(NetworkError, match="imsphone-sa"):
        End().sealing.protect(HELD)
