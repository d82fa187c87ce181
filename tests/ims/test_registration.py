"""Registration against the messages of TS 34.229-1 annex A.1, written by hand; each test names what it obeys."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from imsphone.errors import StateError
from imsphone.events import Challenged, Deregistered, Registered, Registering, RegistrationFailed
from imsphone.ims.registration import MOVES, Registration
from imsphone.machine import Address, Authenticate, Flow, Resolve
from imsphone.sip.digest import verify
from imsphone.sip.fields import Challenge
from imsphone.sip.message import Request
from imsphone.usim.aka import MacFailure, SyncFailure

PCSCF_2 = Flow("UDP", Address("127.0.20.1", 5060), Address("127.0.10.11", 5060))
AUTS = bytes(range(14))
TIMER_F_S = 128.0  # TS 24.229 table 7.7.1: 64 T1, T1 = 2 s


def nonce(number: int) -> str:
    return base64.b64encode(bytes([number]) * 32).decode()


def proof(request: Request) -> Challenge:
    return Challenge.parse(request.headers.get("Authorization") or "")


def start(bench: Any, *flows: Flow) -> None:
    bench.do(bench.ue.register)
    bench.answer(flows or (bench.flow,))


def failure(bench: Any) -> RegistrationFailed:
    (event,) = bench.events(RegistrationFailed)
    assert isinstance(event, RegistrationFailed)
    return event


def test_every_input_has_an_answer_in_every_state() -> None:
    states, inputs = {state for state, _ in MOVES}, {name for _, name in MOVES}
    assert states == {"idle", "resolving", "requesting", "proving", "wondering", "registered", "waiting"}
    assert set(MOVES) == {(state, name) for state in states for name in inputs}
    assert all(hasattr(Registration, f"_{method}") for method in set(MOVES.values()) - {"."})


# The first REGISTER -------------------------------------------------------------------------------------------------


def test_the_first_register_says_who_and_proves_nothing(bench: Any) -> None:
    bench.do(bench.ue.register)
    assert bench.question(Resolve) == Resolve("127.0.10.10", 5060)
    bench.answer((bench.flow,))
    request = bench.request
    assert (request.method, request.uri) == ("REGISTER", f"sip:{bench.home}")  # TS 24.229 5.1.1.2.1 f
    assert str(request.to) == f"<sip:{bench.impi}>"  # TS 34.229-1 A.1.1: To without a tag
    assert request.from_.uri == request.to.uri
    assert request.expires == 600_000
    assert request.supported == ["path", "gruu"]
    assert request.routes == []
    assert proof(request).params == {  # 5.1.1.2.2 a
        "username": bench.impi,
        "realm": bench.home,
        "uri": f"sip:{bench.home}",
        "nonce": "",
        "response": "",
    }
    (contact,) = request.contacts
    assert (contact.uri.host, contact.uri.port) == ("127.0.20.1", 5060)
    assert contact.params["+g.3gpp.icsi-ref"] == '"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"'
    assert (contact.params["+sip.instance"] or "").startswith('"<urn:')
    assert "rport" in request.via.params
    assert bench.told == [Registering(at=bench.now, impu=f"sip:{bench.impi}")]
    assert not bench.ue.is_registered


def test_without_a_pcscf_the_home_domain_names_one(make_bench: Any) -> None:
    bench = make_bench(pcscf=None, transport="tcp")
    bench.do(bench.ue.register)
    assert bench.question(Resolve) == Resolve(bench.home, None, "TCP")


def test_over_tcp_the_contact_says_so(bench: Any) -> None:
    start(bench, bench.flow.over("TCP"))
    assert bench.request.contacts[0].uri.transport == "TCP"
    assert bench.flows[-1].transport == "TCP"


def test_where_the_phone_is_it_says_only_once_the_network_knows_it(make_bench: Any) -> None:
    access = "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=00101D0FCE11"
    bench = make_bench(access_network_info=access)
    start(bench)
    bench.challenge()
    bench.answer(bench.success)
    assert [r.headers.get("P-Access-Network-Info") for r in bench.requests] == [None, None]  # 5.1.1.2.1 h
    bench.grant(600)
    bench.wait(300)
    assert bench.request.headers.get("P-Access-Network-Info") == access  # 5.1.1.4.1 h


def test_a_telephone_number_registers_as_a_sip_uri(make_bench: Any) -> None:
    bench = make_bench(impu="tel:+4930123456")
    start(bench)
    assert str(bench.request.to.uri) == f"sip:+4930123456@{bench.home};user=phone"  # 5.1.1.2.1 a, b


# 401 ----------------------------------------------------------------------------------------------------------------


def test_the_sims_answer_follows_in_the_same_call(bench: Any) -> None:
    start(bench)
    bench.challenge()
    assert bench.question(Authenticate) == Authenticate(bytes(range(16)), bytes(range(16, 32)))
    bench.answer(bench.success)
    first, second = bench.requests
    assert second.call_id == first.call_id  # TS 24.229 5.1.1.5.1
    assert second.cseq.number == first.cseq.number + 1
    assert second.via.branch != first.via.branch
    assert verify(proof(second), method="REGISTER", password=bench.success.res)  # a RES with 0x00 in it
    assert proof(second).get("nc") == "00000001"
    assert proof(second).get("username") == bench.impi
    assert bench.events(Challenged) == [Challenged(at=bench.now, algorithm="AKAv1-MD5")]


def test_the_200_makes_the_binding(bench: Any) -> None:
    start(bench)
    bench.challenge()
    bench.answer(bench.success)
    bench.grant(3600)
    assert bench.told[-1] == Registered(
        at=bench.now,
        impu=f"sip:alice@{bench.home}",  # 5.1.1.2.1 b: the first is the default
        impus=(f"sip:alice@{bench.home}", "tel:+4930123456"),
        service_route=(f"<sip:orig@scscf.{bench.home}:5060;lr>",),
        expires_s=3600,
    )
    assert bench.ue.is_registered


@pytest.mark.parametrize(("granted_s", "refresh_s"), [(120, 60), (1200, 600), (1800, 1200), (600_000, 599_400)])
def test_a_refresh_comes_in_time(bench: Any, granted_s: int, refresh_s: int) -> None:
    """TS 34.229-1 8.2: 60, 600 and 1200 seconds after a grant of 120, 1200 and 1800."""
    bench.register(granted_s)
    bench.wait(refresh_s - 0.1)
    assert bench.sent == []
    bench.wait(0.2)
    assert bench.labels == ["REGISTER"]


def test_a_network_that_knows_us_may_grant_at_once(bench: Any) -> None:
    start(bench)
    bench.grant(60)
    assert bench.ue.is_registered


def test_the_expiry_is_that_of_our_own_contact(bench: Any) -> None:
    start(bench)
    own = f"<{bench.own_address()}>"
    contacts = f"Contact: <sip:alice@127.0.20.9>;expires=7, {own};expires=400\nExpires: 9"
    bench.reply("200 OK", contacts)
    assert bench.told[-1].expires_s == 400


@pytest.mark.parametrize(
    ("lines", "granted_s"), [("Expires: 77", 77), ("", 600_000), ("Contact: {own}\nExpires: 5", 5)]
)
def test_a_200_may_say_the_expiry_in_other_ways(bench: Any, lines: str, granted_s: int) -> None:
    start(bench)
    bench.reply("200 OK", lines.format(own=f"<{bench.own_address()}>"))
    assert bench.told[-1].expires_s == granted_s
    assert bench.told[-1].impus == (f"sip:{bench.impi}",)


def test_a_200_without_our_contact_is_no_registration(bench: Any) -> None:
    start(bench)
    bench.reply("200 OK", "Contact: <sip:alice@127.0.20.9>;expires=600")
    assert failure(bench).cause == "rejected"
    assert not bench.ue.is_registered


def test_what_cannot_be_read_in_a_200_is_as_if_it_were_not_there(bench: Any) -> None:
    start(bench)
    bench.reply("200 OK", 'P-Associated-URI: "<sip:a@b>\nService-Route: nonsense, <sip:orig@127.0.10.30;lr>')
    assert bench.told[-1].impus == (f"sip:{bench.impi}",)
    assert bench.told[-1].service_route == ("<sip:orig@127.0.10.30;lr>",)


# Challenges that do not end -----------------------------------------------------------------------------------------


def test_three_fresh_challenges_are_answered_and_no_fourth(bench: Any) -> None:
    start(bench)
    for number in (1, 2, 3):
        bench.challenge(nonce(number))
        bench.answer(bench.success)
    bench.challenge(nonce(4))
    assert bench.asked == []
    assert bench.labels == ["REGISTER"] * 4
    event = failure(bench)
    assert (event.cause, event.is_final, event.status) == ("authentication", True, 401)
    assert bench.impi in event.sentence


def test_the_same_challenge_again_is_not_answered_again(bench: Any) -> None:
    start(bench)
    bench.challenge(nonce(1))
    bench.answer(bench.success)
    bench.challenge(nonce(1))
    assert failure(bench).cause == "authentication"
    assert bench.labels == ["REGISTER"] * 2


def test_a_wrong_mac_is_answered_twice_then_a_good_challenge_succeeds(bench: Any) -> None:
    """TS 34.229-1 9.1."""
    start(bench)
    for _ in range(2):
        bench.challenge(nonce(1))
        bench.answer(MacFailure())
        assert proof(bench.request).get("response") == ""
        assert "response" in proof(bench.request).params
        assert "auts" not in proof(bench.request).params
    bench.challenge(nonce(2))
    bench.answer(bench.success)
    bench.grant()
    assert bench.ue.is_registered
    assert [r.cseq.number for r in bench.requests] == [1, 2, 3, 4]
    assert len({r.call_id for r in bench.requests}) == 1


def test_after_a_third_wrong_mac_the_phone_stops_and_names_the_key(bench: Any) -> None:
    start(bench)
    for _ in range(3):
        bench.challenge(nonce(1))
        bench.answer(MacFailure())
    assert bench.labels == ["REGISTER"] * 3  # TS 24.229 5.1.1.5.12: two are answered
    event = failure(bench)
    assert event.cause == "authentication"
    assert "opc" in event.sentence
    assert bench.ue.deadline is None or bench.ue.deadline < bench.now + 60  # nothing but old transactions


def test_a_403_to_the_empty_response_names_the_key_too(bench: Any) -> None:
    start(bench)
    bench.challenge()
    bench.answer(MacFailure())
    bench.reply("403 Forbidden")
    assert failure(bench).cause == "authentication"
    assert "opc" in failure(bench).sentence


def test_an_old_sqn_is_answered_by_auts_over_the_empty_password(bench: Any) -> None:
    """TS 34.229-1 9.2, RFC 3310 3.4."""
    start(bench)
    bench.challenge(nonce(1))
    bench.answer(SyncFailure(AUTS))
    sent = proof(bench.request)
    assert base64.b64decode(sent.get("auts")) == AUTS
    assert verify(sent, method="REGISTER", password=b"")
    bench.challenge(nonce(2))
    bench.answer(bench.success)
    assert verify(proof(bench.request), method="REGISTER", password=bench.success.res)
    assert "auts" not in proof(bench.request).params
    bench.grant()
    assert bench.ue.is_registered


def test_a_resynchronisation_that_does_not_take_ends(bench: Any) -> None:
    start(bench)
    for number in range(3):
        bench.challenge(nonce(number))
        bench.answer(SyncFailure(AUTS))
    assert bench.labels == ["REGISTER"] * 3
    assert "AUTS" in failure(bench).sentence


def test_a_nonce_may_hold_more_than_rand_and_autn(bench: Any) -> None:
    start(bench)
    longer = base64.b64encode(bytes(range(40))).decode().rstrip("=")  # RFC 3310 3.2; padding forgotten
    bench.challenge(longer)
    assert bench.question(Authenticate) == Authenticate(bytes(range(16)), bytes(range(16, 32)))
    bench.answer(bench.success)
    assert proof(bench.request).get("nonce") == longer


@pytest.mark.parametrize(
    "line",
    [
        'WWW-Authenticate: Digest realm="r", nonce="c2hvcnQ=", algorithm=AKAv1-MD5, qop="auth"',
        'WWW-Authenticate: Digest realm="r", nonce="abc", algorithm=MD5',
        'WWW-Authenticate: Digest realm="r", nonce="abc", algorithm=AKAv1-MD5, qop="auth-conf"',
        'WWW-Authenticate: Digest realm="r", nonce="abc", algorithm=AKAv3-MD5',
        "WWW-Authenticate: Bearer x",
        "",
    ],
)
def test_a_challenge_that_the_sim_cannot_take_ends_it(bench: Any, line: str) -> None:
    start(bench)
    bench.reply("401 Unauthorized", line)
    assert failure(bench).cause == "authentication"
    assert bench.asked == []


def test_without_a_sim_that_answers_it_ends(bench: Any) -> None:
    start(bench)
    bench.challenge()
    bench.answer(None)
    assert failure(bench).cause == "authentication"


# Passwords ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_password_is_proven_by_digest(softphone: Any, algorithm: str) -> None:
    start(softphone)
    challenge = f'WWW-Authenticate: Digest realm="r", nonce="n1", algorithm={algorithm}, qop="auth", opaque="o"'
    softphone.reply("401 Unauthorized", challenge)
    sent = proof(softphone.request)
    assert verify(sent, method="REGISTER", password=b"secret1")
    assert sent.get("opaque") == "o"
    softphone.grant(600)
    softphone.wait(300)
    again = proof(softphone.request)
    assert (again.get("nonce"), again.get("nc")) == ("n1", "00000002")  # RFC 7616 3.4
    assert verify(again, method="REGISTER", password=b"secret1")


def test_a_wrong_password_is_tried_once(softphone: Any) -> None:
    start(softphone)
    softphone.reply("401 Unauthorized", 'WWW-Authenticate: Digest realm="r", nonce="n1"')
    softphone.reply("401 Unauthorized", 'WWW-Authenticate: Digest realm="r", nonce="n2"')
    assert softphone.labels == ["REGISTER"] * 2
    assert "password" in failure(softphone).sentence
    assert "secret1" not in str(softphone.told)


def test_a_stale_nonce_is_replaced_once(softphone: Any) -> None:
    start(softphone)
    softphone.reply("401 Unauthorized", 'WWW-Authenticate: Digest realm="r", nonce="n1"')
    for number in (2, 3):
        softphone.reply("401 Unauthorized", f'WWW-Authenticate: Digest realm="r", nonce="n{number}", stale=true')
    assert softphone.labels == ["REGISTER"] * 3
    assert failure(softphone).cause == "authentication"


# Refusals -----------------------------------------------------------------------------------------------------------


def test_too_brief_is_raised_to_what_the_network_wants(make_bench: Any) -> None:
    bench = make_bench(expires_s=60)
    start(bench)
    bench.challenge()
    bench.answer(bench.success)
    bench.reply("423 Interval Too Brief", "Min-Expires: 1800")
    before, after = bench.requests[-2:]
    assert after.expires == 1800
    assert after.call_id == before.call_id
    assert after.cseq.number == before.cseq.number + 1
    bench.grant(1800)
    assert bench.ue.is_registered


@pytest.mark.parametrize("line", ["", "Min-Expires: 60", "Min-Expires: soon"])
def test_too_brief_without_a_longer_time_is_a_refusal(make_bench: Any, line: str) -> None:
    bench = make_bench(expires_s=60)
    start(bench)
    bench.reply("423 Interval Too Brief", line)
    assert (failure(bench).cause, failure(bench).status) == ("rejected", 423)


def test_too_brief_without_end_is_a_refusal(make_bench: Any) -> None:
    bench = make_bench(expires_s=60)
    start(bench)
    for least_s in (100, 200, 300):
        bench.reply("423 Interval Too Brief", f"Min-Expires: {least_s}")
    assert bench.labels == ["REGISTER"] * 3
    assert failure(bench).status == 423


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("403 Forbidden", "subscribed"),
        ("404 Not Found", "impi"),
        ("421 Extension Required", "IPsec"),
        ("600 No", "impu"),
    ],
)
def test_a_refusal_stops_and_explains(bench: Any, status: str, word: str) -> None:
    start(bench, bench.flow, PCSCF_2)
    bench.reply(status)
    event = failure(bench)
    assert (event.cause, event.status, event.is_final) == ("rejected", int(status[:3]), True)
    assert word.replace("impu", f"sip:{bench.impi}").replace("impi", bench.impi) in event.sentence
    bench.wait(3600)
    assert bench.labels == ["REGISTER"]


def test_a_403_to_the_sims_answer_is_a_matter_of_authentication(bench: Any) -> None:
    start(bench)
    bench.challenge()
    bench.answer(bench.success)
    bench.reply("403 Forbidden")
    assert failure(bench).cause == "authentication"


# The next P-CSCF ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["503 Service Unavailable", "500 Server Internal Error", "408 Request Timeout"])
def test_troubles_send_to_the_next_pcscf(bench: Any, status: str) -> None:
    start(bench, bench.flow, bench.flow.over("TCP"), PCSCF_2)
    bench.reply(status, "Contact: <sip:elsewhere@127.0.0.9>\nRetry-After: 30")
    assert bench.flows[-1] == PCSCF_2  # not the other transport of the one that has troubles
    first, second = bench.requests
    assert (second.call_id, second.cseq.number) == (first.call_id, 2)
    bench.reply(status, "Retry-After: 30")
    event = failure(bench)
    assert (event.cause, event.retry_after_s, event.is_final) == ("rejected", 30, True)
    assert event.tried == (str(bench.flow), str(PCSCF_2))


def test_use_proxy_sends_to_the_next_pcscf_and_then_to_discovery_once(bench: Any) -> None:
    """TS 24.229 5.1.1.2.1: the Contact of a 305 is ignored."""
    start(bench, bench.flow, PCSCF_2)
    bench.reply("305 Use Proxy", "Contact: <sip:elsewhere@127.0.0.9>")
    assert bench.flows[-1] == PCSCF_2
    bench.reply("305 Use Proxy")
    assert bench.question(Resolve) == Resolve("127.0.10.10", 5060)
    bench.answer((bench.flow,))
    bench.reply("305 Use Proxy")
    assert failure(bench).status == 305
    assert bench.asked == []


def test_silence_sends_to_the_next_pcscf_after_timer_f(bench: Any) -> None:
    start(bench, bench.flow, PCSCF_2)
    bench.wait(TIMER_F_S - 1)
    assert {flow.remote for flow in bench.flows} == {bench.flow.remote}
    bench.wait(2)
    assert bench.flows[-1] == PCSCF_2
    bench.wait(TIMER_F_S)
    event = failure(bench)
    assert event.cause == "timeout"
    assert event.status is None
    assert event.tried == (str(bench.flow), str(PCSCF_2))


def test_the_profile_may_choose_the_timers_of_rfc_3261(make_bench: Any) -> None:
    bench = make_bench(timers="rfc3261")
    start(bench)
    bench.wait(33)
    assert failure(bench).cause == "timeout"


def test_a_refused_flow_leaves_the_other_transport(bench: Any) -> None:
    start(bench, bench.flow, bench.flow.over("TCP"))
    bench.do(bench.ue.lost, bench.flow)
    assert bench.flows[-1].transport == "TCP"
    bench.do(bench.ue.lost, bench.flow.over("TCP"))
    assert failure(bench).cause == "unreachable"
    assert len(failure(bench).tried) == 2


@pytest.mark.parametrize("result", [(), None, 7, ("nonsense",)])
def test_what_does_not_resolve_is_unreachable(bench: Any, result: Any) -> None:
    bench.do(bench.ue.register)
    bench.answer(result)
    assert failure(bench).cause == "unreachable"
    assert "127.0.10.10" in failure(bench).sentence
    assert bench.sent == []


def test_after_a_failure_one_may_try_again(bench: Any) -> None:
    start(bench)
    bench.reply("503 Service Unavailable")
    bench.forget()
    bench.register()


# Refreshes ----------------------------------------------------------------------------------------------------------


def test_a_refresh_stays_in_the_call_and_repeats_the_last_answer(bench: Any) -> None:
    start(bench)
    bench.challenge(nonce(1))
    bench.answer(bench.success)
    bench.grant(1200)
    bench.wait(600)
    answered, refresh = bench.requests[-2:]
    assert (refresh.call_id, refresh.cseq.number) == (answered.call_id, answered.cseq.number + 1)
    assert refresh.headers.get("Authorization") == answered.headers.get("Authorization")  # TS 24.229 5.1.1.4.2 a
    bench.grant(1200)
    assert bench.told[-1].is_refresh


def test_every_refresh_may_be_challenged(phone: Any) -> None:
    for number in range(5):
        phone.wait(3000)
        phone.challenge(nonce(number))
        phone.answer(phone.success)
        phone.grant(3600)
    assert len(phone.events(Registered)) == 5
    assert phone.ue.is_registered


def test_the_service_route_of_a_refresh_replaces_the_old_one(phone: Any) -> None:
    phone.wait(3000)
    own = f"<{phone.own_address()}>"
    phone.reply("200 OK", f"Contact: {own};expires=600\nService-Route: <sip:new@127.0.10.31;lr>")
    phone.call()
    assert [str(route) for route in phone.request.routes][1:] == ["<sip:new@127.0.10.31;lr>"]


@pytest.mark.parametrize("status", ["503 Service Unavailable", "500 Oops", "420 Bad Extension", "439 No Outbound"])
def test_a_refresh_that_fails_keeps_the_registration_and_tries_again(phone: Any, status: str) -> None:
    phone.wait(3000)
    phone.reply(status)
    assert not failure(phone).is_final
    assert phone.ue.is_registered
    phone.wait(29.9)
    assert phone.labels == ["REGISTER"]  # RFC 5626 4.5: 50 to 100 per cent of 30 s doubled once for each failure
    phone.wait(30.2)
    assert phone.labels == ["REGISTER"] * 2
    phone.grant(3600)
    assert phone.ue.is_registered


def test_a_refresh_waits_as_long_as_the_network_asks(phone: Any) -> None:
    phone.wait(3000)
    phone.reply("503 Service Unavailable", "Retry-After: 200")
    phone.wait(199)
    assert phone.labels == ["REGISTER"]
    phone.wait(2)
    assert phone.labels == ["REGISTER"] * 2


def test_refreshes_that_all_fail_end_in_a_new_registration(phone: Any) -> None:
    phone.wait(3000)
    answered = 0
    while phone.now < 1000 + 3601:
        if len(phone.requests) > answered:
            answered += 1
            phone.reply("500 Server Internal Error")
        phone.wait(1)
    assert answered >= 4
    assert not phone.ue.is_registered
    assert phone.question(Resolve)
    assert all(not event.is_final for event in phone.events(RegistrationFailed))
    call_id = phone.request.call_id
    phone.answer((phone.flow,))
    assert phone.request.call_id != call_id
    assert proof(phone.request).get("nonce") == ""  # from the very beginning


def test_a_registration_that_runs_out_under_a_silent_refresh_goes_on_as_a_new_one(bench: Any) -> None:
    start(bench, bench.flow, PCSCF_2)
    bench.grant(120)
    bench.wait(60)
    bench.wait(61)  # no answer; the contact is gone, Timer F is not over
    assert not bench.ue.is_registered
    bench.wait(TIMER_F_S)
    assert bench.flows[-1] == PCSCF_2
    bench.grant(120)
    assert bench.ue.is_registered


def test_a_long_retry_after_is_obeyed_beyond_the_expiry(bench: Any) -> None:
    bench.register(120)
    bench.wait(60)
    bench.reply("503 Service Unavailable", "Retry-After: 300")
    bench.wait(61)
    assert not bench.ue.is_registered
    bench.wait(238)
    assert bench.asked == []
    bench.wait(2)
    assert bench.question(Resolve)


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found"])
def test_a_refresh_that_is_forbidden_ends_the_registration(phone: Any, status: str) -> None:
    phone.wait(3000)
    phone.reply(status)
    assert failure(phone).is_final
    assert not phone.ue.is_registered


def test_the_user_may_refresh(phone: Any) -> None:
    phone.do(phone.ue.register)
    assert phone.labels == ["REGISTER"]
    with pytest.raises(StateError, match="under way"):
        phone.do(phone.ue.register)


# Leaving ------------------------------------------------------------------------------------------------------------


def test_deregistration_asks_for_no_time_at_all(phone: Any) -> None:
    phone.do(phone.ue.deregister)
    assert phone.request.expires == 0  # TS 24.229 5.1.1.6.1
    assert phone.request.contacts[0].uri.user
    phone.challenge()
    phone.answer(phone.success)
    assert phone.request.expires == 0
    phone.reply("200 OK")
    assert phone.told[-1] == Deregistered(at=phone.now, impu=f"sip:alice@{phone.home}")
    assert not phone.ue.is_registered
    phone.wait(10_000)
    assert phone.labels == ["REGISTER"] * 2


def test_a_deregistration_that_nobody_answers_ends_all_the_same(phone: Any) -> None:
    phone.do(phone.ue.deregister)
    phone.wait(TIMER_F_S + 1)
    assert phone.names[-2:] == ["RegistrationFailed", "Deregistered"]
    assert not phone.ue.is_registered


def test_what_is_not_registered_cannot_be_deregistered(bench: Any) -> None:
    with pytest.raises(StateError, match="not registered"):
        bench.do(bench.ue.deregister)


def test_who_leaves_while_registering_is_let_in_and_out(bench: Any) -> None:
    start(bench)
    bench.do(bench.ue.deregister)
    assert bench.labels == ["REGISTER"]  # 5.1.1.2.1: not before the final response
    bench.grant()
    assert bench.labels == ["REGISTER"] * 2
    assert bench.request.expires == 0
    bench.reply("200 OK")
    assert bench.names[-1] == "Deregistered"


def test_who_leaves_while_registering_need_not_hear_of_the_refusal(bench: Any) -> None:
    start(bench)
    bench.do(bench.ue.deregister)
    bench.reply("403 Forbidden")
    assert bench.names == ["Registering", "Deregistered"]


def test_who_leaves_before_the_first_register_sends_none(bench: Any) -> None:
    bench.do(bench.ue.register)
    bench.do(bench.ue.deregister)
    bench.answer((bench.flow,))
    assert bench.sent == []
    assert bench.names == ["Deregistered"]


def test_answers_to_other_questions_change_nothing(bench: Any) -> None:
    start(bench)
    bench.challenge(nonce(1))
    old = bench.asked[0]
    bench.answer(bench.success)
    bench.take(bench.ue.answer(old, bench.success, bench.now))
    assert bench.labels == ["REGISTER"] * 2


def test_a_repeated_401_changes_nothing(bench: Any) -> None:
    start(bench)
    first = bench.request
    bench.challenge()
    bench.answer(bench.success)
    bench.reply("401 Unauthorized", "", to=first)
    assert bench.labels == ["REGISTER"] * 2
