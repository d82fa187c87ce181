"""The transaction layer as a machine: matching, ways there and back, cancelling, and two of them over a bad link."""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.events import Violated
from imsphone.machine import Address, Effect, Flow, Ids, Send, Tell
from imsphone.sip.client import ClientTransaction
from imsphone.sip.message import Request, Response, parse
from imsphone.sip.server import ServerTransaction
from imsphone.sip.timers import RFC_3261, TS_24_229, Timers
from imsphone.sip.transactions import (
    AckArrived,
    AckMissing,
    RequestArrived,
    ResponseArrived,
    TransactionFailed,
    Transactions,
)

HERE, THERE = Address("192.0.2.1", 5060), Address("192.0.2.9", 5060)
UDP = Flow("UDP", HERE, THERE)
TCP = UDP.over("TCP")


def make(method: str = "INVITE", **headers: str) -> Request:
    request = Request(method, "sip:bob@b")
    for name, value in (
        ("Max-Forwards", "70"), ("From", "<sip:alice@a>;tag=1"), ("To", "<sip:bob@b>"), ("Call-ID", "c"),
        ("CSeq", f"7 {method}"), ("Contact", "<sip:alice@192.0.2.1>"),
    ):  # fmt: skip
        request.headers.add(name, value)
    for name, value in headers.items():
        request.headers.set(name.replace("_", "-"), value)
    return request


def told(effects: list[Effect]) -> list[object]:
    return [effect.event for effect in effects if isinstance(effect, Tell)]


def sent(effects: list[Effect]) -> list[Request | Response]:
    return [parse(effect.data) for effect in effects if isinstance(effect, Send)]


def lines(effects: list[Effect]) -> list[str]:
    """What left: method or status, and where to."""
    shown = []
    for effect in effects:
        if isinstance(effect, Send):
            message = parse(effect.data)
            what = message.method if isinstance(message, Request) else str(message.status)
            shown.append(f"{what} {effect.flow.transport} {effect.flow.remote}")
    return shown


def hear(layer: Transactions, transaction: ClientTransaction, status: int, now: float, tag: str = "2") -> list[Effect]:
    return layer.receive(bytes(transaction.request.answer(status, tag=tag)), transaction.flow, now)


def left_over(layer: Transactions) -> int:
    return len(layer._clients) + len(layer._servers) + len(layer._cancels) + (layer.deadline is not None)


# Out ------------------------------------------------------------------------------------------------------------------


def test_a_request_leaves_with_a_via_of_its_own() -> None:
    layer = Transactions(Ids(b"1"))
    request = make("OPTIONS", Via="SIP/2.0/UDP upstream;branch=z9hG4bKx")
    transaction, effects = layer.request(request, UDP, 0.0, mark="mine")
    (message,) = sent(effects)
    assert lines(effects) == ["OPTIONS UDP 192.0.2.9:5060"]
    via = message.vias[0]
    assert (via.transport, via.host, via.port) == ("UDP", "192.0.2.1", 5060)
    assert via.branch.startswith("z9hG4bK")
    assert via.params["rport"] is None
    assert message.vias[1].host == "upstream"
    assert len(request.vias) == 1  # the caller's own is untouched
    assert transaction.mark == "mine"
    assert layer.deadline == 0.5


def test_branches_differ() -> None:
    layer = Transactions(Ids(b"1"))
    assert layer.request(make(), UDP, 0.0)[0].key != layer.request(make(), UDP, 0.0)[0].key


def test_an_ipv6_via_has_brackets() -> None:
    flow = Flow("UDP", Address("2001:db8::1", 5060), Address("2001:db8::9", 5060))
    transaction, _ = Transactions(Ids(b"1")).request(make(), flow, 0.0)
    assert transaction.request.headers.get(
        "Via",
    ).startswith("SIP/2.0/UDP [2001:db8::1]:5060;")  # type: ignore[union-attr]


def size_of(subject: str) -> int:
    transaction, _ = Transactions(Ids(b"1")).request(make(Subject=subject), TCP, 0.0)
    return len(bytes(transaction.request))


def test_above_1300_bytes_tcp_is_tried_and_udp_where_it_is_refused() -> None:
    # RFC 3261 18.1.1
    fits = "x" * (1300 - size_of(""))
    layer = Transactions(Ids(b"1"))
    small, effects = layer.request(make(Subject=fits), UDP, 0.0)
    assert lines(effects) == ["INVITE UDP 192.0.2.9:5060"]
    assert len(bytes(small.request)) == 1300
    large, effects = layer.request(make(Subject=fits + "x"), UDP, 0.0)
    assert lines(effects) == ["INVITE TCP 192.0.2.9:5060"]
    assert large.request.via.transport == "TCP"

    again = layer.lost(TCP, 3.0)
    assert lines(again) == ["INVITE UDP 192.0.2.9:5060"]
    assert large.request.via.transport == "UDP"
    assert large.request.via.branch == large.key[0]
    assert len(large.request.vias) == 1
    assert lines(layer.tick(3.5))[-1] == "INVITE UDP 192.0.2.9:5060"
    assert told(layer.lost(UDP, 4.0)) == [TransactionFailed(small, "transport"), TransactionFailed(large, "transport")]
    assert left_over(layer) == 0


def test_tcp_that_was_asked_for_does_not_become_udp() -> None:
    layer = Transactions(Ids(b"1"))
    transaction, _ = layer.request(make(), TCP, 0.0)
    assert layer.lost(TCP, 1.0) == [Tell(TransactionFailed(transaction, "transport"))]


def test_an_answer_that_has_begun_over_tcp_may_end_on_another_connection() -> None:
    # RFC 3261 18.2.2: the server opens one to the Via
    layer = Transactions(Ids(b"1"))
    transaction, _ = layer.request(make(Subject="x" * 1300), UDP, 0.0)
    hear(layer, transaction, 180, 1.0)
    assert layer.lost(TCP, 2.0) == []
    assert [type(event) for event in told(hear(layer, transaction, 200, 3.0))] == [ResponseArrived]
    over_udp, _ = layer.request(make("REGISTER"), UDP, 0.0)
    hear(layer, over_udp, 100, 1.0)
    assert layer.lost(UDP, 2.0) == [Tell(TransactionFailed(over_udp, "transport"))]


def test_the_ack_of_a_2xx_has_no_transaction() -> None:
    layer = Transactions(Ids(b"1"))
    effects = layer.send(make("ACK"), UDP)
    assert lines(effects) == ["ACK UDP 192.0.2.9:5060"]
    assert lines(layer.send(make("ACK", Subject="x" * 1300), UDP)) == ["ACK TCP 192.0.2.9:5060"]
    assert left_over(layer) == 0


@pytest.mark.parametrize(("timers", "end"), [(RFC_3261, 32.0), (TS_24_229, 128.0)])
def test_no_answer_is_a_timeout(timers: Timers, end: float) -> None:
    layer = Transactions(Ids(b"1"), timers)
    transaction, _ = layer.request(make("REGISTER"), UDP, 0.0)
    events: list[object] = []
    at = 0.0
    while layer.deadline is not None:
        at = layer.deadline
        events += told(layer.tick(at))
    assert events == [TransactionFailed(transaction, "timeout")]
    assert at == end
    assert left_over(layer) == 0


def test_answers_find_their_request_by_branch_and_method() -> None:
    layer = Transactions(Ids(b"1"))
    transaction, _ = layer.request(make(), UDP, 0.0)
    (event,) = told(hear(layer, transaction, 180, 1.0))
    assert isinstance(event, ResponseArrived)
    assert (event.response.status, event.transaction) == (180, transaction)
    other = transaction.request.answer(200, tag="2")
    other.headers.set("Via", str(other.via.with_params(branch="z9hG4bKother")))
    assert layer.receive(bytes(other), UDP, 1.0) == []
    cancelled = transaction.request.answer(200, tag="2")
    cancelled.headers.set("CSeq", "7 CANCEL")
    assert layer.receive(bytes(cancelled), UDP, 1.0) == []
    events = told(hear(layer, transaction, 200, 2.0))
    assert [type(event) for event in events] == [ResponseArrived]


def test_repeated_2xx_go_up_each_time_and_refusals_once() -> None:
    layer = Transactions(Ids(b"1"))
    taken, _ = layer.request(make(), UDP, 0.0)
    assert [len(told(hear(layer, taken, 200, at, tag))) for at, tag in ((1.0, "a"), (2.0, "a"), (2.5, "b"))] == [
        1,
        1,
        1,
    ]
    refused, _ = layer.request(make(), UDP, 0.0)
    first, again = hear(layer, refused, 486, 1.0), hear(layer, refused, 486, 2.0)
    assert (len(told(first)), len(told(again))) == (1, 0)
    assert lines(first) == lines(again) == ["ACK UDP 192.0.2.9:5060"]


# Cancelling: RFC 3261 9.1 ---------------------------------------------------------------------------------------------


def test_cancel_after_a_provisional_answer_leaves_at_once() -> None:
    layer = Transactions(Ids(b"1"))
    transaction, _ = layer.request(make(Route="<sip:p;lr>", Require="foo"), UDP, 0.0)
    hear(layer, transaction, 180, 1.0)
    effects = layer.cancel(transaction, 2.0, [("Reason", "SIP;cause=200")])
    (cancel,) = sent(effects)
    assert isinstance(cancel, Request)
    assert (cancel.method, cancel.uri, str(cancel.cseq)) == ("CANCEL", "sip:bob@b", "7 CANCEL")
    for name in ("Via", "Route", "From", "To", "Call-ID"):
        assert cancel.headers.lines(name) == transaction.request.headers.lines(name)
    assert cancel.headers.get("Reason") == "SIP;cause=200"
    assert "Require" not in cancel.headers  # 9.1
    assert "Contact" not in cancel.headers
    assert layer.cancel(transaction, 2.1) == []


def test_cancel_before_a_provisional_answer_waits_for_it() -> None:
    layer = Transactions(Ids(b"1"))
    transaction, _ = layer.request(make(), UDP, 0.0)
    assert layer.cancel(transaction, 0.1) == []
    assert layer.cancel(transaction, 0.2) == []
    assert lines(hear(layer, transaction, 100, 1.0)) == ["CANCEL UDP 192.0.2.9:5060"]
    assert lines(hear(layer, transaction, 180, 1.1)) == []
    assert lines(layer.tick(1.5)) == ["CANCEL UDP 192.0.2.9:5060"]  # on its own transaction


@pytest.mark.parametrize("status", [200, 486])
def test_cancel_that_a_final_answer_overtakes_never_leaves(status: int) -> None:
    layer = Transactions(Ids(b"1"))
    transaction, _ = layer.request(make(), UDP, 0.0)
    layer.cancel(transaction, 0.1)
    assert "CANCEL" not in str(lines(hear(layer, transaction, status, 1.0)))
    assert layer.cancel(transaction, 2.0) == []


def test_only_an_invite_is_cancelled() -> None:
    layer = Transactions(Ids(b"1"))
    transaction, _ = layer.request(make("OPTIONS"), UDP, 0.0)
    assert layer.cancel(transaction, 0.1) == []


def test_a_cancelled_call_without_an_end_is_over_after_64_t1() -> None:
    # 9.1: ... SHOULD then consider the original transaction cancelled
    layer = Transactions(Ids(b"1"), TS_24_229)
    transaction, _ = layer.request(make(), UDP, 0.0)
    hear(layer, transaction, 180, 1.0)
    cancel = layer.cancel(transaction, 2.0)
    (message,) = sent(cancel)
    assert told(layer.receive(bytes(message_answer(message)), UDP, 3.0)) == []  # the CANCEL's 200 is nobody's news
    events = []
    while layer.deadline is not None:
        at = layer.deadline
        events += told(layer.tick(at))
    assert events == [TransactionFailed(transaction, "timeout")]
    assert at == 130.0
    assert left_over(layer) == 0


def message_answer(message: Request | Response) -> Response:
    assert isinstance(message, Request)
    return message.answer(200, tag="2")


def test_an_alarm_that_went_stale_and_is_wanted_again_rings() -> None:
    layer = Transactions(Ids(b"1"))
    transaction, _ = layer.request(make(), TCP, 0.0)  # Timer B would end it at 32 s ...
    hear(layer, transaction, 180, 0.0)
    assert layer.deadline is None
    layer.cancel(transaction, 0.0)  # ... and so would the CANCEL
    assert TransactionFailed(transaction, "timeout") in told(layer.tick(32.0))


def test_a_cancel_that_nobody_answers_is_not_told() -> None:
    layer = Transactions(Ids(b"1"))
    transaction, _ = layer.request(make(), UDP, 0.0)
    hear(layer, transaction, 180, 1.0)
    layer.cancel(transaction, 2.0)
    hear(layer, transaction, 487, 3.0)
    while layer.deadline is not None:
        assert told(layer.tick(layer.deadline)) == []
    assert left_over(layer) == 0


# In -------------------------------------------------------------------------------------------------------------------


def arrive(layer: Transactions, request: Request, flow: Flow = UDP, now: float = 0.0) -> RequestArrived:
    (event,) = told(layer.receive(bytes(request), flow, now))
    assert isinstance(event, RequestArrived)
    return event


WAYS = [
    # Via                                            came from           answered to         stamped
    ("SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1", "192.0.2.9:5060", "192.0.2.9:5060", ""),
    ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "192.0.2.9:4000", "192.0.2.9:5060", ""),
    ("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1", "192.0.2.9:4000", "192.0.2.9:5070", ""),
    ("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1", "192.0.2.9:4000", "192.0.2.9:5070", ";received=192.0.2.9"),
    ("SIP/2.0/UDP host.example;branch=z9hG4bK1", "192.0.2.9:4000", "192.0.2.9:5060", ";received=192.0.2.9"),
    (
        "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;rport",  # RFC 3581 6
        "192.0.2.1:9988", "192.0.2.1:9988", "=9988;received=192.0.2.1",
    ),
    ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;rport", "192.0.2.9:5060", "192.0.2.9:5060", "=5060;received=192.0.2.9"),
    ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;received=6.6.6.6", "192.0.2.9:5060", "192.0.2.9:5060", None),
    ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;maddr=6.6.6.6", "192.0.2.9:5060", "192.0.2.9:5060", ""),
    ("SIP/2.0/TCP 10.0.0.1:5070;branch=z9hG4bK1", "192.0.2.9:40000", "192.0.2.9:40000", ";received=192.0.2.9"),
]  # fmt: skip


@pytest.mark.parametrize(("via", "source", "target", "stamp"), WAYS)
def test_the_way_back(via: str, source: str, target: str, stamp: str | None) -> None:
    # RFC 3261 18.2.1 and 18.2.2, RFC 3581 4
    host, _, port = source.partition(":")
    flow = Flow("TCP" if "TCP" in via else "UDP", HERE, Address(host, int(port)))
    layer = Transactions(Ids(b"1"))
    event = arrive(layer, make("OPTIONS", Via=via), flow)
    assert event.flow == flow
    effects = layer.respond(event.transaction, event.request.answer(200, tag="t"), 0.0)
    assert lines(effects) == [f"200 {flow.transport} {target}"]
    expected = via + stamp if stamp is not None else via.replace("6.6.6.6", "192.0.2.9")
    assert sent(effects)[0].headers.lines("Via") == [expected]

    broken = make("OPTIONS", Via=via, CSeq="x")  # so do answers to what is broken
    assert lines(layer.receive(bytes(broken), flow, 0.0)) == [f"400 {flow.transport} {target}"]


def test_an_answer_finds_another_way_where_its_connection_has_ended() -> None:
    # RFC 3261 18.2.2: ... SHOULD open a connection to the address in received, and the port of sent-by
    layer = Transactions(Ids(b"1"))
    flow = Flow("TCP", HERE, Address("192.0.2.9", 40000))
    event = arrive(layer, make(Via="SIP/2.0/TCP 10.0.0.1:5070;branch=z9hG4bK1"), flow)
    assert layer.lost(flow, 1.0) == []
    effects = layer.respond(event.transaction, event.request.answer(180, tag="t"), 2.0)
    assert lines(effects) == ["180 TCP 192.0.2.9:5070"]
    layer.lost(flow._replace(remote=Address("192.0.2.9", 5070)), 3.0)
    assert layer.respond(event.transaction, event.request.answer(486, tag="t"), 4.0) == []
    assert left_over(layer) == 0


def test_a_repeated_request_is_news_once() -> None:
    layer = Transactions(Ids(b"1"))
    request = make("OPTIONS", Via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1")
    event = arrive(layer, request)
    assert layer.receive(bytes(request), UDP, 0.1) == []
    answer = layer.respond(event.transaction, event.request.answer(200, tag="t"), 0.2)
    assert layer.receive(bytes(request), UDP, 0.3) == answer


def test_requests_that_differ_in_branch_sender_or_method_differ() -> None:
    # RFC 3261 17.2.3
    layer = Transactions(Ids(b"1"))
    for via in (
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2",
        "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1", "SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK1",
    ):  # fmt: skip
        for method in ("OPTIONS", "MESSAGE"):
            arrive(layer, make(method, Via=via))


@pytest.mark.parametrize("branch", ["", ";branch=1", ";branch=z9hG4bK"])
def test_without_the_cookie_the_rules_of_rfc_2543_hold(branch: str) -> None:
    layer = Transactions(Ids(b"1"))
    via = f"SIP/2.0/UDP 192.0.2.9{branch}"
    invite = arrive(layer, make(Via=via))
    assert layer.receive(bytes(make(Via=via)), UDP, 0.1) == []
    for change in ({"Call-ID": "d"}, {"CSeq": "8 INVITE"}, {"From": "<sip:alice@a>;tag=2"}):
        other = make(Via=via)
        for name, value in change.items():
            other.headers.set(name, value)
        arrive(layer, other)
    arrived = arrive(layer, make("CANCEL", Via=via, CSeq="7 CANCEL"))
    assert arrived.cancels is invite.transaction
    layer.respond(invite.transaction, invite.request.answer(487, tag="t"), 0.2)
    assert layer.receive(bytes(make("ACK", Via=via, To="<sip:bob@b>;tag=t")), UDP, 0.3) == []
    assert invite.transaction.state == "confirmed"


def test_the_ack_of_a_refusal_is_absorbed_and_of_a_2xx_told() -> None:
    layer = Transactions(Ids(b"1"))
    for status, expected in ((486, []), (200, [AckArrived])):
        via = f"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{status}"
        event = arrive(layer, make(Via=via))
        layer.respond(event.transaction, event.request.answer(status, tag="t"), 0.1)
        effects = layer.receive(bytes(make("ACK", Via=via)), UDP, 0.2)
        assert [type(event) for event in told(effects)] == expected
    effects = layer.receive(bytes(make("ACK", Via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKnew")), UDP, 0.2)
    assert [type(event) for event in told(effects)] == [AckArrived]


def test_a_refusal_without_an_ack_is_told() -> None:
    layer = Transactions(Ids(b"1"))
    event = arrive(layer, make(Via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"))
    layer.respond(event.transaction, event.request.answer(486, tag="t"), 0.0)
    events: list[object] = []
    while layer.deadline is not None:
        events += told(layer.tick(layer.deadline))
    assert events == [AckMissing(event.transaction)]
    assert left_over(layer) == 0


def test_cancel_finds_its_invite_or_nothing() -> None:
    layer = Transactions(Ids(b"1"))
    via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"
    invite = arrive(layer, make(Via=via))
    assert arrive(layer, make("CANCEL", Via=via)).cancels is invite.transaction
    assert arrive(layer, make("CANCEL", Via=via.replace("bK1", "bK2"))).cancels is None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello", None),
        (b"\x16\x03\x01\x02\x00\x01\x00", None),
        (bytes(make("ACK", Via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", CSeq="x")), None),
        (bytes(make("OPTIONS")), None),  # no Via: no way back
        (bytes(make("OPTIONS", Via='SIP/2.0/UDP a;b="')), None),
        (bytes(make("OPTIONS", Via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", To="joe")), 400),
        (bytes(make().answer(200)), None),
    ],
)
def test_what_is_wrong_is_answered_or_dropped_and_told(data: bytes, status: int | None) -> None:
    layer = Transactions(Ids(b"1"))
    effects = layer.receive(data, UDP, 5.0)
    (event,) = told(effects)
    assert isinstance(event, Violated)
    assert (event.at, event.source) == (5.0, "192.0.2.9:5060")
    assert event.did == ("dropped" if status is None else f"answered {status}")
    assert [message.status for message in sent(effects) if isinstance(message, Response)] == [status][
        : len(sent(effects))
    ]
    assert left_over(layer) == 0


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\r\n", b"\0\0\0\0"])
def test_keep_alives_are_no_violations(data: bytes) -> None:
    assert Transactions(Ids(b"1")).receive(data, UDP, 0.0) == []


def test_a_flood_of_requests_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.sip.transactions.MAX_SERVER_TRANSACTIONS", 50)
    layer = Transactions(Ids(b"1"))
    statuses = Counter(
        line
        for number in range(60)
        for line in lines(layer.receive(bytes(make(Via=f"SIP/2.0/UDP h;branch=z9hG4bK{number}")), UDP, 0.0))
    )
    assert statuses == {"503 UDP 192.0.2.9:5060": 10}


def test_a_flood_of_long_requests_is_bounded_too_and_passes() -> None:
    layer = Transactions(Ids(b"1"))

    def come(number: int, now: float) -> list[str]:
        request = make("MESSAGE", Via=f"SIP/2.0/UDP h;branch=z9hG4bK{number}")
        request.set_body(bytes(60_000), "text/plain")
        return lines(layer.receive(bytes(request), UDP, now))

    refused = [number for number in range(600) if come(number, 0.0)]
    assert refused == list(range(refused[0], 600))
    assert 500 < refused[0] < 560
    layer.tick(1000.0)
    assert not any(come(number, 1000.0) for number in range(600, 600 + refused[0]))


def test_a_flood_of_answers_leaves_no_alarms_behind() -> None:
    layer = Transactions(Ids(b"1"))
    transaction, _ = layer.request(make("OPTIONS"), UDP, 0.0)
    for _ in range(1000):
        hear(layer, transaction, 182, 0.1)
    assert len(layer._alarms) < 10
    for number in range(1000):  # nor do transactions that end at once
        layer.request(make("OPTIONS", CSeq=f"{number} OPTIONS"), TCP, 0.2)
        hear(layer, list(layer._clients.values())[-1], 200, 0.3)
    assert len(layer._clients) == 1
    assert len(layer._alarms) < 100


# Any input ------------------------------------------------------------------------------------------------------------

VIA = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK"
MESSAGES = [
    *(bytes(make(method, Via=f"{VIA}{n}")) for method in ("INVITE", "ACK", "CANCEL", "BYE", "X") for n in (1, 2)),
    bytes(make(Via="SIP/2.0/UDP 192.0.2.9")),
    bytes(make("ACK", Via="SIP/2.0/UDP 192.0.2.9")),
    bytes(make(Via=f"{VIA}3", Contact="joe")),
    b"",
    b"\r\n\r\n",
]
moves = st.one_of(
    st.sampled_from(MESSAGES),
    st.binary(max_size=40),
    st.tuples(st.sampled_from(("request", "cancel", "respond", "hear", "twist")), st.integers(0, 9), st.integers(0, 8)),
    st.sampled_from((UDP, TCP, "tick")),
    st.floats(0, 40),
)


@given(st.lists(moves, max_size=40), st.sampled_from((RFC_3261, TS_24_229)))
def test_any_sequence_raises_nothing_and_ends(steps: list[object], timers: Timers) -> None:
    layer, now = Transactions(Ids(b"any"), timers), 0.0
    clients: list[ClientTransaction] = []
    servers: list[ServerTransaction] = []

    def note(effects: list[Effect]) -> None:
        servers.extend(event.transaction for event in told(effects) if isinstance(event, RequestArrived))

    for step in steps:
        if isinstance(step, bytes):
            note(layer.receive(step, UDP, now))
        elif isinstance(step, float):
            now += step
        elif isinstance(step, Flow):
            note(layer.lost(step, now))
        elif step == "tick":
            note(layer.tick(now))
        elif isinstance(step, tuple):
            what, number, choice = step
            status = (100, 180, 183, 200, 302, 401, 486, 503, 600)[choice]
            if what == "request":
                request = make(("INVITE", "REGISTER", "BYE")[number % 3], Subject="x" * 1300 * (number % 2))
                clients.append(layer.request(request, (UDP, TCP)[number % 2], now)[0])
            elif what == "respond" and servers:
                server = servers[number % len(servers)]
                layer.respond(server, server.request.answer(status, tag="t"), now)
            elif clients:
                client = clients[number % len(clients)]
                if what == "cancel":
                    layer.cancel(client, now)
                else:
                    response = client.request.answer(status, tag="t")
                    if what == "twist":
                        response.headers.set("CSeq", "7 CANCEL")
                    note(layer.receive(bytes(response), client.flow, now))
    for server in servers:
        layer.respond(server, server.request.answer(486, tag="t"), now)
    for client in clients:
        if client.state == "proceeding":
            client.limit(now)
            layer.tick(now)
    for _ in range(1000):
        if layer.deadline is None:
            break
        now = max(now, layer.deadline)
        layer.tick(now)
    assert layer.deadline is None
    assert all(client.is_done or client.state == "proceeding" for client in clients)
    assert all(server.is_done for server in servers)


# Two of them over a bad link ------------------------------------------------------------------------------------------


class Pair:
    """A caller and a called side in virtual time; their owners do what user agents do, and no more."""

    def __init__(self, seed: int, loss: float, timers: Timers, transport: str) -> None:
        self.random = Random(seed)
        self.loss = loss
        self.timers = timers
        self.now = 0.0
        self.ends = {HERE: Transactions(Ids(b"here"), timers), THERE: Transactions(Ids(b"there"), timers)}
        self.flow = UDP.over(transport)  # type: ignore[arg-type]
        self.order = count()
        self.agenda: list[tuple[float, int, object]] = []
        self.finals: dict[ClientTransaction, list[str]] = {}
        self.acked: set[str] = set()

    def later(self, delay_s: float, action: object) -> None:
        heapq.heappush(self.agenda, (self.now + delay_s, next(self.order), action))

    def carry(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Tell):
                self.heed(effect.event)
                continue
            assert isinstance(effect, Send)
            copies = 1
            if effect.flow.transport == "UDP":
                copies = 0 if self.random.random() < self.loss else 1 + (self.random.random() < self.loss / 2)
            for _ in range(copies):
                reordered_s = 3 * self.random.random() if self.random.random() < self.loss else 0.0
                self.later(0.05 + reordered_s, effect)

    def start(self, method: str, number: int) -> None:
        transaction, effects = self.ends[HERE].request(make(method, **{"Call-ID": str(number)}), self.flow, self.now)
        self.finals[transaction] = []
        self.carry(effects)
        if method == "INVITE":
            self.later(60 * self.random.random(), transaction)  # when the caller loses patience

    def heed(self, event: object) -> None:
        if isinstance(event, RequestArrived):
            for delay_s in (0.1, self.random.choice((0.15, 1.0, 20.0))):
                self.later(delay_s, event)
        elif isinstance(event, AckArrived):
            self.acked.add(event.request.call_id)
        elif isinstance(event, ResponseArrived):
            if event.response.is_final:
                self.finals[event.transaction].append(str(event.response.status))
                if event.response.status == 200 and event.transaction.is_invite:
                    ack = make("ACK", **{"Call-ID": event.response.call_id})
                    self.carry(self.ends[HERE].send(ack, self.flow))
        elif isinstance(event, TransactionFailed):
            self.finals[event.transaction].append(event.cause)

    def serve(self, event: RequestArrived) -> None:
        request, layer = event.request, self.ends[THERE]
        if request.method == "CANCEL":
            self.carry(layer.respond(event.transaction, request.answer(200, tag="t"), self.now))
            if event.cancels is not None:
                self.carry(layer.respond(event.cancels, event.cancels.request.answer(487, tag="t"), self.now))
        elif event.transaction.state in ("trying", "proceeding"):
            status = self.random.choice((180, 200, 486) if request.method == "INVITE" else (200, 404))
            self.carry(layer.respond(event.transaction, request.answer(status, tag="t"), self.now))
            if status == 180:
                self.later(self.random.choice((1.0, 90.0)), event)
            elif status == 200 and request.method == "INVITE":
                self.later(self.timers.t1_s, (event, self.timers.t1_s))

    def repeat(self, event: RequestArrived, interval_s: float) -> None:
        # RFC 3261 13.3.1.4: the 2xx is repeated by its owner until the ACK
        if event.request.call_id not in self.acked and event.transaction.state == "accepted":
            answer = event.request.answer(200, tag="t")
            self.carry(self.ends[THERE].respond(event.transaction, answer, self.now))
            interval_s = min(2 * interval_s, self.timers.t2_s)
            self.later(interval_s, (event, interval_s))

    def run(self) -> None:
        for _ in range(20_000):
            times = [self.agenda[0][0]] if self.agenda else []
            times += [end.deadline for end in self.ends.values() if end.deadline is not None]
            if not times:
                return
            self.now = min(times)
            for end in self.ends.values():
                if end.deadline is not None and end.deadline <= self.now:
                    self.carry(end.tick(self.now))
            while self.agenda and self.agenda[0][0] <= self.now:
                self.act(heapq.heappop(self.agenda)[2])
        pytest.fail("never quiet")

    def act(self, action: object) -> None:
        if isinstance(action, Send):
            flow = action.flow
            back = Flow(flow.transport, flow.remote, flow.local)
            self.carry(self.ends[flow.remote].receive(action.data, back, self.now))
        elif isinstance(action, RequestArrived):
            self.serve(action)
        elif isinstance(action, ClientTransaction):
            self.carry(self.ends[HERE].cancel(action, self.now))
        elif isinstance(action, tuple):
            self.repeat(*action)


@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from((0.0, 0.1, 0.4, 0.8, 1.0)),
    timers=st.sampled_from((RFC_3261, TS_24_229)),
    transport=st.sampled_from(("UDP", "TCP")),
)
def test_every_request_ends_once_whatever_the_link_does(seed: int, loss: float, timers: Timers, transport: str) -> None:
    pair = Pair(seed, loss, timers, transport)
    for number, method in enumerate(("INVITE", "REGISTER", "INVITE", "BYE")):
        pair.start(method, number)
    pair.run()
    for transaction, finals in pair.finals.items():
        assert len(set(finals)) == 1, finals  # repeats of a 2xx aside
        assert len(finals) == 1 or (transaction.is_invite and finals[0] == "200")
        if loss == 0.0 or transport == "TCP":
            assert finals[0].isdigit()
        if loss == 1.0 and transport == "UDP":
            assert finals == ["timeout"]
    assert [left_over(end) for end in pair.ends.values()] == [0, 0]


@pytest.mark.parametrize("sent_by", ["192.0.2.7:5060", "192.0.2.1:5999"])
def test_a_response_to_somebody_elses_via_is_none_of_ours(sent_by: str) -> None:
    layer = Transactions(Ids(b"1"))
    transaction, _ = layer.request(make(), UDP, 0.0)
    response = transaction.request.answer(200, tag="9")
    strange = bytes(response).replace(b"192.0.2.1:5060;branch", f"{sent_by};branch".encode())
    assert strange != bytes(response)
    assert layer.receive(strange, UDP, 1.0) == []  # RFC 3261 18.1.2: silently
    assert told(layer.receive(bytes(response), UDP, 1.0))


def test_an_address_that_is_gone_takes_all_transactions_along() -> None:
    """Nobody is told and nothing rings: what waited has ended otherwise."""
    one = Transactions(Ids(b"drop"))
    one.request(make("OPTIONS"), UDP, 0.0)
    one.request(make(), UDP, 0.0)
    assert one.deadline is not None
    one.drop()
    assert one.deadline is None
    assert one.tick(1000.0) == []
    assert one.lost(UDP, 1000.0) == []
