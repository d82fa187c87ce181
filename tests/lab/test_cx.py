"""A CSCF's end of Cx: opened once, every answer to its question, none waits for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imsphone.lab import cx, diameter
from imsphone.lab.cx import Cx, CxAnswered
from imsphone.lab.diameter import Avp, Avps, Message
from imsphone.machine import Address, Effect, Flow, Ids, Send, Tell

REALM = "ims.example"
FLOW = Flow("TCP", Address("127.0.10.20", 5060), Address("127.0.10.40", 3868))


def client() -> Cx:
    return Cx(f"icscf.{REALM}", REALM, FLOW, Ids(b"cx"))


def sent(effects: list[Effect]) -> list[Message]:
    return [diameter.parse(effect.data) for effect in effects if isinstance(effect, Send)]


def told(effects: list[Effect]) -> list[CxAnswered]:
    return [effect.event for effect in effects if isinstance(effect, Tell) and isinstance(effect.event, CxAnswered)]


def answer(request: Message, code: int = 2001) -> bytes:
    return bytes(request.answer([Avp.of(268, code)]))


def opened(machine: Cx) -> Cx:
    [cer] = sent(machine.ask(302, cx.location_info("sip:a@b"), "opening", 0.0))
    [lir] = sent(machine.receive(answer(cer), FLOW, 0.0))
    machine.receive(answer(lir), FLOW, 0.0)
    return machine


def test_the_first_question_opens_the_connection_and_waits_for_it() -> None:
    machine = client()
    [cer] = sent(machine.ask(302, cx.location_info("sip:a@b"), "first", 0.0))
    assert (cer.command, cer.is_request, cer.application) == (257, True, 0)
    assert cer.avps.text(264) == f"icscf.{REALM}"
    assert cer.avps.group(260).number(258) == 16777216
    assert sent(machine.ask(302, cx.location_info("sip:c@d"), "second", 0.0)) == []

    first, second = sent(machine.receive(answer(cer), FLOW, 0.01))
    assert first.avps.text(601, 10415) == "sip:a@b"
    assert first.avps.text(283) == REALM
    [done] = told(machine.receive(answer(second), FLOW, 0.02))
    assert done.about == "second"
    [third] = sent(machine.ask(300, [], "third", 0.03))
    assert third.command == 300


def test_two_questions_differ_in_hop_by_hop_and_session() -> None:
    machine = opened(client())
    [one], [two] = sent(machine.ask(302, [], 1, 0.0)), sent(machine.ask(302, [], 2, 0.0))
    assert one.hop_by_hop != two.hop_by_hop
    assert one.avps.text(263) != two.avps.text(263)
    assert one.is_proxiable


def test_an_answer_comes_once_and_to_its_own_question_only() -> None:
    machine = opened(client())
    [question] = sent(machine.ask(302, [], "it", 0.0))
    stray = Message(302, cx.APPLICATION_CX, question.hop_by_hop ^ 1 << 31, 0, Avps())
    assert machine.receive(bytes(stray), FLOW, 0.0) == []
    assert len(told(machine.receive(answer(question), FLOW, 0.0))) == 1
    assert machine.receive(answer(question), FLOW, 0.0) == []
    assert machine.deadline is None


def test_an_answer_that_does_not_come_ends_the_question() -> None:
    machine = opened(client())
    machine.ask(302, [], "one", 10.0)
    machine.ask(302, [], "two", 11.0)
    assert machine.deadline == 15.0
    assert told(machine.tick(15.0)) == [CxAnswered("one", None)]
    assert machine.deadline == 16.0


def test_a_lost_connection_ends_all_questions_and_is_opened_again() -> None:
    machine = opened(client())
    machine.ask(302, [], "one", 0.0)
    assert told(machine.lost(FLOW, 0.0)) == [CxAnswered("one", None)]
    [cer] = sent(machine.ask(302, [], "two", 1.0))
    assert cer.command == 257


def test_a_connection_that_never_opens_is_tried_again_by_the_next_question() -> None:
    machine = client()
    machine.ask(302, [], "one", 0.0)
    assert told(machine.tick(5.0)) == [CxAnswered("one", None)]
    [cer] = sent(machine.ask(302, [], "two", 6.0))
    assert cer.command == 257
    [only] = sent(machine.receive(answer(cer), FLOW, 6.0))
    assert only.command == 302


def test_an_hss_that_does_not_speak_cx_answers_nothing() -> None:
    machine = client()
    [cer] = sent(machine.ask(302, [], "one", 0.0))
    assert told(machine.receive(answer(cer, 5010), FLOW, 0.0)) == [CxAnswered("one", None)]


def test_a_watchdog_is_answered_and_another_request_is_not_supported() -> None:
    machine = opened(client())
    watchdog = Message(diameter.DEVICE_WATCHDOG, 0, 1, 2, Avps(), is_request=True)
    [dwa] = sent(machine.receive(bytes(watchdog), FLOW, 0.0))
    assert dwa.result == (2001, False)
    [ppa] = sent(machine.receive(bytes(Message(305, 16777216, 1, 2, Avps(), is_request=True)), FLOW, 0.0))
    assert ppa.result == (3001, False)


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_octets_end_no_question_twice(frames: list[bytes]) -> None:
    machine = client()
    ended = told(machine.ask(302, [], "it", 0.0))
    for data in frames:
        framed = b"\1" + (20 + len(data)).to_bytes(3, "big") + data[:16].ljust(16, b"\0") + data
        for octets in (data, framed):
            ended += told(machine.receive(octets, FLOW, 0.0))
    ended += told(machine.tick(100.0))
    assert [event.about for event in ended] == ["it"]


def test_a_user_whom_the_hss_takes_away_is_told_and_answered() -> None:
    machine = opened(client())
    avps = cx.registration_termination("me@home", ["sip:me@home", "tel:+1"], cx.SERVER_CHANGE)
    effects = machine.receive(bytes(Message(304, 16777216, 1, 2, Avps(avps), is_request=True)), FLOW, 0.0)
    [rta] = sent(effects)
    assert rta.result == (2001, False)
    told = [effect.event for effect in effects if isinstance(effect, Tell)]
    assert told == [cx.CxRequested("me@home", ("sip:me@home", "tel:+1"), cx.SERVER_CHANGE)]
