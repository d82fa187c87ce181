"""Client transactions: when they repeat, when they give up, what goes up, how a refusal is acknowledged."""

from __future__ import annotations

import pytest

from imsphone.machine import Address, Effect, Flow, Send
from imsphone.sip.client import ClientTransaction
from imsphone.sip.message import Request, parse
from imsphone.sip.timers import RFC_3261, TS_24_229, Timers

UDP = Flow("UDP", Address("192.0.2.1", 5060), Address("192.0.2.9", 5060))
TCP = UDP.over("TCP")


def client(method: str = "INVITE", flow: Flow = UDP, timers: Timers = RFC_3261, now: float = 0.0) -> ClientTransaction:
    request = Request(method, "sip:bob@b")
    for name, value in (
        ("Via", f"SIP/2.0/{flow.transport} 192.0.2.1:5060;branch=z9hG4bK1;rport"),
        ("Max-Forwards", "70"), ("Route", "<sip:p;lr>, <sip:s;lr>"), ("Route", "<sip:t;lr>"),
        ("From", "<sip:alice@a>;tag=1"), ("To", "<sip:bob@b>"), ("Call-ID", "c"), ("CSeq", f"7 {method}"),
    ):  # fmt: skip
        request.headers.add(name, value)
    return ClientTransaction(request, flow, timers, now)


def play(transaction: ClientTransaction, until: float) -> tuple[list[float], float | None]:
    """When it sends from its alarms, and when it times out."""
    sent = []
    while (at := transaction.deadline) is not None and at <= until:
        effects, is_over = transaction.tick(at)
        sent += [at for _ in effects]
        if is_over:
            return sent, at
    return sent, None


def hear(transaction: ClientTransaction, status: int, now: float, tag: str = "2") -> tuple[list[Effect], bool]:
    return transaction.receive(transaction.request.answer(status, tag=tag), now)


@pytest.mark.parametrize(
    ("method", "flow", "timers", "sent", "over"),
    [
        # Timer A doubles from T1 on, Timer B is 64 T1 (RFC 3261 17.1.1.2)
        ("INVITE", UDP, RFC_3261, [0.5, 1.5, 3.5, 7.5, 15.5, 31.5], 32.0),
        ("INVITE", UDP, TS_24_229, [2, 6, 14, 30, 62, 126], 128.0),
        ("INVITE", TCP, RFC_3261, [], 32.0),
        # Timer E doubles up to T2, Timer F is 64 T1 (17.1.2.2)
        ("BYE", UDP, RFC_3261, [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5], 32.0),
        ("REGISTER", UDP, TS_24_229, [2, 6, 14, 30, 46, 62, 78, 94, 110, 126], 128.0),
        ("REGISTER", TCP, TS_24_229, [], 128.0),
    ],
)
def test_nobody_answers(method: str, flow: Flow, timers: Timers, sent: list[float], over: float) -> None:
    transaction = client(method, flow, timers, now=1000.0)
    assert [(effect.data, effect.flow) for effect in transaction.start()] == [(bytes(transaction.request), flow)]
    times, end = play(transaction, 2000.0)
    assert [at - 1000 for at in times] == sent
    assert end == 1000 + over
    assert transaction.is_done
    assert transaction.deadline is None


def test_a_provisional_answer_ends_the_repeats_of_an_invite_and_timer_b() -> None:
    transaction = client()
    play(transaction, 0.5)
    assert hear(transaction, 180, 0.7) == ([], True)
    assert transaction.state == "proceeding"
    assert transaction.deadline is None
    assert hear(transaction, 180, 500.0) == ([], True)


def test_a_provisional_answer_slows_other_repeats_down_to_t2() -> None:
    transaction = client("REGISTER")
    assert hear(transaction, 100, 0.2) == ([], True)
    assert play(transaction, 100.0) == ([0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5], 32.0)


@pytest.mark.parametrize(("timers", "linger_s"), [(RFC_3261, 5.0), (TS_24_229, 17.0)])
def test_timer_k_absorbs_late_answers(timers: Timers, linger_s: float) -> None:
    transaction = client("REGISTER", timers=timers)
    assert hear(transaction, 200, 1.0) == ([], True)
    assert hear(transaction, 200, 2.0) == ([], False)
    assert hear(transaction, 100, 2.0) == ([], False)
    assert transaction.deadline == 1.0 + linger_s
    assert transaction.tick(1.0 + linger_s) == ([], False)
    assert transaction.is_done
    assert transaction.final is not None
    assert transaction.final.status == 200


def test_over_tcp_nothing_lingers() -> None:
    for method, status in (("REGISTER", 401), ("INVITE", 486)):
        transaction = client(method, TCP)
        assert hear(transaction, status, 1.0)[1]
        assert transaction.is_done


@pytest.mark.parametrize(("timers", "linger_s"), [(RFC_3261, 32.0), (TS_24_229, 128.0)])
def test_a_refusal_is_acknowledged_each_time_it_comes_until_timer_d(timers: Timers, linger_s: float) -> None:
    transaction = client(timers=timers)
    first, is_news = hear(transaction, 486, 1.0)
    again, is_news_again = hear(transaction, 486, 2.0)
    assert is_news
    assert not is_news_again
    assert first == again
    assert hear(transaction, 200, 3.0) == ([], False)
    assert transaction.deadline == 1.0 + linger_s
    transaction.tick(1.0 + linger_s)
    assert transaction.is_done
    assert hear(transaction, 486, 500.0) == ([], False)


def test_the_ack_of_a_refusal_is_as_17_1_1_3_says() -> None:
    transaction = client()
    (sent,), _ = hear(transaction, 486, 1.0, tag="theirs")
    assert isinstance(sent, Send)
    ack = parse(sent.data)
    assert isinstance(ack, Request)
    assert (ack.method, ack.uri, sent.flow) == ("ACK", "sip:bob@b", UDP)
    assert list(ack.headers) == [
        ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport"),
        ("Max-Forwards", "70"),
        ("From", "<sip:alice@a>;tag=1"),
        ("To", "<sip:bob@b>;tag=theirs"),
        ("Call-ID", "c"),
        ("CSeq", "7 ACK"),
        ("Route", "<sip:p;lr>, <sip:s;lr>"),
        ("Route", "<sip:t;lr>"),
        ("Content-Length", "0"),
    ]


@pytest.mark.parametrize(("flow", "timers"), [(UDP, RFC_3261), (TCP, RFC_3261), (UDP, TS_24_229)])
def test_repeated_and_forked_2xx_go_up_until_timer_m(flow: Flow, timers: Timers) -> None:
    # RFC 6026 7.2: 64 T1 over any transport
    transaction = client(flow=flow, timers=timers)
    assert hear(transaction, 200, 1.0, tag="a") == ([], True)
    assert hear(transaction, 200, 2.0, tag="a") == ([], True)
    assert hear(transaction, 200, 3.0, tag="b") == ([], True)
    assert hear(transaction, 180, 3.0) == ([], False)
    assert hear(transaction, 486, 3.0) == ([], False)
    assert transaction.deadline == 1.0 + timers.timeout_s
    assert transaction.tick(1.0 + timers.timeout_s) == ([], False)
    assert transaction.is_done


def test_a_limit_ends_a_call_that_rings_for_ever() -> None:
    transaction = client()
    hear(transaction, 180, 1.0)
    transaction.limit(33.0)
    hear(transaction, 181, 2.0)
    assert play(transaction, 100.0) == ([], 33.0)
    done = client()
    hear(done, 486, 1.0)
    done.limit(2.0)
    assert done.deadline == 33.0  # Timer D as before


def test_moving_to_udp_starts_the_repeats() -> None:
    transaction = client(flow=TCP)
    assert transaction.move(transaction.request, UDP, 3.0) == [Send(bytes(transaction.request), UDP)]
    assert play(transaction, 100.0) == ([3.5, 4.5, 6.5, 10.5, 18.5], 32.0)


def test_failing() -> None:
    transaction = client()
    transaction.fail()
    assert transaction.is_done
    assert transaction.deadline is None
    assert hear(transaction, 200, 1.0) == ([], False)


def test_a_late_alarm_is_one_alarm() -> None:
    transaction = client("BYE")
    assert len(transaction.tick(20.0)[0]) == 1
    assert transaction.deadline == 21.0
    assert transaction.tick(20.5) == ([], False)
