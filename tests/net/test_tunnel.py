"""The kernel's TCP behind a device: two tunnels whose segments are handed over as they are."""

from __future__ import annotations

import asyncio

import pytest

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys
from imsphone.machine import Flow
from imsphone.net.privilege import ENVIRONMENT
from imsphone.net.tunnel import Tunnel, tun_for
from tests.net.test_tun import needs_tun, refuse

PHONE, PCSCF = "127.0.0.5", "127.0.0.6"
OURS, THEIRS = Ends(1256, 1257, 40001, 40002), Ends(1300, 1301, 5100, 6100)
KEYS = Keys.of(SUITES[0], bytes(16), bytes(range(16)))
HELD = Associations(SUITES[0], PHONE, PCSCF, OURS, THEIRS, KEYS)
MIRRORED = Associations(SUITES[0], PCSCF, PHONE, THEIRS, OURS, KEYS)
LONG = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 5000\r\n\r\n" + bytes(5000)


class End:
    """One end, and what came out of it."""

    def __init__(self, host: str) -> None:
        self.messages: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue()
        self.lost: asyncio.Queue[Flow] = asyncio.Queue()
        self.other: End | None = None
        self.segments: list[bytes] = []
        arrived = self.messages.put_nowait
        self.tunnel = Tunnel(host, self._pass, lambda data, flow: arrived((data, flow)), self.lost.put_nowait)

    def _pass(self, segment: bytes, flow: Flow) -> None:
        self.segments.append(segment)
        if self.other is not None:
            self.other.tunnel.write(segment, Flow("TCP", flow.remote, flow.local))


@needs_tun
async def test_messages_cross_between_the_very_ports_both_ways() -> None:
    phone, pcscf = End(PHONE), End(PCSCF)
    phone.other, pcscf.other = pcscf, phone
    try:
        phone.tunnel.open(HELD)
        pcscf.tunnel.open(MIRRORED)
        flow = Flow("TCP", HELD.own_client, HELD.peer_server)
        phone.tunnel.send(LONG, flow)
        data, arrived = await asyncio.wait_for(pcscf.messages.get(), 5.0)
        assert (data, arrived) == (LONG, Flow("TCP", HELD.peer_server, HELD.own_client))
        assert max(map(len, phone.segments)) <= 1260  # an ESP packet with it is not cut
        pcscf.tunnel.send(LONG, arrived)  # the answer on the same connection
        assert await asyncio.wait_for(phone.messages.get(), 5.0) == (LONG, flow)
        call = Flow("TCP", MIRRORED.own_client, MIRRORED.peer_server)
        pcscf.tunnel.send(LONG, call)
        assert (await asyncio.wait_for(phone.messages.get(), 5.0))[1] == Flow("TCP", *call[:0:-1])
        phone.tunnel.shut(HELD, set())
        assert {await asyncio.wait_for(pcscf.lost.get(), 5.0) for _ in range(2)} == {arrived, call}
        phone.tunnel.send(LONG, flow)
        assert await asyncio.wait_for(phone.lost.get(), 5.0) == flow
    finally:
        phone.tunnel.close()
        pcscf.tunnel.close()


@needs_tun
async def test_from_elsewhere_nothing_reaches_a_protected_port() -> None:
    """TS 33.203 7.4."""
    phone = End(PHONE)
    try:
        phone.tunnel.open(HELD)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(PHONE, OURS.port_s)
    finally:
        phone.tunnel.close()


async def test_without_the_privilege_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.net.tunnel.open_tun", refuse)
    monkeypatch.setenv(ENVIRONMENT, "/nonexistent")
    with pytest.raises(NetworkError, match=r"CAP_NET_ADMIN.*imsphone-sa"):
        tun_for("127.0.0.1")
