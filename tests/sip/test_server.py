"""Server transactions: answers repeated, acknowledged, forgotten."""

from __future__ import annotations

import pytest

from imsphone.machine import Address, Effect, Flow, Send
from imsphone.sip.message import Request, Response, parse
from imsphone.sip.server import ServerTransaction
from imsphone.sip.timers import RFC_3261, TS_24_229, Timers

UDP = Flow("UDP", Address("192.0.2.9", 5060), Address("192.0.2.1", 5060))
TCP = UDP.over("TCP")


def server(method: str = "INVITE", flow: Flow = UDP, timers: Timers = RFC_3261, now: float = 0.0) -> ServerTransaction:
    request = Request(method, "sip:bob@b")
    for name, value in (
        ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1"), ("From", "<sip:alice@a>;tag=1"), ("To", "<sip:bob@b>"),
        ("Call-ID", "c"), ("CSeq", f"7 {method}"), ("Timestamp", "54"),
    ):  # fmt: skip
        request.headers.add(name, value)
    return ServerTransaction(request, flow, timers, ("z9hG4bK1", "192.0.2.1", 5060, method), now)


def say(transaction: ServerTransaction, status: int, now: float) -> list[int]:
    return statuses(transaction.respond(transaction.request.answer(status, tag="2"), now))


def statuses(effects: list[Effect]) -> list[int]:
    messages = [parse(effect.data) for effect in effects if isinstance(effect, Send)]
    return [message.status for message in messages if isinstance(message, Response)]


def play(transaction: ServerTransaction, until: float) -> tuple[list[tuple[float, int]], float | None]:
    """What it sends from its alarms, and when it misses an ACK."""
    sent: list[tuple[float, int]] = []
    while (at := transaction.deadline) is not None and at <= until:
        effects, is_over = transaction.tick(at)
        sent += [(at, status) for status in statuses(effects)]
        if is_over:
            return sent, at
    return sent, None


def test_an_invite_is_answered_with_100_after_200_ms() -> None:
    # RFC 3261 17.2.1; 8.2.6.1: the Timestamp is copied
    transaction = server(now=10.0)
    assert transaction.deadline == 10.2
    (effect,) = transaction.tick(10.2)[0]
    assert isinstance(effect, Send)
    trying = parse(effect.data)
    assert isinstance(trying, Response)
    assert (trying.status, trying.to.tag, trying.headers.get("Timestamp")) == (100, "", "54")
    assert transaction.deadline is None
    assert statuses(transaction.repeat()) == [100]


@pytest.mark.parametrize("status", [100, 180, 200])
def test_no_100_where_the_owner_has_spoken(status: int) -> None:
    transaction = server()
    say(transaction, status, 0.1)
    assert play(transaction, 100.0) == ([], None)


def test_a_repeated_request_gets_the_last_answer_again() -> None:
    for method in ("INVITE", "REGISTER"):
        transaction = server(method)
        assert transaction.repeat() == []
        assert say(transaction, 180, 0.1) == [180]
        assert statuses(transaction.repeat()) == [180]
        assert say(transaction, 183, 0.2) == [183]
        assert statuses(transaction.repeat()) == [183]
        assert say(transaction, 486, 0.3) == [486]
        assert statuses(transaction.repeat()) == [486]


@pytest.mark.parametrize(
    ("timers", "repeats", "end"),
    [
        # Timer G doubles from T1 up to T2, Timer H is 64 T1
        (RFC_3261, [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5], 32.0),
        (TS_24_229, [2, 6, 14, 30, 46, 62, 78, 94, 110, 126], 128.0),
    ],
)
def test_a_refusal_is_repeated_until_its_ack(timers: Timers, repeats: list[float], end: float) -> None:
    transaction = server(timers=timers)
    say(transaction, 486, 0.0)
    assert play(transaction, 1000.0) == ([(at, 486) for at in repeats], end)
    assert transaction.is_done


@pytest.mark.parametrize(("timers", "linger_s"), [(RFC_3261, 5.0), (TS_24_229, 17.0)])
def test_timer_i_absorbs_more_acks(timers: Timers, linger_s: float) -> None:
    transaction = server(timers=timers)
    say(transaction, 486, 0.0)
    transaction.acknowledge(1.0)
    assert transaction.state == "confirmed"
    transaction.acknowledge(2.0)
    assert transaction.repeat() == []
    assert transaction.deadline == 1.0 + linger_s
    assert transaction.tick(1.0 + linger_s) == ([], False)
    assert transaction.is_done


def test_over_tcp_a_refusal_is_not_repeated_but_its_ack_awaited() -> None:
    transaction = server(flow=TCP)
    say(transaction, 486, 0.0)
    assert play(transaction, 100.0) == ([], 32.0)
    transaction = server(flow=TCP)
    say(transaction, 486, 0.0)
    transaction.acknowledge(1.0)
    assert transaction.is_done


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_after_a_2xx_only_more_2xx_leave_until_timer_l(flow: Flow) -> None:
    # RFC 6026 7.1
    transaction = server(flow=flow)
    assert say(transaction, 200, 0.0) == [200]
    assert transaction.repeat() == []
    assert say(transaction, 200, 0.5) == [200]
    assert say(transaction, 486, 1.0) == []
    assert say(transaction, 180, 1.0) == []
    transaction.acknowledge(1.0)
    assert transaction.state == "accepted"
    assert play(transaction, 100.0) == ([], None)
    assert transaction.is_done
    assert say(transaction, 200, 33.0) == []


def test_timer_j_keeps_a_final_answer_for_repeats() -> None:
    transaction = server("REGISTER")
    say(transaction, 200, 1.0)
    assert say(transaction, 401, 2.0) == []
    assert transaction.deadline == 33.0
    transaction.tick(33.0)
    assert transaction.is_done
    assert transaction.repeat() == []
    over_tcp = server("REGISTER", TCP)
    say(over_tcp, 200, 1.0)
    assert over_tcp.is_done


def test_a_request_that_its_owner_never_answers_is_forgotten() -> None:
    # RFC 4320 4.2: the client gave up at the same time (Timer F)
    transaction = server("REGISTER", now=1.0)
    assert transaction.deadline == 33.0
    assert transaction.tick(33.0) == ([], False)
    assert transaction.is_done
    assert say(transaction, 200, 34.0) == []


def test_a_call_may_ring_for_hours() -> None:
    transaction = server()
    say(transaction, 180, 0.1)
    assert transaction.deadline is None
    assert say(transaction, 200, 7200.0) == [200]


def test_an_ack_before_any_refusal_changes_nothing() -> None:
    transaction = server()
    transaction.acknowledge(0.1)
    assert transaction.state == "proceeding"


def test_a_new_way_back_and_none() -> None:
    transaction = server(flow=TCP)
    other = TCP._replace(remote=Address("192.0.2.1", 5070))
    transaction.move(other)
    (effect,) = transaction.respond(transaction.request.answer(180), 0.1)
    assert isinstance(effect, Send)
    assert effect.flow == other
    transaction.move(other)
    assert transaction.is_done
