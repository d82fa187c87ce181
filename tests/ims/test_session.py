"""Inside a dialog: re-INVITE, UPDATE, BYE and what does not belong there."""

from __future__ import annotations

from typing import Any

import pytest

from imsphone.events import CallEnded, CallHeld, CallResumed, MediaChanged, Violated
from imsphone.ims.session import INSIDE, Session
from imsphone.sdp.session import parse as parse_sdp

TIMEOUT_S = 128.0


@pytest.fixture
def call(phone: Any) -> str:
    """A call that stands: bob called, alice took it."""
    key: str = phone.invite("")
    phone.do(phone.ue.answer_call, key)
    phone.hear(phone.far_request("ACK", 1, branch="z9hG4bKack", tag=key))
    phone.forget()
    return key


def hold(phone: Any, direction: str, version: int) -> str:
    text: str = phone.sdp_offer.replace("o=- 7 1", f"o=- 7 {version}")
    return text + f"a={direction}\n"


def test_every_method_of_a_dialog_has_a_taker() -> None:
    assert all(hasattr(Session, name) for name in INSIDE.values())


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_the_far_end_holds_and_resumes(phone: Any, call: str, method: str) -> None:
    phone.hear(phone.far_request(method, 2, tag=call), hold(phone, "sendonly", 2))
    accepted = phone.responses[-1]
    assert accepted.status == 200
    assert accepted.contacts
    assert parse_sdp(accepted.body).media[0].direction == "recvonly"
    assert phone.names == ["MediaChanged", "CallHeld"]
    phone.hear(phone.far_request("ACK", 2, branch="z9hG4bKa2", tag=call))
    phone.hear(phone.far_request(method, 3, tag=call), hold(phone, "sendrecv", 3))
    assert phone.names == ["MediaChanged", "CallHeld", "MediaChanged", "CallResumed"]
    assert phone.events(CallHeld, CallResumed)[0].call == call


def test_the_200_of_a_reinvite_is_repeated_until_its_ack(phone: Any, call: str) -> None:
    phone.hear(phone.far_request("INVITE", 2, tag=call), hold(phone, "sendonly", 2))
    phone.wait(7)
    assert len(phone.sent) == 3
    phone.hear(phone.far_request("ACK", 1, branch="z9hG4bKold", tag=call))  # that of the first INVITE, late
    phone.wait(8)
    assert len(phone.sent) == 4
    phone.hear(phone.far_request("ACK", 2, branch="z9hG4bKnew", tag=call))
    phone.wait(TIMEOUT_S)
    assert phone.labels == ["200"]


def test_a_reinvite_that_is_never_acknowledged_ends_the_call(phone: Any, call: str) -> None:
    phone.hear(phone.far_request("INVITE", 2, tag=call), hold(phone, "sendonly", 2))
    phone.wait(TIMEOUT_S + 1)
    assert phone.labels == ["200", "BYE"]
    assert phone.events(CallEnded)[0].reason == "no ACK"


def test_a_reinvite_without_an_offer_gets_ours_again(phone: Any, call: str) -> None:
    phone.hear(phone.far_request("INVITE", 2, tag=call))
    offer = parse_sdp(phone.responses[-1].body)
    assert offer.media[0].port == 40000
    phone.hear(phone.far_request("UPDATE", 3, tag=call), hold(phone, "sendonly", 2))
    assert phone.labels[-1] == "491"  # RFC 3311 5.2: our offer waits for its answer
    moved = phone.sdp_answer.replace("50000", "50020")
    phone.hear(phone.far_request("ACK", 2, branch="z9hG4bKa2", tag=call), moved)
    assert phone.events(MediaChanged)[0].remote == ("127.0.10.50", 50020)


def test_an_update_without_a_body_only_moves_the_target(phone: Any, call: str) -> None:
    request = phone.far_request("UPDATE", 2, tag=call).replace("sip:bob@127.0.10.50:5060", "sip:bob@127.0.10.77:5060")
    phone.hear(request)
    assert phone.labels == ["200"]
    assert phone.told == []
    phone.do(phone.ue.hangup, call)
    assert phone.request.uri == "sip:bob@127.0.10.77:5060"  # RFC 3261 12.2.2: target refresh


@pytest.mark.parametrize(
    ("extra", "body", "status"), [("Content-Type: text/plain", "x", "415"), ("", "x", "488"), ("", "v=0\n", "488")]
)
def test_an_unusable_offer_leaves_the_call_as_it_is(phone: Any, call: str, extra: str, body: str, status: str) -> None:
    phone.hear(phone.far_request("INVITE", 2, extra, tag=call), body)
    assert phone.labels == [status]
    assert phone.told == []
    assert phone.ue.calls[call].state == "active"


def test_what_comes_out_of_order_is_refused(phone: Any, call: str) -> None:
    phone.hear(phone.far_request("UPDATE", 5, tag=call))
    phone.hear(phone.far_request("UPDATE", 4, tag=call))
    assert phone.labels == ["200", "500"]  # RFC 3261 12.2.2
    assert phone.events(Violated)[0].clause == "RFC 3261 12.2.2"


def test_a_reinvite_before_the_answer_is_refused_for_a_while(phone: Any) -> None:
    key = phone.invite("")
    phone.hear(phone.far_request("INVITE", 2, branch="z9hG4bKre", tag=key), phone.sdp_offer)
    refused = phone.responses[-1]
    assert refused.status == 500  # RFC 3261 14.2
    assert 0 <= (refused.number("Retry-After") or 0) <= 10
    phone.hear(phone.far_request("UPDATE", 3, tag=key), phone.sdp_offer)
    assert phone.responses[-1].status == 500  # RFC 3311 5.2


@pytest.mark.parametrize(
    ("method", "status"), [("PRACK", "481"), ("OPTIONS", "200"), ("INFO", "405"), ("REFER", "405"), ("FLY", "501")]
)
def test_other_requests_in_the_dialog(phone: Any, call: str, method: str, status: str) -> None:
    phone.hear(phone.far_request(method, 2, "RAck: 1 1 INVITE", tag=call))
    assert phone.labels == [status]
    assert phone.ue.calls[call].state == "active"
    if status in ("405", "501"):
        assert "UPDATE" in phone.responses[-1].allow


def test_a_stranger_is_not_let_into_the_dialog(phone: Any, call: str) -> None:
    request = phone.far_request("BYE", 2, tag=call)
    phone.hear(request.replace("tag=far", "tag=stranger"))
    phone.hear(request.replace("far-call", "other-call").replace("BYE2", "BYE3"))
    assert phone.labels == ["481", "481"]
    assert phone.ue.calls[call].state == "active"


def test_byes_that_cross_are_both_answered(phone: Any, call: str) -> None:
    phone.do(phone.ue.hangup, call)
    phone.hear(phone.far_request("BYE", 2, tag=call))
    assert phone.labels == ["BYE", "200"]
    assert len(phone.events(CallEnded)) == 1


def test_after_the_end_nothing_but_bye_is_heard(phone: Any, call: str) -> None:
    phone.hear(phone.far_request("BYE", 2, tag=call))
    phone.hear(phone.far_request("UPDATE", 3, tag=call), phone.sdp_offer)
    assert phone.labels == ["200", "481"]


def test_an_ended_call_is_forgotten(phone: Any, call: str) -> None:
    phone.do(phone.ue.hangup, call)
    phone.reply("200 OK")
    assert phone.ue.calls[call].state == "ended"
    phone.wait(TIMEOUT_S + 1)
    assert call not in phone.ue.calls
