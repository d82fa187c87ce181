"""What every SIP node does with what passes through it (RFC 3261 16), on a node that sends everything onward."""

from __future__ import annotations

import pytest

from imsphone.lab.node import TIMER_C_S, Node, is_literal
from imsphone.machine import Address, Effect, Flow, Ids, Send, Tell
from imsphone.sip.message import Request, Response, parse
from imsphone.sip.server import ServerTransaction
from imsphone.sip.uri import Uri

HERE = Address("127.0.0.5", 5060)
BEFORE = Flow("UDP", HERE, Address("127.0.0.1", 5060))
BEHIND = Address("127.0.0.9", 5060)


class Relay(Node):
    """A proxy for everybody."""

    def serve(self, request: Request, transaction: ServerTransaction, flow: Flow, now: float) -> list[Effect]:
        self.pop_own_route(request)
        self.record_route(request, "me")
        return self.relay(request, transaction, now)


def relay() -> Relay:
    return Relay(HERE, Ids(b"node"), {"behind.example": BEHIND})


def message(method: str = "INVITE", uri: str = "sip:b@127.0.0.9", *lines: str, branch: str = "1") -> bytes:
    more = "".join(f"{line}\r\n" for line in lines)
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{branch}\r\n{more}"
        f"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def sent(effects: list[Effect]) -> list[tuple[Request | Response, Flow]]:
    return [(parse(effect.data), effect.flow) for effect in effects if isinstance(effect, Send)]


def up(request: Request, status: int, *lines: tuple[str, str]) -> bytes:
    response = request.answer(status, tag="2")
    for name, value in lines:
        response.headers.add(name, value)
    return bytes(response)


def only(effects: list[Effect]) -> Request | Response:
    [(one, _)] = sent(effects)
    return one


def statuses(effects: list[Effect]) -> list[int]:
    return [one.status for one, _ in sent(effects) if isinstance(one, Response)]


def test_a_request_goes_on_with_one_hop_less_and_two_headers_more() -> None:
    effects = relay().receive(message("INVITE", "sip:b@127.0.0.9", "Max-Forwards: 10"), BEFORE, 0.0)
    (trying, back), (invite, onward) = sent(effects)
    assert isinstance(trying, Response)
    assert (trying.status, back) == (100, BEFORE)
    assert isinstance(invite, Request)
    assert onward == Flow("UDP", HERE, BEHIND)
    assert invite.max_forwards == 9
    assert [via.host for via in invite.vias] == ["127.0.0.5", "127.0.0.1"]
    assert str(invite.record_routes[0].uri) == "sip:me@127.0.0.5:5060;lr"


def test_without_max_forwards_it_gets_one() -> None:
    [_, (invite, _)] = sent(relay().receive(message(), BEFORE, 0.0))
    assert invite.max_forwards == 70


@pytest.mark.parametrize(
    ("uri", "route", "to"),
    [
        ("sip:b@127.0.0.8", "Route: <sip:127.0.0.9;lr>", BEHIND),
        ("sip:b@127.0.0.8", "Route: <sip:127.0.0.5:5060;lr>, <sip:x@127.0.0.9:5070;lr>", Address("127.0.0.9", 5070)),
        ("sip:b@127.0.0.8", "Route: <sip:me@127.0.0.5;lr>", Address("127.0.0.8", 5060)),
        ("sip:b@behind.example", "X: y", BEHIND),
        ("sip:b@[::1]:99", "X: y", Address("::1", 99)),
    ],
)
def test_where_a_request_goes(uri: str, route: str, to: Address) -> None:
    [(_, flow)] = sent(relay().receive(message("MESSAGE", uri, route), BEFORE, 0.0))
    assert flow.remote == to


def test_the_transport_that_a_uri_names() -> None:
    assert relay().hop(Uri.parse("sip:127.0.0.9;transport=tcp")) == Flow("TCP", HERE, BEHIND)
    assert relay().hop(Uri.parse("sip:nowhere.example")) is None


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Max-Forwards: 0"], 483),
        (["Proxy-Require: teleport"], 420),
        (["Route: <sip:nowhere.example;lr>"], 404),
        (["Route: <:>"], 400),
    ],
)
def test_what_does_not_go_on(lines: list[str], status: int) -> None:
    effects = relay().receive(message("MESSAGE", "sip:b@127.0.0.9", *lines), BEFORE, 0.0)
    assert statuses(effects) == [status]


def call(node: Relay) -> Request:
    request = sent(node.receive(message(), BEFORE, 0.0))[-1][0]
    assert isinstance(request, Request)
    return request


def test_answers_go_back_without_our_via_and_100_stays() -> None:
    node = relay()
    invite = call(node)
    behind = Flow("UDP", HERE, BEHIND)
    assert node.receive(up(invite, 100), behind, 0.1) == []
    [(ringing, flow)] = sent(node.receive(up(invite, 180), behind, 0.2))
    assert flow == BEFORE
    assert [via.host for via in ringing.vias] == ["127.0.0.1"]
    assert statuses(node.receive(up(invite, 200), behind, 0.3)) == [200]
    assert statuses(node.receive(up(invite, 200), behind, 0.8)) == [200]  # a repeat goes all the way too


def test_the_ack_of_a_200_goes_on_by_its_route() -> None:
    node = relay()
    call(node)
    ack = message("ACK", "sip:b@127.0.0.9", "Route: <sip:me@127.0.0.5;lr>", "Max-Forwards: 3", branch="2")
    [(onward, flow)] = sent(node.receive(ack, BEFORE, 1.0))
    assert isinstance(onward, Request)
    assert (onward.method, flow.remote, onward.max_forwards) == ("ACK", BEHIND, 2)
    assert "Route" not in onward.headers
    assert sent(node.receive(message("ACK", "sip:b@h", "Max-Forwards: 0", branch="3"), BEFORE, 1.0)) == []
    assert sent(node.receive(message("ACK", "sip:b@h", "Route: <:>", branch="4"), BEFORE, 1.0)) == []


def test_a_cancel_is_answered_and_sent_on() -> None:
    node = relay()
    invite = call(node)
    node.receive(up(invite, 180), Flow("UDP", HERE, BEHIND), 0.1)
    (ok, back), (cancel, onward) = sent(node.receive(message("CANCEL"), BEFORE, 0.2))
    assert isinstance(ok, Response)
    assert (ok.status, ok.cseq.method, back) == (200, "CANCEL", BEFORE)
    assert isinstance(cancel, Request)
    assert (cancel.method, onward.remote) == ("CANCEL", BEHIND)
    assert cancel.via.branch == invite.via.branch
    assert statuses(node.receive(message("CANCEL", branch="9"), BEFORE, 0.3)) == [481]


def test_no_answer_is_a_408_and_no_way_a_500() -> None:
    node = relay()
    call(node)
    answers: list[int] = []
    for _ in range(20):
        if (at := node.deadline) is not None and at < 33:
            answers += statuses(node.tick(at))
    assert answers[0] == 408
    node = relay()
    call(node)
    assert statuses(node.lost(Flow("UDP", HERE, BEHIND), 0.1)) == [500]


def test_timer_c_ends_a_call_that_rings_for_ever() -> None:
    node = relay()
    invite = call(node)
    node.receive(up(invite, 180), Flow("UDP", HERE, BEHIND), 10.0)
    assert node.deadline == 10.0 + TIMER_C_S
    [(cancel, _)] = sent(node.tick(10.0 + TIMER_C_S))
    assert isinstance(cancel, Request)
    assert cancel.method == "CANCEL"


def test_a_call_that_was_answered_has_no_timer_c() -> None:
    node = relay()
    invite = call(node)
    node.receive(up(invite, 180), Flow("UDP", HERE, BEHIND), 10.0)
    node.receive(up(invite, 200), Flow("UDP", HERE, BEHIND), 11.0)
    times = []
    while (at := node.deadline) is not None:
        times.append(at)
        node.tick(at)
    assert max(times) <= 11.0 + 32.0


def test_garbage_is_told_to_the_owner() -> None:
    [effect] = relay().receive(b"\xff\xfe", BEFORE, 0.0)
    assert isinstance(effect, Tell)


@pytest.mark.parametrize(("host", "literal"), [("127.0.0.1", True), ("::1", True), ("a.example", False), ("", False)])
def test_what_a_literal_is(host: str, literal: bool) -> None:
    assert is_literal(host) is literal
