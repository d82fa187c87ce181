"""Reliable provisional responses: RFC 3262."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.sip.fields import RAck
from imsphone.sip.message import Request, Response
from imsphone.sip.reliable import ReliableResponses, RSeqOrder, is_reliable
from imsphone.sip.timers import RFC_3261, TS_24_229, Timers

INVITE = Request("INVITE", "sip:bob@b", [("To", "<sip:bob@b>"), ("CSeq", "314159 INVITE")])


def progress(status: int = 183) -> Response:
    return INVITE.answer(status, tag="t")


def rack(rseq: int, cseq: int = 314159, method: str = "INVITE") -> RAck:
    return RAck(rseq, cseq, method)


@pytest.mark.parametrize(
    ("timers", "repeats", "end"),
    [(RFC_3261, [0.5, 1.5, 3.5, 7.5, 15.5, 31.5], 32.0), (TS_24_229, [2, 6, 14, 30, 62, 126], 128.0)],
)
def test_repeated_at_t1_doubling_and_given_up_after_64_t1(timers: Timers, repeats: list[float], end: float) -> None:
    # RFC 3262 3
    called = ReliableResponses(9021, timers)
    response = called.send(progress(), 0.0)
    assert response is not None
    assert (response.rseq, response.require) == (9021, ["100rel"])
    times = []
    while (at := called.deadline) is not None:
        again, is_over = called.tick(at)
        if is_over:
            assert at == end
        else:
            assert again is response
            times.append(at)
    assert times == repeats
    assert called.tick(1000.0) == (None, False)


def test_a_prack_ends_the_repeats() -> None:
    called = ReliableResponses(7, RFC_3261)
    called.send(progress(), 0.0)
    assert not called.is_acknowledged
    for wrong in (rack(8), rack(7, 1), rack(7, method="UPDATE"), None):
        assert called.acknowledge(wrong, 0.1) == (False, None)
    assert called.acknowledge(rack(7), 0.2) == (True, None)
    assert called.is_acknowledged
    assert called.deadline is None
    assert called.acknowledge(rack(7), 0.3) == (False, None)


def test_one_at_a_time_each_one_more() -> None:
    called = ReliableResponses(7, RFC_3261)
    assert called.send(progress(183), 0.0) is not None
    assert called.send(progress(180), 0.1) is None
    assert called.send(progress(181), 0.2) is None
    fits, following = called.acknowledge(rack(7), 1.0)
    assert fits
    assert following is not None
    assert (following.status, following.rseq) == (180, 8)
    assert called.deadline == 1.5
    fits, following = called.acknowledge(rack(8), 2.0)
    assert following is not None
    assert (following.status, following.rseq) == (181, 9)


def test_a_final_answer_stops_the_repeats_but_a_late_prack_still_fits() -> None:
    called = ReliableResponses(7, RFC_3261)
    called.send(progress(183), 0.0)
    called.send(progress(180), 0.1)
    called.stop()
    assert called.deadline is None
    assert called.tick(50.0) == (None, False)
    assert called.acknowledge(rack(7), 1.0) == (True, None)


def test_the_first_number_is_from_1_to_2_31() -> None:
    for number in (0, 1 << 31, (1 << 32) - 1):
        response = ReliableResponses(number, RFC_3261).send(progress(), 0.0)
        assert response is not None
        assert 1 <= (response.rseq or 0) < 1 << 31


def reliable(rseq: str, status: int = 180, require: str = "100rel") -> Response:
    return Response(status, headers=[("Require", require), ("RSeq", rseq)])


def test_what_asks_for_a_prack() -> None:
    assert is_reliable(reliable("1"))
    assert is_reliable(reliable("1", require="precondition, 100REL"))
    assert not is_reliable(reliable("1", 100))  # RFC 3262 3: 100 is never sent reliably
    assert not is_reliable(reliable("1", 200))
    assert not is_reliable(reliable("x"))
    assert not is_reliable(reliable("1", require="foo"))


def test_the_caller_acknowledges_in_order_each_once() -> None:
    # RFC 3262 4
    order = RSeqOrder()
    heard = ["776655", "776655", "776657", "776656", "776657", "776656", "0", "x"]
    assert [order.accepts(reliable(rseq)) for rseq in heard] == [True, False, False, True, True, False, False, False]
    assert not RSeqOrder().accepts(reliable("0"))
    assert not RSeqOrder().accepts(reliable(str(1 << 32)))


@given(st.lists(st.sampled_from(["send", "ack", "stray", "tick"]), max_size=30))
def test_everything_sent_is_acknowledged_in_order(steps: list[str]) -> None:
    called, order, now = ReliableResponses(1, RFC_3261), RSeqOrder(), 0.0
    wire: list[Response] = []
    n_sent = n_acked = 0
    for step in steps:
        now += 0.01
        if step == "send":
            n_sent += 1
            wire += filter(None, [called.send(progress(), now)])
        elif step == "tick":
            wire += filter(None, [called.tick(now)[0]])
        elif step == "stray":
            assert called.acknowledge(rack(1 << 30), now) == (False, None)
        elif wire:
            response = wire[-1]
            fits, following = called.acknowledge(rack(response.rseq or 0), now)
            assert fits == order.accepts(response)
            n_acked += fits
            wire += filter(None, [following])
    assert n_acked <= n_sent
    assert called.is_acknowledged == (n_acked == n_sent)
