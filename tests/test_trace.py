from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.lifespan import Lifespan
from imsphone.machine import Address, Flow
from imsphone.trace import Direction, Record, Trace

ALICE, BOB = Address("192.0.2.1", 5060), Address("192.0.2.2", 5060)
OUT, IN = Flow("UDP", ALICE, BOB), Flow("UDP", BOB, ALICE)
RTP = bytes.fromhex("8008000100000000deadbeef") + bytes(160)


def sip(name: str = "OPTIONS") -> bytes:
    return f"{name} sip:bob@ims.example SIP/2.0\r\nContent-Length: 0\r\n\r\n".encode()


def test_a_record_holds_no_secret_and_knows_its_protocol() -> None:
    trace = Trace()
    heard: list[Record] = []
    stop = trace.listen(heard.append)
    record = trace.add(1.5, "alice", "received", OUT, b'SIP/2.0 401 No\r\nWWW-Authenticate: Digest ck="5ec4e7"\r\n\r\n')
    assert record.protocol == "SIP"
    assert b"5ec4e7" not in record.data
    assert heard == [record] == trace.records()
    stop()
    trace.add(2.0, "alice", "sent", OUT, RTP)
    assert len(heard) == 1
    assert [record.protocol for record in trace] == ["SIP", "RTP"]


def test_media_never_drives_signalling_out() -> None:
    trace = Trace(most_records=10)
    trace.add(0.0, "alice", "sent", OUT, sip("INVITE"))
    for number in range(100):
        trace.add(number / 50, "alice", "sent", OUT, RTP)
    assert trace.records()[0].data == sip("INVITE")
    assert (len(trace), trace.dropped) == (11, 90)
    for _ in range(20):
        trace.add(3.0, "alice", "sent", OUT, sip())
    assert (len(trace), trace.dropped) == (20, 101)


def test_octets_are_bounded_too() -> None:
    trace = Trace(most_bytes=1000)
    for _ in range(10):
        trace.add(0.0, "alice", "sent", OUT, sip() + bytes(400))
    assert len(trace) == 2
    trace.add(0.0, "alice", "sent", OUT, sip("BIG") + bytes(5000))
    assert [len(record.data) > 5000 for record in trace] == [True]


def test_threads_may_add_while_others_read() -> None:
    trace = Trace(most_records=500)

    def talk() -> None:
        for _ in range(3000):
            trace.add(0.0, "alice", "sent", OUT, RTP)

    threads = [threading.Thread(target=talk) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert len(trace.records()) <= 503
    for thread in threads:
        thread.join()
    assert len(trace) == 500


# Crossings ----------------------------------------------------------------------------------------------------------

Step = tuple[float, str, Direction, Flow, bytes]


@pytest.fixture
def seen() -> Callable[..., list[tuple[float, float | None, bool]]]:
    def look(*steps: Step) -> list[tuple[float, float | None, bool]]:
        trace = Trace()
        for step in steps:
            trace.add(*step)
        return [
            (crossing.at, crossing.received.at if crossing.received else None, crossing.is_lost)
            for crossing in trace.crossings()
        ]

    return look


def test_a_message_seen_at_both_ends_crosses_once(seen: Callable[..., object]) -> None:
    assert seen((1.0, "alice", "sent", OUT, sip()), (1.1, "bob", "received", IN, sip())) == [(1.0, 1.1, False)]


def test_with_one_end_traced_nothing_is_said_of_the_other(seen: Callable[..., object]) -> None:
    steps = ((1.0, "alice", "sent", OUT, sip()), (1.2, "alice", "received", OUT, b"SIP/2.0 200 OK\r\n\r\n"))
    assert seen(*steps) == [(1.0, None, False), (1.2, 1.2, False)]


def test_what_never_came_in_is_lost_and_the_repetition_is_the_one_that_did(seen: Callable[..., object]) -> None:
    steps = (
        (1.0, "alice", "sent", OUT, sip()),
        (1.1, "alice", "sent", OUT, sip()),
        (1.2, "bob", "received", IN, sip()),
    )
    assert seen(*steps) == [(1.0, None, False), (1.1, 1.2, False)]  # it may still be under way
    later = (1.5, "alice", "sent", OUT, sip("BYE"))
    assert seen(*steps, later) == [(1.0, None, True), (1.1, 1.2, False), (1.5, None, False)]


def test_a_doubled_packet_arrives_a_second_time_from_nowhere(seen: Callable[..., object]) -> None:
    steps = (
        (1.0, "alice", "sent", OUT, sip()),
        (1.1, "bob", "received", IN, sip()),
        (1.2, "bob", "received", IN, sip()),
    )
    assert seen(*steps) == [(1.0, 1.1, False), (1.2, 1.2, False)]


def test_the_kernel_may_stamp_an_arrival_before_the_sender_reads_the_clock(seen: Callable[..., object]) -> None:
    steps = (
        (1.0, "bob", "received", IN, sip()),
        (1.006, "alice", "sent", OUT, sip()),
        (9.0, "alice", "sent", OUT, sip("BYE")),
    )
    assert seen(*steps) == [(1.006, 1.0, False), (9.0, None, False)]


def test_a_tcp_client_has_the_port_that_its_peer_sees() -> None:
    trace = Trace()
    passing = Address(ALICE.host, 49152)
    there, back = sip("REGISTER"), b"SIP/2.0 200 OK\r\n\r\n"
    trace.add(1.0, "alice", "sent", Flow("TCP", ALICE, BOB), there)
    trace.add(1.1, "bob", "received", Flow("TCP", BOB, passing), there)
    trace.add(1.2, "bob", "sent", Flow("TCP", BOB, passing), back)
    trace.add(1.3, "alice", "received", Flow("TCP", ALICE, BOB), back)
    assert [(crossing.source, crossing.target) for crossing in trace.crossings()] == [(passing, BOB), (BOB, passing)]


def test_at_one_instant_the_order_of_adding_counts() -> None:
    trace = Trace()
    for number in range(5):
        trace.add(1.0, "alice", "received", OUT, sip(f"M{number}"))
        trace.add(1.0, "alice", "sent", OUT, sip(f"N{number}"))
    names = [crossing.record.data.split(b" ")[0].decode() for crossing in trace.crossings()]
    assert names == ["M0", "N0", "M1", "N1", "M2", "N2", "M3", "N3", "M4", "N4"]


# JSON lines ---------------------------------------------------------------------------------------------------------

ADDRESSES = st.builds(Address, st.sampled_from(["192.0.2.1", "2001:db8::1", "192.0.2.2"]), st.integers(0, 65535))
FLOWS = st.builds(Flow, st.sampled_from(["UDP", "TCP"]), ADDRESSES, ADDRESSES)
DATA = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(lambda text: b"INVITE sip:x SIP/2.0\r\n\r\n" + text.encode()),
    st.binary(max_size=40).map(lambda data: RTP[:12] + data),
)
STEPS = st.tuples(
    st.floats(0, 2e9), st.sampled_from(["alice", "bob", "ä"]), st.sampled_from(["sent", "received"]), FLOWS, DATA
)


@given(st.lists(STEPS, max_size=12))
def test_any_trace_survives_being_written_and_read(steps: list[Step]) -> None:
    trace = Trace()
    for step in steps:
        trace.add(*step)
    assert Trace.from_jsonl(trace.jsonl()).records() == trace.records()
    crossings = trace.crossings()
    assert sum((crossing.sent is not None) + (crossing.received is not None) for crossing in crossings) == len(steps)
    assert [crossing.at for crossing in crossings] == sorted(crossing.at for crossing in crossings)


def test_a_line_can_be_read_by_people() -> None:
    trace = Trace()
    trace.add(1.5, "alice", "sent", OUT, sip("REGISTER"))
    assert json.loads(trace.jsonl()) == {
        "at": 1.5,
        "who": "alice",
        "direction": "sent",
        "transport": "UDP",
        "local": ["192.0.2.1", 5060],
        "remote": ["192.0.2.2", 5060],
        "protocol": "SIP",
        "summary": "REGISTER",
        "text": sip("REGISTER").decode(),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"direction": "sideways"},
        {"transport": "SCTP"},
        {"local": ["192.0.2.1"]},
        {"local": None},
        {"at": "noon"},
        {"at": float("nan")},
        {"who": "a\nb"},
        {"text": 7},
        {"text": None, "base64": "?"},
        {"text": None},
        {"text": "\ud800"},
    ],
)
def test_a_broken_line_is_named(change: dict[str, object]) -> None:
    trace = Trace()
    trace.add(1.5, "alice", "sent", OUT, sip())
    good = trace.jsonl()
    with pytest.raises(ParseError) as caught:
        Trace.from_jsonl(good + "\n" + json.dumps(json.loads(good) | change))
    assert (caught.value.expected, caught.value.offset) == ("a record of a trace on each line", 3)


@given(st.text(max_size=80))
def test_any_text_is_a_trace_or_a_parse_error(text: str) -> None:
    with contextlib.suppress(ParseError):
        assert not Trace.from_jsonl(text).records()


def test_a_protected_message_and_its_packet_are_both_kept_and_told_apart() -> None:
    trace = Trace()
    esp = Flow("ESP", ALICE._replace(port=0), BOB._replace(port=0))
    packet = bytes.fromhex("1234abcd00000007") + bytes(40)
    trace.add(1.0, "alice", "sent", OUT, sip(), True)
    trace.add(1.0, "alice", "sent", esp, packet)
    inner, outer = Trace.from_jsonl(trace.jsonl()).records()
    assert (inner.protocol, inner.is_protected) == ("SIP", True)
    assert (outer.protocol, outer.is_protected, outer.data) == ("ESP", False, packet)
    summaries = [json.loads(line)["summary"] for line in trace.jsonl().splitlines()]
    assert summaries == ["OPTIONS", "ESP 1234abcd #7"]


def test_security_associations_are_asked_for_when_they_are_wanted() -> None:
    trace = Trace()
    one = Lifespan("alice", 0x9C7F0A31, ALICE, BOB, "null/aes-gcm", False, 2.5)
    ledger: list[Lifespan] = []
    trace.follow(lambda: ledger)
    assert (trace.association_table(), trace.associations()) == ("", [])
    trace.add(2.0, "alice", "sent", OUT, sip())
    ledger.append(one)
    trace.add(6.5, "alice", "sent", OUT, sip())
    assert "9c7f0a31" in trace.association_table()
    assert "0.500  4 s" in trace.association_table()
    again = Trace.from_jsonl(trace.jsonl())
    assert again.associations() == [one]
    assert again.records() == trace.records()


def test_an_association_that_cannot_be_read_is_no_line_of_a_trace() -> None:
    with pytest.raises(ParseError):
        Trace.from_jsonl('{"spi": 7}')
