from __future__ import annotations

import asyncio
import random
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.machine import Flow
from imsphone.net.resolver import Resolver, Target, in_order

ZONE = """
ims.example. NAPTR 20 10 "s" "SIP+D2T" "" _sip._tcp.ims.example.
ims.example. NAPTR 10 20 "S" "sip+d2u" "" _sip._udp.ims.example.
ims.example. NAPTR 5 1 "s" "SIPS+D2T" "" _sips._tcp.ims.example.
ims.example. NAPTR 6 1 "u" "E2U+sip" "!^.*$!sip:info@ims.example!" .
_sip._udp.ims.example. SRV 10 0 5070 two.ims.example.
_sip._udp.ims.example. SRV 5 0 5060 one.ims.example.
_sip._tcp.ims.example. SRV 1 0 5060 one.ims.example.
one.ims.example. A 127.0.10.10
one.ims.example. AAAA 2001:db8::10
two.ims.example. CNAME three.ims.example.
three.ims.example. A 127.0.10.12
srv.example. A 127.0.10.99
_sip._tcp.srv.example. SRV 1 0 5062 one.ims.example.
plain.example. A 127.0.10.30
_sips._tcp.ims.example. SRV 0 0 5061 one.ims.example.
_sips._tcp.tls.example. SRV 0 0 5071 plain.example.
away.example. A 127.0.10.31
_sip._udp.away.example. SRV 0 0 0 .
loop.example. CNAME loop.example.
half.example. NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.nowhere.example.
half.example. A 127.0.10.32
"""


class Server(asyncio.DatagramProtocol):
    """A name server of one zone. `spoil` may change or withhold (None) what goes out by UDP."""

    def __init__(self, zone: str) -> None:
        self.asked: list[str] = []
        self.spoil: Callable[[bytes], list[bytes]] = lambda data: [data]
        self._records: dict[tuple[str, str], list[str]] = {}
        for line in filter(None, zone.splitlines()):
            name, kind, value = line.split(" ", 2)
            self._records.setdefault((name, kind), []).append(value)
        self.address = ""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self.address = "{}:{}".format(*transport.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for answer in self.spoil(self.answer(data)):
            self._transport.sendto(answer, addr)

    def answer(self, data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{kind} {name}")
        response = dns.message.make_response(query)
        while (name, "CNAME") in self._records and len(response.answer) < 20:
            target = self._records[name, "CNAME"][0]
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", target))
            name = target
        if (name, kind) in self._records:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *self._records[name, kind]))
        elif name not in {known for known, _ in self._records}:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()

    async def serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        answer = self.answer(await reader.readexactly(length))
        writer.write(struct.pack("!H", len(answer)) + answer)
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: Server(ZONE), local_addr=("127.0.10.153", 0))
    yield server
    transport.close()


async def test_naptr_then_srv_then_addresses_in_the_order_of_the_records(server: Server) -> None:
    found = await Resolver([server.address]).lookup("ims.example")
    assert found.targets == (
        Target("UDP", "2001:db8::10", 5060),
        Target("UDP", "127.0.10.10", 5060),
        Target("UDP", "127.0.10.12", 5070),
        Target("TCP", "2001:db8::10", 5060),
        Target("TCP", "127.0.10.10", 5060),
    )
    assert found.tried[0] == "NAPTR ims.example: 4"


@pytest.mark.parametrize(
    ("question", "targets"),
    [
        (("ims.example", None, "TCP"), [("TCP", "2001:db8::10", 5060), ("TCP", "127.0.10.10", 5060)]),
        (("srv.example", None, None), [("TCP", "2001:db8::10", 5062), ("TCP", "127.0.10.10", 5062)]),
        (("srv.example", None, "UDP"), [("UDP", "127.0.10.99", 5060)]),
        (("srv.example", 5080, None), [("UDP", "127.0.10.99", 5080)]),
        (("one.ims.example", 5080, "TCP"), [("TCP", "2001:db8::10", 5080), ("TCP", "127.0.10.10", 5080)]),
        (("plain.example", None, None), [("UDP", "127.0.10.30", 5060)]),
        (("ims.example", None, "TLS"), [("TLS", "2001:db8::10", 5061), ("TLS", "127.0.10.10", 5061)]),
        (("tls.example", None, "TLS"), [("TLS", "127.0.10.30", 5071)]),
        (("plain.example", None, "TLS"), [("TLS", "127.0.10.30", 5061)]),
        (("plain.example", 443, "TLS"), [("TLS", "127.0.10.30", 443)]),
        (("Plain.Example.", None, None), [("UDP", "127.0.10.30", 5060)]),
        (("two.ims.example", 1, None), [("UDP", "127.0.10.12", 1)]),
        (("away.example", None, "UDP"), []),
        (("half.example", None, None), [("TCP", "127.0.10.32", 5060)]),
        (("nowhere.example", None, None), []),
        (("loop.example", 1, None), []),
        (("", None, None), []),
        (("a..b", None, None), []),
        (("x" * 70, None, None), []),
        (("Straße.example", None, None), []),
    ],
)
async def test_rfc_3263(server: Server, question: tuple[str, int, str], targets: list[tuple[str, str, int]]) -> None:
    found = await Resolver([server.address]).lookup(*question)  # type: ignore[arg-type]
    assert list(found.targets) == targets
    assert found.tried


@pytest.mark.parametrize(
    ("question", "target"),
    [
        (("127.0.10.10",), ("UDP", "127.0.10.10", 5060)),
        (("127.0.10.10", 5070, "TCP"), ("TCP", "127.0.10.10", 5070)),
        (("[2001:db8::1]", None, "TCP"), ("TCP", "2001:db8::1", 5060)),
        (("127.0.10.10", None, "TLS"), ("TLS", "127.0.10.10", 5061)),
    ],
)
async def test_a_literal_is_asked_of_nobody(server: Server, question: tuple[str], target: tuple[str, str, int]) -> None:
    found = await Resolver([server.address]).lookup(*question)
    assert found.targets == (target,)
    assert not server.asked


async def test_what_was_tried_is_told(server: Server) -> None:
    found = await Resolver([server.address]).lookup("nowhere.example")
    assert found.tried == (
        "NAPTR nowhere.example: none",
        "SRV _sip._udp.nowhere.example: none",
        "SRV _sip._tcp.nowhere.example: none",
        "AAAA nowhere.example: none",
        "A nowhere.example: none",
    )


async def test_a_server_that_is_not_there_is_noticed_at_once() -> None:
    async with asyncio.timeout(2):
        found = await Resolver(["127.0.10.154:9"], timeout_s=60, attempt_s=30).lookup("ims.example")
    assert not found.targets
    assert found.tried[0] == "NAPTR ims.example: 127.0.10.154:9: Connection refused"


async def test_a_silent_server_costs_no_more_than_the_budget_and_the_next_is_asked(server: Server) -> None:
    server.spoil = lambda data: []
    found = await Resolver([server.address], timeout_s=0.2, attempt_s=0.05).lookup("ims.example")
    assert found.targets == ()
    assert found.tried[-1] == "stopped after 0.2 s"
    server.asked.clear()
    loop = asyncio.get_running_loop()
    transport, second = await loop.create_datagram_endpoint(lambda: Server(ZONE), local_addr=("127.0.10.153", 0))
    found = await Resolver([server.address, second.address], attempt_s=0.02).lookup("plain.example", 5060)
    assert found.targets == (Target("UDP", "127.0.10.30", 5060),)
    assert server.asked
    transport.close()


async def test_forgeries_and_noise_are_waited_past(server: Server) -> None:
    server.spoil = lambda data: [b"", b"noise", bytes((data[0] ^ 1,)) + data[1:], data]
    found = await Resolver([server.address]).lookup("plain.example", 5060)
    assert found.targets == (Target("UDP", "127.0.10.30", 5060),)


async def test_a_cut_answer_is_asked_again_by_tcp(server: Server) -> None:
    def cut(data: bytes) -> list[bytes]:
        message = dns.message.from_wire(data)
        message.answer.clear()
        message.flags |= dns.flags.TC
        return [message.to_wire()]

    server.spoil = cut
    host, _, port = server.address.partition(":")
    async with await asyncio.start_server(server.serve_stream, host, int(port)):
        found = await Resolver([server.address]).lookup("plain.example", 5060)
    assert found.targets == (Target("UDP", "127.0.10.30", 5060),)


async def test_every_packet_passes_the_wiretap(server: Server) -> None:
    seen: list[tuple[str, Flow, bytes]] = []
    await Resolver([server.address]).lookup("plain.example", 5060, wiretap=lambda *packet: seen.append(packet))
    assert Counter(direction for direction, _, _ in seen) == {"sent": 2, "received": 2}
    assert all(str(flow.remote) == server.address for _, flow, _ in seen)
    assert {str(dns.message.from_wire(data).question[0].name) for _, _, data in seen} == {"plain.example."}


async def test_the_hosts_file_comes_first_unless_a_server_is_named(server: Server, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("# ours\n127.0.10.77 plain.example Other\n::1 other # six first\nnonsense x\n\n127.0.10.78\n")
    assert (await Resolver(hosts=hosts).lookup("plain.example")).targets == (Target("UDP", "127.0.10.77", 5060),)
    assert (await Resolver(hosts=hosts).lookup("OTHER", 5070, "TCP")).targets == (
        Target("TCP", "::1", 5070),
        Target("TCP", "127.0.10.77", 5070),
    )
    named = await Resolver([server.address], hosts=hosts).lookup("plain.example")
    assert named.targets == (Target("UDP", "127.0.10.30", 5060),)


def test_a_server_that_is_no_address_is_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"'dns.example' is no address: write"):
        Resolver(["dns.example"])


def srv(priority: int, weight: int, name: str) -> SimpleNamespace:
    return SimpleNamespace(priority=priority, weight=weight, target=name, port=5060)


def test_priority_first_then_weight_by_lot() -> None:
    lots = random.Random(1)
    records = [srv(2, 0, "backup"), srv(1, 10, "small"), srv(1, 90, "big"), srv(1, 0, "idle")]
    orders = [[r.target for r in in_order(records, lambda most: lots.randint(0, most))] for _ in range(2000)]
    assert {order[-1] for order in orders} == {"backup"}
    first = Counter(order[0] for order in orders)
    assert 0.85 < first["big"] / 2000 < 0.95
    assert first["idle"] < 60  # RFC 2782: "very small chances"


@given(
    st.lists(st.builds(srv, st.integers(0, 3), st.integers(0, 65535), st.text(max_size=3)), max_size=8), st.randoms()
)
def test_no_record_is_lost_or_doubled(records: list[SimpleNamespace], lots: random.Random) -> None:
    ordered = in_order(records, lambda most: lots.randint(0, most))
    assert sorted(map(id, ordered)) == sorted(map(id, records))
    assert [record.priority for record in ordered] == sorted(record.priority for record in records)
