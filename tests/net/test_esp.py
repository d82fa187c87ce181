"""ESP on real raw sockets: loopback, where this user may open them."""

from __future__ import annotations

import asyncio

import pytest

from imsphone.errors import NetworkError
from imsphone.machine import Address, Flow
from imsphone.net.esp import EspWire, raw_socket
from imsphone.net.privilege import ENVIRONMENT, open_raw


def may_open_raw() -> bool:
    try:
        open_raw("127.0.0.1").close()
    except PermissionError:
        return False
    return True


needs_raw = pytest.mark.skipif(not may_open_raw(), reason="raw sockets need CAP_NET_RAW: run these as root")


def esp(local: str, remote: str) -> Flow:
    return Flow("ESP", Address(local, 0), Address(remote, 0))


@needs_raw
@pytest.mark.parametrize(("one", "other"), [("127.0.0.5", "127.0.0.6"), ("::1", "::1")])
@pytest.mark.parametrize("length", [8, 1400, 9000])
async def test_a_packet_arrives_as_it_left(one: str, other: str, length: int) -> None:
    arrived: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue()
    sender = EspWire(one, lambda data, flow: None)
    receiver = EspWire(other, lambda data, flow: arrived.put_nowait((data, flow)))
    packet = bytes(range(256)) * 40
    try:
        sender.send(packet[:length], esp(one, other))
        data, flow = await asyncio.wait_for(arrived.get(), 5.0)
    finally:
        sender.close()
        receiver.close()
    assert data == packet[:length]
    assert flow == esp(other, one)


@needs_raw
async def test_what_cannot_be_sent_is_lost() -> None:
    wire = EspWire("127.0.0.5", lambda data, flow: None)
    wire.send(bytes(70_000), esp("127.0.0.5", "127.0.0.6"))
    wire.close()


@needs_raw
def test_a_foreign_address_is_one_sentence() -> None:
    with pytest.raises(NetworkError, match="no address of this host"):
        raw_socket("192.0.2.1")


@pytest.mark.skipif(may_open_raw(), reason="this user may open raw sockets: run this as an ordinary one")
def test_without_the_privilege_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "/nonexistent")
    with pytest.raises(NetworkError, match="imsphone-sa"):
        raw_socket("127.0.0.1")
