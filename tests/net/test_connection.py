from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from imsphone.machine import Address, Flow
from imsphone.net import connection as connection_module
from imsphone.net.connection import Connection

HERE, THERE = "127.0.10.103", "127.0.10.104"
SIP = b"OPTIONS sip:bob@ims.example SIP/2.0\r\nContent-Length: 0\r\n\r\n"


class Log:
    """What a connection called back, in order."""

    def __init__(self) -> None:
        self.entries: asyncio.Queue[object] = asyncio.Queue()

    def message(self, data: bytes, flow: Flow) -> None:
        self.entries.put_nowait(data)

    def end(self, connection: Connection) -> None:
        self.entries.put_nowait("ended")

    async def next(self) -> object:
        return await asyncio.wait_for(self.entries.get(), 5)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((THERE, 0)) as sock:
        yield sock


def flow_to(sock: socket.socket) -> Flow:
    return Flow("TCP", Address(HERE, 5060), Address(*sock.getsockname()))


async def test_what_is_written_before_it_stands_goes_first(listener: socket.socket) -> None:
    log = Log()
    connection = Connection.opened(flow_to(listener), log.message, log.end)
    connection.write(b"one ")
    connection.write(b"two ")
    listener.setblocking(False)
    peer, source = await asyncio.get_running_loop().sock_accept(listener)
    assert source[0] == HERE
    with peer:
        peer.sendall(SIP)
        assert await log.next() == SIP
        connection.write(b"three")
        assert await asyncio.get_running_loop().sock_recv(peer, 100) in (b"one two three", b"one two ")
    assert await log.next() == "ended"


async def test_a_message_in_pieces_is_one_message(listener: socket.socket) -> None:
    log = Log()
    connection = Connection.opened(flow_to(listener), log.message, log.end)
    listener.setblocking(False)
    peer, _ = await asyncio.get_running_loop().sock_accept(listener)
    with peer:
        for octet in SIP + SIP:
            peer.send(bytes((octet,)))
            await asyncio.sleep(0)
        assert [await log.next(), await log.next()] == [SIP, SIP]
    connection.close()


async def test_nobody_answers_the_syn(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "CONNECT_S", 0.05)
    listener.listen(0)
    with socket.create_connection(listener.getsockname()):  # the one place in the queue; Linux drops further SYNs
        log = Log()
        connections = [Connection.opened(flow_to(listener), log.message, log.end) for _ in range(3)]
        assert await log.next() == "ended"
        for connection in connections:
            connection.close()


async def test_end_is_told_once_and_never_after_close(listener: socket.socket) -> None:
    log = Log()
    connection = Connection.opened(flow_to(listener), log.message, log.end)
    for _ in range(3):
        connection.write(b"x" * (connection_module.MAX_WAITING_BYTES // 2 + 1))
    assert log.entries.empty()
    assert await log.next() == "ended"
    other = Connection.opened(flow_to(listener), log.message, log.end)
    other.close()
    await asyncio.sleep(0.02)
    assert log.entries.empty()


async def test_what_cannot_even_start_raises() -> None:
    log = Log()
    for remote in (Address("::1", 5060), Address(THERE, 70000), Address("fe80::1%nosuchcard", 5060)):
        with pytest.raises((OSError, OverflowError)):
            Connection.opened(Flow("TCP", Address(HERE, 5060), remote), log.message, log.end)
