"""The called side, message by message. What the far end says, `Bench.far_request` writes."""

from __future__ import annotations

from typing import Any

import pytest

from imsphone.errors import StateError
from imsphone.events import CallAnswered, CallEnded, CallIncoming, CallRinging, MediaStarted, Violated
from imsphone.ims.called import MOVES, IncomingCall
from imsphone.machine import OpenMedia
from imsphone.sdp.session import parse as parse_sdp

T1_S, TIMEOUT_S = 2.0, 128.0  # TS 24.229 table 7.7.1


def ended(phone: Any) -> CallEnded:
    (event,) = phone.events(CallEnded)
    return event


def prack(phone: Any, key: str, cseq: int = 2, body: str = "") -> None:
    """The far end acknowledges the last reliable response."""
    rseq = phone.responses[-1].rseq or next(r.rseq for r in reversed(phone.responses) if r.rseq)
    phone.hear(phone.far_request("PRACK", cseq, f"RAck: {rseq} 1 INVITE", tag=key), body)


def ack(phone: Any, key: str, cseq: int = 1, body: str = "") -> None:
    phone.hear(phone.far_request("ACK", cseq, branch="z9hG4bKack", tag=key), body)


def active(phone: Any) -> str:
    """A call that stands, what it did forgotten."""
    key = phone.invite("")
    phone.do(phone.ue.answer_call, key)
    ack(phone, key)
    phone.forget()
    return key


def test_every_input_has_an_answer_in_every_state() -> None:
    states, inputs = {state for state, _ in MOVES}, {name for _, name in MOVES}
    assert states == {"opening", "ringing", "accepting", "active", "ended"}
    assert set(MOVES) == {(state, name) for state in states for name in inputs}
    assert all(hasattr(IncomingCall, f"_{method}") for method in set(MOVES.values()) - {"."})


# Ringing ------------------------------------------------------------------------------------------------------------


def test_100_at_once_then_ports_then_180(phone: Any) -> None:
    phone.hear(phone.far_request("INVITE", 1, "", tag=""), phone.sdp_offer)
    assert phone.labels == ["100"]
    assert phone.question(OpenMedia).host == "127.0.20.1"
    assert phone.told == []
    phone.answer(phone.media)
    (key,) = phone.ue.calls
    assert phone.labels == ["100", "180"]
    assert phone.told == [
        CallIncoming(at=phone.now, call=key, remote=f"sip:bob@{phone.home}", display_name="Bob B."),
        CallRinging(at=phone.now, call=key),
    ]
    ringing = phone.responses[-1]
    assert ringing.to.tag == key
    assert ringing.contacts
    assert ringing.require == []
    assert ringing.body == b""
    assert [route.uri.host for route in ringing.record_routes] == ["127.0.10.10"]
    assert phone.ue.calls[key].state == "incoming"


def test_a_call_without_reliable_responses(phone: Any) -> None:
    key = phone.invite("")
    phone.do(phone.ue.answer_call, key)
    accepted = phone.responses[-1]
    assert accepted.status == 200
    assert parse_sdp(accepted.body).media[0].formats == ("0", "8")  # in the order of the offer
    assert phone.names[2:] == ["CallAnswered", "MediaStarted"]
    assert phone.ue.calls[key].state == "active"


def test_a_caller_who_takes_reliable_responses_gets_the_answer_early(phone: Any) -> None:
    key = phone.invite("Supported: 100rel")
    ringing = phone.responses[-1]
    assert (ringing.require, ringing.rseq is not None) == (["100rel"], True)
    assert parse_sdp(ringing.body).media[0].port == 40000
    assert phone.events(MediaStarted) == []  # not before the user has taken the call
    prack(phone, key)
    assert phone.labels[-1] == "200"
    phone.do(phone.ue.answer_call, key)
    accepted = phone.responses[-1]
    assert (accepted.status, accepted.cseq.method, accepted.body) == (200, "INVITE", b"")
    assert phone.events(MediaStarted)
    ack(phone, key)
    phone.wait(TIMEOUT_S + 1)
    assert phone.events(CallEnded) == []


def test_a_reliable_180_is_repeated_until_its_prack(phone: Any) -> None:
    key = phone.invite()
    phone.wait(T1_S + 2 * T1_S + 4 * T1_S + 0.1)
    assert [data.split(b"\r\n")[0] for data in phone.sent].count(b"SIP/2.0 180 Ringing") == 4
    prack(phone, key)
    count = len(phone.sent)
    phone.wait(40)
    assert len(phone.sent) == count


def test_no_200_before_the_prack_of_a_reliable_answer(phone: Any) -> None:
    key = phone.invite()
    phone.do(phone.ue.answer_call, key)
    assert phone.labels == ["100", "180"]  # RFC 3262 3
    assert phone.ue.calls[key].state == "incoming"
    with pytest.raises(StateError):
        phone.do(phone.ue.answer_call, key)
    prack(phone, key)
    assert phone.labels == ["100", "180", "200", "200"]
    assert [r.cseq.method for r in phone.responses[-2:]] == ["PRACK", "INVITE"]
    assert phone.events(CallAnswered)


def test_no_prack_at_all_ends_the_call(phone: Any) -> None:
    key = phone.invite()
    phone.do(phone.ue.answer_call, key)
    phone.wait(TIMEOUT_S + 1)
    assert phone.labels[-1] == "500"  # RFC 3262 3
    assert ended(phone).by == "network"


def test_a_prack_that_crosses_our_refusal_is_taken_once(phone: Any) -> None:
    key = phone.invite()
    phone.do(phone.ue.reject, key)
    assert phone.labels[-1] == "486"
    prack(phone, key)
    assert phone.labels[-1] == "200"  # RFC 3262 3
    prack(phone, key, cseq=3)
    assert phone.labels[-1] == "481"
    assert ended(phone).status == 486


@pytest.mark.parametrize("rack", ["RAck: 1 1 INVITE", "RAck: x", ""])
def test_a_prack_of_something_else_is_refused(phone: Any, rack: str) -> None:
    key = phone.invite()
    phone.hear(phone.far_request("PRACK", 2, rack, tag=key))
    assert phone.labels[-1] in ("481", "400")
    prack(phone, key, cseq=3)
    assert phone.labels[-1] == "200"


def test_a_prack_may_bring_a_new_offer(phone: Any) -> None:
    key = phone.invite()
    prack(phone, key, body=phone.sdp_offer.replace("50000", "50010").replace("o=- 7 1", "o=- 7 2"))
    assert phone.responses[-1].status == 200
    assert phone.responses[-1].body
    phone.do(phone.ue.answer_call, key)
    assert phone.events(MediaStarted)[0].remote == ("127.0.10.50", 50010)


def test_without_an_offer_ours_is_in_the_200_and_their_answer_in_the_ack(phone: Any) -> None:
    key = phone.invite("Supported: 100rel", body="")
    assert phone.responses[-1].require == []  # the 180 may be plain, so it is
    phone.do(phone.ue.answer_call, key)
    assert parse_sdp(phone.responses[-1].body).media[0].formats == ("8", "0")
    assert phone.events(MediaStarted) == []
    ack(phone, key, body=phone.sdp_answer)
    assert phone.events(MediaStarted)[0].codec == "PCMA"


def test_without_an_offer_a_caller_who_insists_gets_ours_in_the_180(phone: Any) -> None:
    key = phone.invite("Require: 100rel", body="")
    assert phone.responses[-1].body
    prack(phone, key, body=phone.sdp_answer)
    phone.do(phone.ue.answer_call, key)
    assert phone.responses[-1].body == b""
    assert phone.events(MediaStarted)[0].codec == "PCMA"


@pytest.mark.parametrize("body", ["", "nonsense"])
def test_an_ack_without_the_answer_ends_the_call(phone: Any, body: str) -> None:
    key = phone.invite("", body="")
    phone.do(phone.ue.answer_call, key)
    ack(phone, key, body=body)
    assert phone.labels[-1] == "BYE"
    assert phone.events(Violated)
    assert ended(phone).status == 488


# Not taken ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "body", "status"),
    [
        ("Content-Type: text/plain", "hello", "415"),
        ("", "nonsense", "488"),
        ("", "v=0\no=- 1 1 IN IP4 127.0.10.50\ns=-\nc=IN IP4 127.0.10.50\nt=0 0\nm=audio 5 RTP/AVP 18\n", "488"),
        ("Require: precondition, 100rel", "", "420"),
    ],
)
def test_what_cannot_be_is_refused_without_a_ring(phone: Any, extra: str, body: str, status: str) -> None:
    phone.invite(extra, body)
    assert phone.labels[-1] == status
    assert phone.told == []
    assert phone.asked == []
    if status == "420":
        assert phone.responses[-1].headers.get("Unsupported") == "precondition"
    if status == "415":
        assert phone.responses[-1].headers.get("Accept") == "application/sdp"


def test_without_ports_nothing_rings(phone: Any) -> None:
    phone.hear(phone.far_request("INVITE", 1, "", tag=""), phone.sdp_offer)
    phone.answer(None)
    assert phone.labels == ["100", "500"]
    assert phone.told == []


def test_a_second_call_finds_the_line_busy(phone: Any) -> None:
    key = phone.invite("")
    phone.hear(
        phone.far_request("INVITE", 1, "", branch="z9hG4bKother", tag="").replace("far-call", "other-call"),
        phone.sdp_offer,
    )
    assert phone.labels[-1] == "486"
    phone.do(phone.ue.hangup, key)
    phone.hear(
        phone.far_request("INVITE", 1, "", branch="z9hG4bKthird", tag="").replace("far-call", "third-call"),
        phone.sdp_offer,
    )
    assert phone.labels[-1] == "100"


def test_the_same_call_by_two_ways_is_taken_once(phone: Any) -> None:
    phone.invite("")
    phone.hear(phone.far_request("INVITE", 1, "", branch="z9hG4bKfork", tag=""), phone.sdp_offer)
    assert phone.labels[-1] == "482"  # RFC 3261 8.2.2.2
    assert len(phone.events(CallIncoming)) == 1


@pytest.mark.parametrize(("status", "reason"), [(486, "Busy Here"), (603, "Decline"), (480, "Temporarily Unavailable")])
def test_the_user_refuses(phone: Any, status: int, reason: str) -> None:
    key = phone.invite("")
    phone.do(lambda now: phone.ue.reject(key, now, status))
    assert phone.labels[-1] == str(status)
    assert ended(phone) == CallEnded(at=phone.now, call=key, by="local", status=status, reason=reason)
    ack(phone, key)
    assert phone.ue.calls[key].state == "ended"


def test_hanging_up_what_rings_declines(phone: Any) -> None:
    key = phone.invite()
    phone.do(phone.ue.hangup, key)
    assert phone.labels[-1] == "603"
    prack(phone, key)
    assert phone.labels[-1] == "200"  # RFC 3262 3


def test_the_caller_gives_up(phone: Any) -> None:
    key = phone.invite("")
    phone.hear(phone.far_request("CANCEL", 1, branch="z9hG4bKcall", tag=""))
    assert phone.labels == ["100", "180", "200", "487"]
    assert ended(phone) == CallEnded(at=phone.now, call=key, by="remote", status=487, reason="Request Terminated")


def test_the_caller_gives_up_before_it_rang(phone: Any) -> None:
    phone.hear(phone.far_request("INVITE", 1, "", branch="z9hG4bKcall", tag=""), phone.sdp_offer)
    phone.hear(phone.far_request("CANCEL", 1, branch="z9hG4bKcall", tag=""))
    phone.answer(phone.media)
    assert phone.labels == ["100", "200", "487"]
    assert phone.told == []


def test_a_cancel_that_comes_too_late_changes_nothing(phone: Any) -> None:
    key = phone.invite("")
    phone.do(phone.ue.answer_call, key)
    phone.hear(phone.far_request("CANCEL", 1, branch="z9hG4bKcall", tag=""))
    assert phone.responses[-1].cseq.method == "CANCEL"
    assert phone.ue.calls[key].state == "active"


def test_a_bye_while_it_rings_ends_it(phone: Any) -> None:
    key = phone.invite("")
    phone.hear(phone.far_request("BYE", 2, tag=key))
    assert phone.labels[-2:] == ["200", "487"]  # RFC 3261 15.1.2
    assert ended(phone).by == "remote"


def test_nobody_takes_the_call(make_bench: Any) -> None:
    phone = make_bench(no_answer_s=20).register()
    phone.invite("")
    phone.wait(21)
    assert phone.labels[-1] == "480"
    assert (ended(phone).by, ended(phone).reason) == ("local", "no answer")


# Taken --------------------------------------------------------------------------------------------------------------


def test_a_200_is_repeated_until_its_ack(phone: Any) -> None:
    key = phone.invite("")
    phone.do(phone.ue.answer_call, key)
    times = []
    for _ in range(40):
        before = len(phone.sent)
        phone.wait(1)
        times += [phone.now - 1000] * (len(phone.sent) - before)
    assert times == [2, 6, 14, 30]  # RFC 3261 13.3.1.4: T1, 2 T1 ... T2
    ack(phone, key)
    phone.forget()
    phone.wait(TIMEOUT_S)
    assert phone.sent == []


def test_a_200_that_is_never_acknowledged_ends_in_bye(phone: Any) -> None:
    key = phone.invite("")
    phone.do(phone.ue.answer_call, key)
    phone.wait(TIMEOUT_S + 1)
    assert phone.labels[-1] == "BYE"
    assert (ended(phone).by, ended(phone).reason) == ("network", "no ACK")


def test_a_repeated_invite_gets_no_second_call(phone: Any) -> None:
    phone.invite("")
    phone.invite("")
    assert phone.labels == ["100", "180"]
    assert len(phone.sent) == 3


def test_the_user_hangs_up(phone: Any) -> None:
    key = active(phone)
    phone.do(phone.ue.hangup, key)
    bye = phone.request
    assert (bye.method, bye.uri, bye.to.tag, bye.from_.tag) == ("BYE", "sip:bob@127.0.10.50:5060", "far", key)
    assert [str(route) for route in bye.routes] == ["<sip:127.0.10.10:5060;lr>"]
    assert ended(phone) == CallEnded(at=phone.now, call=key, by="local")


def test_the_far_end_hangs_up(phone: Any) -> None:
    key = active(phone)
    phone.hear(phone.far_request("BYE", 2, tag=key))
    assert phone.labels == ["200"]
    assert ended(phone) == CallEnded(at=phone.now, call=key, by="remote")


def test_a_call_is_not_ended_before_the_ack_of_its_200(phone: Any) -> None:
    key = phone.invite("")
    phone.do(phone.ue.answer_call, key)
    phone.do(phone.ue.hangup, key)
    assert "BYE" not in phone.labels  # RFC 3261 15
    assert ended(phone).by == "local"
    ack(phone, key)
    assert phone.labels[-1] == "BYE"


def test_or_before_the_ack_can_come_no_more(phone: Any) -> None:
    key = phone.invite("")
    phone.do(phone.ue.answer_call, key)
    phone.do(phone.ue.hangup, key)
    phone.wait(TIMEOUT_S + 1)
    assert phone.labels[-1] == "BYE"
    assert len(phone.events(CallEnded)) == 1


@pytest.mark.parametrize("act", ["answer_call", "reject"])
def test_what_does_not_ring_is_neither_answered_nor_rejected(phone: Any, act: str) -> None:
    key = active(phone)
    with pytest.raises(StateError, match="active"):
        phone.do(getattr(phone.ue, act), key)


# How long it may ring -------------------------------------------------------------------------------------------------


def test_an_invitation_that_expires_is_over(phone: Any) -> None:
    phone.invite("Expires: 10")
    phone.wait(9)
    assert phone.labels == ["100", "180"]
    phone.wait(2)
    assert phone.labels[-1] == "487"  # RFC 3261 13.3.1 step 1
    assert ended(phone).by == "remote"


def test_an_invitation_that_was_taken_does_not_expire(phone: Any) -> None:
    key = phone.invite("Expires: 10")
    phone.do(phone.ue.answer_call, key)
    ack(phone, key)
    phone.wait(60)
    assert phone.ue.calls[key].state == "active"


def test_a_phone_that_rings_says_so_every_minute(phone: Any) -> None:
    phone.invite("")
    phone.wait(110)
    assert [data.split(b"\r\n")[0] for data in phone.sent].count(b"SIP/2.0 180 Ringing") == 2  # RFC 3261 13.3.1.1


def test_each_reliable_180_has_its_own_number_and_the_answer_goes_once(phone: Any) -> None:
    key = phone.invite("Supported: 100rel")
    prack(phone, key)
    phone.wait(61)
    first, _, second = phone.responses[-3:]
    assert second.status == 180
    assert (second.rseq or 0) == (first.rseq or 0) + 1
    assert (bool(first.body), second.body) == (True, b"")
    prack(phone, key, cseq=3)
    phone.do(phone.ue.answer_call, key)
    assert phone.events(CallAnswered)


def test_a_description_that_is_packed_is_415(phone: Any) -> None:
    phone.hear(phone.far_request("INVITE", 1, "Content-Encoding: gzip", tag=""), phone.sdp_offer)
    refused = phone.responses[-1]
    assert refused.status == 415
    assert refused.headers.get("Accept-Encoding") == "identity"  # RFC 3261 8.2.3
    assert refused.headers.get("Accept") == "application/sdp"
