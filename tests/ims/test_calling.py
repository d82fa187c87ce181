"""The caller's side, message by message."""

from __future__ import annotations

from typing import Any

import pytest

from imsphone.events import CallAnswered, CallEnded, CallProgressed, CallRinging, MediaStarted, Violated
from imsphone.ims.calling import MOVES, OutgoingCall
from imsphone.machine import OpenMedia
from imsphone.sdp.session import parse as parse_sdp
from imsphone.sip.digest import verify
from imsphone.sip.fields import Challenge
from imsphone.sip.message import Request

DIALOG = """\
Contact: <sip:{who}@127.0.10.50:5060>
Record-Route: <sip:127.0.10.10:5060;lr>, <sip:127.0.10.30:5060;lr>"""
ONE, TWO = DIALOG.format(who="one"), DIALOG.format(who="two")
RELIABLE = "Require: 100rel\nRSeq: {}\n"


def ended(phone: Any) -> CallEnded:
    (event,) = phone.events(CallEnded)
    return event


def invite_of(phone: Any) -> Request:
    return [request for request in phone.requests if request.method == "INVITE"][-1]


def answered(phone: Any) -> tuple[str, Request]:
    """A call that stands, its ACK and events forgotten."""
    key = phone.call()
    invite = phone.request
    phone.reply("200 OK", ONE, phone.sdp_answer, to=invite)
    phone.forget()
    return key, invite


def test_every_input_has_an_answer_in_every_state() -> None:
    states, inputs = {state for state, _ in MOVES}, {name for _, name in MOVES}
    assert states == {"opening", "calling", "proceeding", "cancelling", "active", "ended"}
    assert set(MOVES) == {(state, name) for state in states for name in inputs}
    assert all(hasattr(OutgoingCall, f"_{method}") for method in set(MOVES.values()) - {"."})


# Setting up ---------------------------------------------------------------------------------------------------------


def test_the_invite_offers_the_ports_that_were_opened(phone: Any) -> None:
    key, effects = phone.ue.call("bob", phone.now)
    phone.take(effects)
    assert phone.question(OpenMedia) == OpenMedia("127.0.20.1", key)
    assert phone.sent == []
    phone.answer(phone.media)
    offer = parse_sdp(phone.request.body)
    assert offer.media[0].port == 40000
    assert phone.request.content_type == "application/sdp"
    assert phone.request.uri == f"sip:bob@{phone.home}"
    assert phone.ue.calls[key].state == "calling"


def test_a_long_invite_goes_over_tcp(make_bench: Any) -> None:
    phone = make_bench(display_name="Alice" * 30).register()
    phone.call()
    assert len(phone.sent[-1]) > 1300  # RFC 3261 18.1.1
    assert phone.flows[-1].transport == "TCP"
    assert phone.request.via.transport == "TCP"


def test_without_ports_there_is_no_call(phone: Any) -> None:
    key, effects = phone.ue.call("bob", phone.now)
    phone.take(effects)
    phone.answer(None)
    assert ended(phone).by == "local"
    assert phone.sent == []
    assert phone.ue.calls[key].state == "ended"


def test_a_call_with_prack(phone: Any) -> None:
    key = phone.call()
    invite = phone.request
    phone.reply("100 Trying", tag="")
    assert phone.ue.calls[key].state == "calling"
    phone.reply("183 Session Progress", RELIABLE.format(41) + ONE, phone.sdp_answer, to=invite)
    prack = phone.request
    assert prack.method == "PRACK"
    assert prack.headers.get("RAck") == "41 1 INVITE"
    assert (prack.uri, prack.to.tag) == ("sip:one@127.0.10.50:5060", "net")
    assert [route.uri.host for route in prack.routes] == ["127.0.10.30", "127.0.10.10"]  # RFC 3261 12.1.2: reversed
    assert prack.cseq.number == 2
    assert phone.ue.calls[key].state == "progressed"
    phone.reply("200 OK", to=prack)
    phone.reply("180 Ringing", RELIABLE.format(42) + ONE, to=invite)
    assert phone.request.headers.get("RAck") == "42 1 INVITE"
    assert phone.ue.calls[key].state == "ringing"
    assert phone.events(MediaStarted) == []
    phone.reply("200 OK", ONE + f'\nP-Asserted-Identity: "B" <sip:bob@{phone.home}>', to=invite)
    ack = phone.request
    assert (ack.method, ack.cseq.number, ack.uri) == ("ACK", 1, "sip:one@127.0.10.50:5060")
    assert phone.names == ["CallProgressed", "CallRinging", "CallAnswered", "MediaStarted"]
    assert phone.events(CallAnswered)[0].remote == f"sip:bob@{phone.home}"
    assert phone.ue.calls[key].state == "active"
    assert phone.labels == ["INVITE", "PRACK", "PRACK", "ACK"]


def test_a_reliable_response_is_acknowledged_once_and_in_order(phone: Any) -> None:
    phone.call()
    invite = phone.request
    for rseq in (7, 7, 9, 6, 8):
        phone.reply("180 Ringing", RELIABLE.format(rseq) + ONE, to=invite)
    assert [r.headers.get("RAck") for r in phone.requests if r.method == "PRACK"] == ["7 1 INVITE", "8 1 INVITE"]
    assert len(phone.events(CallRinging)) == 1


def test_a_plain_180_needs_nothing(phone: Any) -> None:
    phone.call()
    phone.reply("180 Ringing", tag="")
    phone.reply("181 Call Is Being Forwarded")
    assert phone.labels == ["INVITE"]
    assert phone.names == ["CallRinging", "CallProgressed"]
    assert phone.events(CallProgressed)[0].status == 181


def test_the_first_description_is_the_answer(phone: Any) -> None:
    phone.call()
    invite = phone.request
    phone.reply("183 Session Progress", ONE, phone.sdp_answer, to=invite)
    phone.reply("200 OK", ONE, phone.sdp_answer.replace("50000", "50004"), to=invite)
    assert phone.events(MediaStarted)[0].remote == ("127.0.10.50", 50000)  # RFC 3261 13.2.1


def test_a_repeated_200_gets_the_same_ack(phone: Any) -> None:
    phone.call()
    invite = phone.request
    for _ in range(3):
        phone.reply("200 OK", ONE, phone.sdp_answer, to=invite)
    acks = [data for data in phone.sent if data.startswith(b"ACK")]
    assert len(acks) == 3
    assert len(set(acks)) == 1
    assert len(phone.events(CallAnswered)) == 1


@pytest.mark.parametrize(
    "body", ["", "nonsense", "v=0\no=- 1 1 IN IP4 127.0.10.50\ns=-\nc=IN IP4 127.0.10.50\nt=0 0\nm=audio 0 RTP/AVP 8\n"]
)
def test_a_200_without_a_usable_answer_is_taken_and_ended(phone: Any, body: str) -> None:
    phone.call()
    phone.reply("200 OK", ONE, body)
    assert phone.labels == ["INVITE", "ACK", "BYE"]
    assert (ended(phone).by, ended(phone).status) == ("local", 488)


def test_a_callee_of_old_whose_200_has_no_tag(phone: Any) -> None:
    key = phone.call()  # RFC 3261 12.1.2
    phone.reply("200 OK", ONE, phone.sdp_answer, tag="")
    assert phone.labels[-1] == "ACK"
    phone.do(phone.ue.hangup, key)
    assert phone.labels[-1] == "BYE"
    assert phone.request.to.tag == ""


def test_a_200_that_makes_no_dialog_is_a_violation_and_no_call(phone: Any) -> None:
    key = phone.call()
    phone.reply("200 OK", "", phone.sdp_answer)
    assert phone.events(Violated)[0].clause == "RFC 3261 12.1.2"
    assert ended(phone).by == "network"
    assert phone.ue.calls[key].state == "ended"


def test_an_unusable_early_answer_cancels(phone: Any) -> None:
    phone.call()
    phone.reply("183 Session Progress", RELIABLE.format(1) + ONE, "nonsense")
    assert phone.labels == ["INVITE", "PRACK", "CANCEL"]
    assert ended(phone).status == 488


# Forks --------------------------------------------------------------------------------------------------------------


def test_a_fork_rings_at_two_and_the_first_to_answer_wins(phone: Any) -> None:
    key = phone.call()
    invite = phone.request
    second = phone.sdp_answer.replace("50000", "50002").replace("RTP/AVP 8", "RTP/AVP 0").replace("8 PCMA", "0 PCMU")
    phone.reply("180 Ringing", RELIABLE.format(1) + ONE, phone.sdp_answer, to=invite, tag="one")
    phone.reply("180 Ringing", RELIABLE.format(500) + TWO, second, to=invite, tag="two")
    assert [(r.to.tag, r.headers.get("RAck")) for r in phone.requests[1:]] == [
        ("one", "1 1 INVITE"),
        ("two", "500 1 INVITE"),
    ]
    phone.reply("200 OK", TWO, to=invite, tag="two")
    media = phone.events(MediaStarted)[0]
    assert (media.codec, media.remote) == ("PCMU", ("127.0.10.50", 50002))
    phone.forget()
    phone.reply("200 OK", ONE, to=invite, tag="one")
    assert phone.labels == ["ACK", "BYE"]  # RFC 3261 13.2.2.4
    assert {request.to.tag for request in phone.requests} == {"one"}
    assert phone.ue.calls[key].state == "active"
    assert phone.told == []


def test_more_dialogs_than_any_fork_makes_are_no_call(phone: Any) -> None:
    phone.call()
    invite = phone.request
    for number in range(40):
        phone.reply("200 OK", ONE, phone.sdp_answer, to=invite, tag=f"t{number}")
    assert len([r for r in phone.requests if r.method == "BYE"]) == 15


# Refused ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "by"),
    [
        ("486 Busy Here", "remote"),
        ("603 Decline", "remote"),
        ("404 Not Found", "network"),
        ("302 Moved Temporarily", "network"),
        ("401 Unauthorized", "network"),
        ("604 Does Not Exist Anywhere", "network"),
    ],
)
def test_a_refusal_ends_the_call(phone: Any, status: str, by: str) -> None:
    key = phone.call()
    phone.reply(status)
    assert phone.labels == ["INVITE", "ACK"]
    assert (ended(phone).status, ended(phone).reason, ended(phone).by) == (int(status[:3]), status[4:], by)
    assert phone.ue.calls[key].state == "ended"


def test_a_503_says_when_to_try_again(phone: Any) -> None:
    phone.call()
    phone.reply("503 Service Unavailable", "Retry-After: 120")
    assert ended(phone).reason == "Service Unavailable (not again within 120 s)"


def test_silence_ends_the_call_after_timer_b(make_bench: Any) -> None:
    phone = make_bench(no_answer_s=600).register(100_000)
    phone.call()
    phone.wait(129)  # Timer B: 64 T1
    assert (ended(phone).status, ended(phone).by) == (408, "network")


def test_a_shut_door_ends_the_call(make_bench: Any) -> None:
    phone = make_bench(display_name="Alice" * 30).register()
    phone.call()
    phone.do(phone.ue.lost, phone.flow.over("TCP"))  # size alone had chosen TCP: UDP is tried
    assert phone.flows[-1].transport == "UDP"
    assert phone.told == []
    phone.do(phone.ue.lost, phone.flow)
    assert (ended(phone).status, ended(phone).by) == (503, "network")


def test_a_password_proves_an_invite(softphone: Any) -> None:
    softphone.register()
    softphone.call()
    first = softphone.request
    challenge = 'Proxy-Authenticate: Digest realm="r", nonce="n1", qop="auth"'
    softphone.reply("407 Proxy Authentication Required", challenge)
    second = softphone.request
    assert (second.call_id, second.from_.tag) == (first.call_id, first.from_.tag)
    assert second.cseq.number == 2
    credentials = Challenge.parse(second.headers.get("Proxy-Authorization") or "")
    assert verify(credentials, method="INVITE", password=b"secret1")
    softphone.reply("200 OK", ONE, softphone.sdp_answer)
    ack = softphone.request
    assert (ack.method, ack.cseq.number) == ("ACK", 2)
    assert ack.headers.get("Proxy-Authorization") == second.headers.get("Proxy-Authorization")  # RFC 3261 22.1


def test_a_wrong_password_ends_the_call(softphone: Any) -> None:
    softphone.register()
    softphone.call()
    for number in range(2):
        softphone.reply("407 Proxy Authentication Required", f'Proxy-Authenticate: Digest realm="r", nonce="{number}"')
    assert ended(softphone).status == 407
    assert softphone.labels == ["INVITE", "ACK", "INVITE", "ACK"]


def test_aka_14_a_stale_nonce_is_replaced_once_and_then_it_is_an_error(softphone: Any) -> None:
    """AKA-14, RFC 7616 3.3: one retry with the new nonce."""
    softphone.register()
    softphone.call()
    for number in range(3):
        stale = ", stale=true" if number else ""
        challenge = f'Proxy-Authenticate: Digest realm="r", nonce="{number}"{stale}'
        softphone.reply("407 Proxy Authentication Required", challenge)
    assert [request.cseq.number for request in softphone.requests if request.method == "INVITE"] == [1, 2, 3]
    assert ended(softphone).status == 407


# Hanging up ---------------------------------------------------------------------------------------------------------


def test_hanging_up_a_ringing_call_cancels_it(phone: Any) -> None:
    key = phone.call()
    invite = phone.request
    phone.reply("180 Ringing", ONE)
    phone.do(phone.ue.hangup, key)
    cancel = phone.request
    assert cancel.method == "CANCEL"
    assert cancel.via.branch == invite.via.branch
    assert (ended(phone).by, ended(phone).status) == ("local", 487)
    phone.reply("200 OK", to=cancel)
    phone.reply("487 Request Terminated", to=invite)
    assert phone.labels == ["INVITE", "CANCEL", "ACK"]
    assert len(phone.events(CallEnded)) == 1


def test_a_call_that_nobody_heard_of_yet_is_cancelled_as_soon_as_it_can_be(phone: Any) -> None:
    key = phone.call()
    invite = phone.request
    phone.do(phone.ue.hangup, key)
    assert phone.labels == ["INVITE"]  # RFC 3261 9.1: not before a provisional response
    assert ended(phone).by == "local"
    phone.reply("100 Trying", to=invite, tag="")
    assert phone.labels == ["INVITE", "CANCEL"]


def test_a_200_that_crosses_the_cancel_is_taken_and_ended(phone: Any) -> None:
    key = phone.call()
    invite = phone.request
    phone.reply("180 Ringing", RELIABLE.format(1) + ONE)
    phone.do(phone.ue.hangup, key)
    phone.reply("200 OK", ONE, phone.sdp_answer, to=invite)
    assert phone.labels == ["INVITE", "PRACK", "CANCEL", "ACK", "BYE"]
    assert phone.request.cseq.number == 3  # the dialog has seen the PRACK
    assert phone.names == ["CallRinging", "CallEnded"]
    phone.reply("200 OK", ONE, phone.sdp_answer, to=invite)  # the ACK was lost
    assert [data[:3] for data in phone.sent].count(b"ACK") == 2
    assert phone.labels.count("BYE") == 1


def test_nobody_answers(make_bench: Any) -> None:
    phone = make_bench(no_answer_s=30).register()
    phone.call()
    phone.reply("180 Ringing", ONE)
    phone.wait(29)
    assert phone.events(CallEnded) == []
    phone.wait(2)
    assert (ended(phone).by, ended(phone).status, ended(phone).reason) == ("local", 487, "no answer")
    assert phone.labels == ["INVITE", "CANCEL"]


def test_hanging_up_before_the_ports_are_there_sends_nothing(phone: Any) -> None:
    key, effects = phone.ue.call("bob", phone.now)
    phone.take(effects)
    phone.do(phone.ue.hangup, key)
    phone.answer(phone.media)
    assert phone.sent == []
    assert ended(phone).by == "local"


def test_hanging_up_a_call_that_stands_says_bye(phone: Any) -> None:
    key, invite = answered(phone)
    phone.do(phone.ue.hangup, key)
    bye = phone.request
    assert (bye.method, bye.cseq.number, bye.call_id) == ("BYE", 2, invite.call_id)
    assert (bye.uri, bye.to.tag, bye.from_.tag) == ("sip:one@127.0.10.50:5060", "net", key)
    assert ended(phone) == CallEnded(at=phone.now, call=key, by="local")
    phone.do(phone.ue.hangup, key)
    assert phone.labels == ["BYE"]


# The far end in the dialog of our call --------------------------------------------------------------------------------


def far(key: str, invite: Request, method: str, cseq: int, extra: str = "", who: str = "net") -> str:
    return "\n".join(
        [
            f"{method} sip:us SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.10.10:5060;branch=z9hG4bK{method}{cseq}",
            f"From: {invite.headers.get('To')};tag={who}",
            f"To: {invite.headers.get('From')}",
            f"Call-ID: {invite.call_id}",
            f"CSeq: {cseq} {method}",
            *extra.splitlines(),
        ]
    )


def test_the_far_end_hangs_up(phone: Any) -> None:
    key, invite = answered(phone)
    phone.hear(far(key, invite, "BYE", 5))
    assert phone.labels == ["200"]
    assert ended(phone) == CallEnded(at=phone.now, call=key, by="remote")


def test_a_reinvite_while_ours_is_under_way_is_glare(phone: Any) -> None:
    key = phone.call()
    invite = phone.request
    phone.reply("180 Ringing", ONE)
    phone.hear(far(key, invite, "INVITE", 5, "Contact: <sip:x@127.0.10.50>"), phone.sdp_offer)
    assert phone.labels[-1] == "491"  # RFC 3261 14.2
    phone.hear(far(key, invite, "UPDATE", 6, "Contact: <sip:x@127.0.10.50>"), phone.sdp_offer)
    assert phone.labels[-1] == "491"  # RFC 3311 5.2: our offer has no answer yet


def test_an_early_update_is_answered_once_our_offer_is(phone: Any) -> None:
    key = phone.call()
    invite = phone.request
    phone.reply("183 Session Progress", RELIABLE.format(1) + ONE, phone.sdp_answer, to=invite)
    moved = phone.sdp_offer.replace("50000", "50008").replace("o=- 7 1", "o=- 7 2")
    phone.hear(far(key, invite, "UPDATE", 6, "Contact: <sip:x@127.0.10.51>"), moved)
    assert phone.responses[-1].status == 200
    assert phone.responses[-1].body
    phone.reply("200 OK", ONE, to=invite)
    assert phone.events(MediaStarted)[0].remote == ("127.0.10.50", 50008)


def test_a_bye_before_an_answer_ends_one_leg_only(phone: Any) -> None:
    key = phone.call()
    invite = phone.request
    phone.reply("180 Ringing", ONE, to=invite, tag="one")
    phone.reply("180 Ringing", TWO, to=invite, tag="two")
    phone.hear(far(key, invite, "BYE", 5, who="one"))
    assert phone.labels[-1] == "200"
    assert phone.events(Violated)[0].clause == "RFC 3261 15"
    phone.reply("200 OK", TWO, phone.sdp_answer, to=invite, tag="two")
    assert phone.ue.calls[key].state == "active"
