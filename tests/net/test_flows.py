from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imsphone.errors import NetworkError
from imsphone.machine import Address, Flow
from imsphone.net import flows as flows_module
from imsphone.net.authority import certified
from imsphone.net.flows import Flows

ALICE, BOB = "127.0.10.101", "127.0.10.102"
MESSAGE = b"MESSAGE sip:bob@ims.example SIP/2.0\r\nCSeq: %d MESSAGE\r\nContent-Length: 5\r\n\r\nhello"
CER = bytes.fromhex("01000014 80000101 00000000 00000001 00000002")


class End:
    """An endpoint that writes down what comes; with `echoes` it sends back what it got."""

    def __init__(self, host: str, port: int = 0, *, echoes: bool = False, is_protected: bool = False) -> None:
        self.got: list[tuple[bytes, Flow]] = []
        self.lost: list[Flow] = []
        self._changed = asyncio.Event()
        self._echoes = echoes
        self.flows = Flows(Address(host, port), self._message, self._loss, is_protected=is_protected)
        self.local = self.flows.local

    def _message(self, data: bytes, flow: Flow) -> None:
        self.got.append((data, flow))
        self._changed.set()
        if self._echoes:
            self.flows.send(data, flow)

    def _loss(self, flow: Flow) -> None:
        self.lost.append(flow)
        self._changed.set()

    def to(self, other: Address, transport: str = "UDP") -> Flow:
        return Flow("TCP" if transport == "TCP" else "UDP", self.local, other)

    async def until(self, *, messages: int = 0, losses: int = 0) -> None:
        async with asyncio.timeout(5):
            while len(self.got) < messages or len(self.lost) < losses:
                self._changed.clear()
                await self._changed.wait()


@contextlib.asynccontextmanager
async def ends(*hosts: str, **options: bool) -> AsyncIterator[list[End]]:
    made = [End(host, **options) for host in hosts]
    try:
        yield made
    finally:
        for end in made:
            end.flows.close()


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_message_arrives_on_the_flow_that_leads_back(transport: str) -> None:
    async with ends(ALICE, BOB) as (alice, bob):
        alice.flows.send(MESSAGE % 1, alice.to(bob.local, transport))
        await bob.until(messages=1)
        data, flow = bob.got[0]
        assert data == MESSAGE % 1
        assert (flow.transport, flow.local, flow.remote.host) == (transport, bob.local, ALICE)
        bob.flows.send(b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", flow)
        await alice.until(messages=1)
        assert alice.got[0][1] == alice.to(bob.local, transport)


async def test_requests_share_one_connection_and_arrive_in_order() -> None:
    async with ends(ALICE, BOB) as (alice, bob):
        for number in range(200):
            alice.flows.send(MESSAGE % number, alice.to(bob.local, "TCP"))
        await bob.until(messages=200)
        assert [data for data, _ in bob.got] == [MESSAGE % number for number in range(200)]
        assert len({flow for _, flow in bob.got}) == 1


async def test_a_big_message_crosses_a_stream_whole() -> None:
    body = b"x" * 60_000
    big = b"MESSAGE sip:bob@ims.example SIP/2.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    async with ends(ALICE, BOB) as (alice, bob):
        for _ in range(8):
            alice.flows.send(big, alice.to(bob.local, "TCP"))
        await bob.until(messages=8)
        assert {data for data, _ in bob.got} == {big}


async def test_diameter_is_cut_by_its_own_length() -> None:
    async with ends(ALICE, BOB) as (alice, bob):
        alice.flows.send(CER + CER, alice.to(bob.local, "TCP"))
        await bob.until(messages=2)
        assert [data for data, _ in bob.got] == [CER, CER]


async def test_a_ping_is_answered_and_told_to_nobody() -> None:
    async with ends(BOB) as (bob,):
        reader, writer = await asyncio.open_connection(*bob.local)
        writer.write(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"
        writer.close()
        await writer.wait_closed()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sloppy:
            for datagram in (b"\r\n\r\n", b"\0", b"", b"real"):
                sloppy.sendto(datagram, bob.local)
            await bob.until(messages=1)
        assert [data for data, _ in bob.got] == [b"real"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a UDP socket whom ICMP means")
async def test_icmp_says_which_flow_is_lost_and_the_others_go_on() -> None:
    async with ends(ALICE, BOB) as (alice, bob):
        nobody = alice.to(Address(BOB, free_port(BOB)))
        for number in range(3):
            alice.flows.send(b"into the void", nobody)
            alice.flows.send(b"%d" % number, alice.to(bob.local))
        await alice.until(losses=1)
        await bob.until(messages=3)
        assert set(alice.lost) == {nobody}
        assert [data for data, _ in bob.got] == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    ("transport", "host"), [("TCP", BOB), ("UDP", "::1"), ("TCP", "::1"), ("UDP", "pcscf.ims.example"), ("UDP", "")]
)
async def test_what_cannot_be_reached_is_lost_but_not_inside_send(transport: str, host: str) -> None:
    async with ends(ALICE) as (alice,):
        flow = alice.to(Address(host, free_port(BOB)), transport)
        alice.flows.send(b"x", flow)
        assert not alice.lost
        await alice.until(losses=1)
        assert alice.lost == [flow]


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("port", [0, 65536, 99999])
async def test_a_port_that_is_none_is_lost_too(transport: str, port: int) -> None:
    async with ends(ALICE) as (alice,):
        alice.flows.send(b"x", alice.to(Address(BOB, port), transport))
        await alice.until(losses=1)


async def test_a_message_too_long_for_a_datagram_is_lost() -> None:
    async with ends(ALICE, BOB) as (alice, bob):
        alice.flows.send(b"x" * 70_000, alice.to(bob.local))
        await alice.until(losses=1)


async def test_a_closed_connection_is_lost_and_the_next_message_opens_another() -> None:
    async with ends(ALICE) as (alice,):
        bob = End(BOB)
        alice.flows.send(MESSAGE % 1, alice.to(bob.local, "TCP"))
        await bob.until(messages=1)
        bob.flows.close()
        await alice.until(losses=1)
        assert alice.lost == [alice.to(bob.local, "TCP")]
        again = End(BOB, bob.local.port)
        alice.flows.send(MESSAGE % 2, alice.to(bob.local, "TCP"))
        await again.until(messages=1)
        again.flows.close()


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"x" * 200_000, b"\x01\xff\xff\xff" + bytes(80)]
)
async def test_a_stream_of_garbage_is_hung_up_on(garbage: bytes) -> None:
    async with ends(BOB) as (bob,):
        with socket.create_connection(bob.local) as stranger:
            stranger.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(stranger, garbage)
            await bob.until(losses=1)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(stranger, 1), 5) == b""
        assert not bob.got


async def test_a_peer_that_never_reads_is_hung_up_on() -> None:
    async with ends(ALICE) as (alice,):
        listener = socket.create_server((BOB, 0))
        with listener:
            flow = alice.to(Address(*listener.getsockname()), "TCP")
            for _ in range(500):
                alice.flows.send(b"x" * 60_000, flow)
            await alice.until(losses=1)
            assert alice.lost == [flow]


async def test_the_idlest_connection_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows_module, "MAX_CONNECTIONS", 3)
    async with ends(ALICE) as (alice,):
        servers = [End(f"127.0.10.{host}") for host in range(111, 115)]
        try:
            for server in servers[:3]:
                alice.flows.send(MESSAGE % 1, alice.to(server.local, "TCP"))
                await server.until(messages=1)
            alice.flows.send(MESSAGE % 2, alice.to(servers[0].local, "TCP"))
            alice.flows.send(MESSAGE % 1, alice.to(servers[3].local, "TCP"))
            await servers[3].until(messages=1)
            await alice.until(losses=1)
            assert alice.lost == [alice.to(servers[1].local, "TCP")]
        finally:
            for server in servers:
                server.flows.close()


async def test_strangers_do_not_push_out_a_connection_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows_module, "MAX_CONNECTIONS", 3)
    async with ends(ALICE, BOB) as (alice, pcscf):
        alice.flows.send(MESSAGE % 1, alice.to(pcscf.local, "TCP"))
        await pcscf.until(messages=1)
        strangers = [await asyncio.open_connection(*alice.local) for _ in range(5)]
        await alice.until(losses=3)
        for _, writer in strangers:
            writer.close()
        assert alice.to(pcscf.local, "TCP") not in alice.lost


STRANGER = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
kept = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(300)]
print("up", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of descriptors to come to")
async def test_strangers_leave_descriptors_for_calls() -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with ends(ALICE) as (alice,):
        command = (sys.executable, "-c", STRANGER, alice.local.host, str(alice.local.port))
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
        stranger = await asyncio.create_subprocess_exec(*command, stdin=-1, stdout=-1)
        try:
            assert stranger.stdout is not None
            assert await stranger.stdout.readline() == b"up\n"
            await alice.until(losses=300 - 128)
            for port in [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]:
                port.close()
        finally:
            stranger.kill()
            await stranger.wait()
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_udp_and_tcp_have_the_same_port() -> None:
    async with ends(BOB) as (bob,):
        assert bob.local.port
        _, writer = await asyncio.open_connection(*bob.local)
        assert writer.get_extra_info("peername") == tuple(bob.local)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_busy_port_is_one_sentence_with_the_remedy(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind((BOB, 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            NetworkError, match=rf"^{BOB}:{port} is taken by another program: .* choose another address or port"
        ):
            End(BOB, port)


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("192.0.2.1", 5060, "192.0.2.1 is no address of this host"),
        ("0.0.0.0", 5060, "give one IP address of this host"),
        ("localhost", 5060, "give one IP address of this host"),
        (BOB, 70000, "70000 is no port"),
    ],
)
async def test_an_address_that_cannot_be_had_is_one_sentence(host: str, port: int, sentence: str) -> None:
    with pytest.raises(NetworkError, match=sentence):
        End(host, port)


async def test_a_protected_connection_has_the_protected_port_at_both_ends() -> None:
    async with ends(ALICE, BOB, is_protected=True) as (alice, bob):
        alice.flows.send(MESSAGE % 1, alice.to(bob.local, "TCP"))
        await bob.until(messages=1)
        assert bob.got == [(MESSAGE % 1, bob.to(alice.local, "TCP"))]


async def test_a_protected_port_opens_to_several_and_takes_connections_meanwhile() -> None:
    async with ends(ALICE, BOB, "127.0.10.103", is_protected=True) as (alice, bob, carol):
        for other in (bob, carol):
            alice.flows.send(MESSAGE % 1, alice.to(other.local, "TCP"))
            await other.until(messages=1)
        async with ends("127.0.10.104") as (dave,):
            dave.flows.send(MESSAGE % 2, dave.to(alice.local, "TCP"))
            await alice.until(messages=1)


async def test_between_the_same_two_protected_ports_one_connection_follows_another_at_once() -> None:
    async with ends(ALICE, BOB, is_protected=True) as (alice, bob):
        for number in range(1, 4):
            again = End(ALICE, alice.local.port, is_protected=True) if number > 1 else alice
            again.flows.send(MESSAGE % number, again.to(bob.local, "TCP"))
            await bob.until(messages=number, losses=number - 1)
            again.flows.close()
            await bob.until(losses=number)
        assert {flow for _, flow in bob.got} == {bob.to(alice.local, "TCP")}


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_protected_port_is_shared_with_no_other_program(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind((BOB, 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(NetworkError, match="is taken by another program"):
            End(BOB, other.getsockname()[1], is_protected=True)
    async with ends(BOB, is_protected=True) as (bob,):
        with pytest.raises(NetworkError, match="is taken by another program"):
            End(BOB, bob.local.port, is_protected=True)


async def test_ipv6() -> None:
    try:
        alice, bob = End("::1"), End("::1", echoes=True)
    except NetworkError:
        pytest.skip("this host has no IPv6 loopback")
    alice.flows.send(b"over six", alice.to(bob.local))
    alice.flows.send(MESSAGE % 6, alice.to(bob.local, "TCP"))
    await alice.until(messages=2)
    assert {flow.transport for _, flow in alice.got} == {"UDP", "TCP"}
    alice.flows.close()
    bob.flows.close()


async def test_after_close_nothing_happens_any_more() -> None:
    async with ends(ALICE, BOB) as (alice, bob):
        alice.flows.send(MESSAGE % 1, alice.to(Address(BOB, free_port(BOB)), "TCP"))
        alice.flows.close()
        alice.flows.close()
        alice.flows.send(b"x", alice.to(bob.local))
        await asyncio.sleep(0.05)
        assert (alice.got, alice.lost, bob.got) == ([], [], [])


@pytest.mark.parametrize(
    "noise",
    [
        MESSAGE % 1,
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff" + bytes(70_000),
        b"\x80\x2e\x01\x00\x02" + bytes(50),
    ],
    ids=["plain SIP", "half a record", "a record too long", "an old version"],
)
async def test_what_is_no_tls_is_let_go_where_tls_is_taken(tmp_path: Path, noise: bytes) -> None:
    got: list[bytes] = []
    flows = Flows(
        Address(BOB, 0),
        lambda data, flow: got.append(data),
        lambda flow: None,
        tls=certified(tmp_path, BOB),
        takes_tls=True,
    )
    try:
        reader, writer = await asyncio.open_connection(*flows.local)
        writer.write(noise)
        writer.write_eof()
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                while await reader.read(4096):  # an alert, maybe
                    pass
        writer.close()
    finally:
        flows.close()
    assert not got
