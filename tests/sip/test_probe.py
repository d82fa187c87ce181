"""A probe finds whoever takes SIP, passes by whoever does not, and ends."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from imsphone.machine import Address, Ask, Flow, Ids, Resolve, Send, Tell
from imsphone.sip.message import Request, parse
from imsphone.sip.probe import Answered, Probe, Unanswered
from imsphone.sip.timers import RFC_3261

US = Address("127.0.0.1", 5070)
FIRST = Flow("UDP", US, Address("127.0.0.2", 5060))
SECOND = Flow("TCP", US, Address("127.0.0.2", 5060))
QUESTION = Resolve("127.0.0.2")


def begun(flows: Any) -> tuple[Probe, list[Any]]:
    probe = Probe("ims.example", Ids(b"probe"), RFC_3261)
    (ask,) = probe.ask(QUESTION, 0.0)
    assert ask == Ask(QUESTION)
    return probe, probe.answer(ask, flows, 0.0)


def test_any_answer_is_a_sign_of_life() -> None:
    probe, (sent,) = begun((FIRST, SECOND))
    request = parse(sent.data)
    assert isinstance(request, Request)
    assert request.method == "OPTIONS"
    assert probe.receive(bytes(request.answer(403, tag="x")), FIRST, 0.1) == [Tell(Answered(FIRST, 403, "Forbidden"))]


def test_a_refused_flow_is_passed_by_at_once_and_a_silent_one_after_timer_f() -> None:
    probe, _ = begun((FIRST, SECOND))
    (sent,) = probe.lost(FIRST, 0.1)
    assert isinstance(sent, Send)
    assert sent.flow == SECOND
    effects = []
    while probe.deadline is not None:
        effects = probe.tick(probe.deadline)
    assert effects == [Tell(Unanswered((FIRST, SECOND)))]


def test_where_nothing_leads_nobody_answers() -> None:
    assert begun(None)[1] == [Tell(Unanswered(()))]


@given(st.binary(max_size=200))
def test_no_octets_upset_it(data: bytes) -> None:
    probe, _ = begun((FIRST,))
    assert not any(isinstance(effect, Tell) for effect in probe.receive(data, FIRST, 0.1))
