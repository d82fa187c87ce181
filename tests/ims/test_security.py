"""The security agreement from the phone's side, against a network written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from imsphone.errors import ProfileError
from imsphone.events import Deregistered, Registered, RegistrationFailed, Violated
from imsphone.ipsec.agreement import Proposal
from imsphone.ipsec.sa import SUITES, Associations, Ends, Inspect, Prolong, Protect, Release
from imsphone.ipsec.shield import Passed
from imsphone.machine import Address, Flow
from imsphone.profile import Secret
from imsphone.sip.message import Request
from imsphone.usim.aka import MacFailure

SERVER_ENDS = Ends(4096, 4097, 5100, 6100)
SERVER = "ipsec-3gpp; q=0.9; alg=hmac-sha-1-96 ;ealg=null;spi-c=4096;spi-s=4097;port-c=5100;port-s=6100"
NONCE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
CHALLENGE = """\
WWW-Authenticate: Digest realm="{home}", nonce="{nonce}", algorithm=AKAv1-MD5, qop="auth"
{security}"""


@pytest.fixture
def secure(make_bench: Any) -> Any:
    return make_bench(security="ipsec")


def challenge(bench: Any, security: str = f"Security-Server: {SERVER}") -> None:
    bench.reply("401 Unauthorized", CHALLENGE.format(home=bench.home, nonce=NONCE, security=security))


def offers(request: Request) -> list[Proposal]:
    return [proposal for text in request.headers.lines("Security-Client") if (proposal := Proposal.parse(text))]


def start(bench: Any) -> Request:
    bench.do(bench.ue.register)
    bench.answer((bench.flow,))
    request: Request = bench.request
    return request


def guarded(bench: Any) -> Associations:
    """Answers the SIM's question and the one for protection; gives what was protected."""
    bench.answer(bench.success)
    question = bench.asked[0].question
    assert isinstance(question, Protect)
    bench.answer(("UDP",))
    return question.associations


def registered(bench: Any, expires_s: int = 3600) -> Associations:
    start(bench)
    challenge(bench)
    held = guarded(bench)
    bench.grant(expires_s)
    assert bench.ue.is_registered
    return held


def test_the_first_register_offers_every_suite_with_its_ports(secure: Any) -> None:
    request = start(secure)
    found = offers(request)
    assert [proposal.suite for proposal in found] == list(SUITES)
    (ends,) = {proposal.ends for proposal in found}
    assert len({*ends}) == 4
    assert request.require == request.proxy_require == ["sec-agree"]  # RFC 3329 2.3.1
    assert request.contacts[0].uri.port == ends.port_s  # TS 24.229 5.1.1.2.2: the protected server port
    assert request.via.port == secure.flow.local.port
    assert "Security-Verify" not in request.headers


def test_the_answer_to_the_challenge_leaves_inside(secure: Any) -> None:
    first = start(secure)
    challenge(secure)
    held = guarded(secure)
    request = secure.request
    assert (held.suite, held.peer) == (SUITES[2], SERVER_ENDS)
    assert held.own == offers(first)[0].ends
    assert secure.flows[-1] == Flow("UDP", Address(held.own_host, held.own.port_c), Address(held.peer_host, 6100))
    assert request.headers.lines("Security-Verify") == [SERVER]  # as it came, blanks and all
    assert request.headers.lines("Security-Client") == first.headers.lines("Security-Client")
    assert (request.via.port, "rport" in request.via.params) == (held.own.port_s, False)
    assert (request.call_id, request.cseq.number) == (first.call_id, first.cseq.number + 1)
    secure.grant()
    (event,) = secure.events(Registered)
    assert event.protection == "hmac-sha-1-96/null"


def test_the_best_of_what_both_can_is_taken(secure: Any) -> None:
    start(secure)
    better = SERVER.replace("q=0.9", "q=0.95").replace("ealg=null", "ealg=aes-cbc").replace("4096", "5000")
    best = SERVER.replace("q=0.9", "q=0.99").replace("ealg=null", "ealg=des-ede3-cbc")
    challenge(secure, f"Security-Server: {SERVER}, {better}\nSecurity-Server: {best}")
    held = guarded(secure)
    assert (str(held.suite), held.peer.spi_c) == ("hmac-sha-1-96/aes-cbc", 5000)


def test_a_request_of_any_size_stays_on_udp(make_bench: Any) -> None:
    bench = make_bench(security="ipsec", user_agent="x" * 1000)
    registered(bench)
    assert {flow.transport for flow in bench.flows} == {"UDP"}


@pytest.mark.parametrize(
    "security",
    [
        "",
        "Security-Server: tls;q=0.9",
        f'Security-Server: {SERVER};x="',
        f"Security-Server: {SERVER.replace('spi-s=4097;', '')}",
    ],
)
def test_without_a_usable_security_server_it_starts_over_once(secure: Any, security: str) -> None:
    """SEC-05, TS 24.229 5.1.1.5.1."""
    first = start(secure)
    challenge(secure, security)
    again = secure.request
    assert again.call_id != first.call_id
    assert offers(again)[0].ends.port_s != offers(first)[0].ends.port_s
    challenge(secure, security)
    *_, last = secure.events(RegistrationFailed)
    assert last.is_final
    assert "Security-Server" in last.sentence or "mechanism" in last.sentence
    assert not secure.ue.is_registered
    assert not secure.asked  # no SIM was asked, no association set up


def test_a_profile_may_let_it_register_in_the_clear(make_bench: Any) -> None:
    bench = make_bench(security="ipsec-or-plain")
    first = start(bench)
    challenge(bench, "")
    again = bench.request
    assert again.call_id != first.call_id
    assert "Security-Client" not in again.headers
    assert "Require" not in again.headers
    assert again.contacts[0].uri.port == bench.flow.local.port
    challenge(bench, "")
    bench.answer(bench.success)
    bench.grant()
    (event,) = bench.events(Registered)
    assert event.protection == ""
    assert [event.is_final for event in bench.events(RegistrationFailed)] == [False]  # and says so


def test_a_network_that_knows_no_agreement_is_taken_as_it_is_or_left(make_bench: Any) -> None:
    for security, is_final in (("ipsec", True), ("ipsec-or-plain", False)):
        bench = make_bench(security=security)
        start(bench)
        bench.reply("420 Bad Extension", "Unsupported: sec-agree")
        (event,) = bench.events(RegistrationFailed)
        assert event.is_final == is_final
        assert len(bench.requests) == (1 if is_final else 2)


def test_421_and_494_are_answered_by_another_agreement_and_no_third(secure: Any) -> None:
    """SEC-06, RFC 3329 2.3.1."""
    first = start(secure)
    secure.reply("494 Security Agreement Required", f"Security-Server: {SERVER}")
    again = secure.request
    assert again.call_id != first.call_id
    assert offers(again)[0].ends != offers(first)[0].ends
    secure.reply("494 Security Agreement Required", f"Security-Server: {SERVER}")
    found = [(event.status, event.is_final) for event in secure.events(RegistrationFailed)]
    assert found == [(494, False), (494, True)]


def test_a_profile_without_ipsec_says_what_the_network_wants(bench: Any) -> None:
    start(bench)
    bench.reply("421 Extension Required", "Require: sec-agree")
    (event,) = bench.events(RegistrationFailed)
    assert 'security = "ipsec"' in event.sentence


def test_a_machine_that_cannot_protect_says_so_and_sends_nothing(secure: Any) -> None:
    """SEC-14."""
    start(secure)
    challenge(secure)
    secure.answer(secure.success)
    secure.answer(None)
    (event,) = secure.events(RegistrationFailed)
    assert event.is_final
    assert "doctor --sa" in event.sentence
    assert len(secure.requests) == 1


def test_an_invalid_challenge_is_answered_with_new_ends_and_no_associations(secure: Any) -> None:
    """AKA-02, TS 24.229 5.1.1.5.3."""
    first = start(secure)
    challenge(secure)
    secure.answer(MacFailure())
    request = secure.request
    old, new = offers(first)[0].ends, offers(request)[0].ends
    assert new.port_s == old.port_s
    assert {new.spi_c, new.spi_s, new.port_c}.isdisjoint({old.spi_c, old.spi_s, old.port_c})
    assert secure.flows[-1] == secure.flow
    assert not any(isinstance(ask.question, Protect) for ask in secure.asked)


def test_a_refresh_keeps_the_server_port_and_hands_over_without_a_gap(secure: Any) -> None:
    """SEC-12: new SPIs and port_uc, port_us kept; the old set goes when its transactions have ended."""
    old = registered(secure, expires_s=600)
    secure.wait(300)
    request = secure.request
    assert secure.flows[-1].local == old.own_client
    assert request.headers.lines("Security-Verify") == [SERVER]
    ends = offers(request)[0].ends
    assert ends.port_s == old.own.port_s
    assert ends.port_c != old.own.port_c
    other = SERVER.replace("4096", "4098").replace("4097", "4099").replace("5100", "5101")
    challenge(secure, f"Security-Server: {other}")
    new = guarded(secure)
    assert new.own == ends
    assert secure.flows[-1].local == new.own_client
    assert secure.request.headers.lines("Security-Verify") == [other]
    secure.grant(600)
    assert not secure.asked
    call = secure.call()
    assert secure.flows[-1].local == new.own_client
    assert secure.request.contacts[0].uri.port == old.own.port_s
    assert secure.request.headers.lines("Security-Verify") == [other]
    secure.wait(128)
    assert [ask.question for ask in secure.asked if isinstance(ask.question, Release)] == [Release(old)]
    assert call in secure.ue.calls


def test_a_refresh_that_is_not_challenged_keeps_its_associations(secure: Any) -> None:
    held = registered(secure, expires_s=600)
    secure.wait(300)
    secure.grant(600)
    secure.call()
    assert secure.flows[-1].local == held.own_client
    assert not any(isinstance(ask.question, Release) for ask in secure.asked)


def test_associations_are_prolonged_with_each_200_and_half_a_minute_longer_than_it_says(secure: Any) -> None:
    """TS 24.229 5.1.1.5.1; never cut short; also where nothing is challenged, and not where nothing is granted."""
    held = registered(secure, expires_s=600)
    assert secure.prolonged == [Prolong(held, secure.now + 630)]
    secure.wait(300)
    secure.grant(900)
    longest = secure.now + 930
    assert secure.prolonged[1:] == [Prolong(held, longest)]
    secure.wait(450)
    challenge(secure)
    new = guarded(secure)
    assert len(secure.prolonged) == 2
    secure.grant(300)
    assert secure.prolonged[2:] == [Prolong(new, longest)]
    secure.wait(150)
    secure.grant(600)
    assert secure.prolonged[3:] == [Prolong(new, secure.now + 630)]


def test_a_refresh_that_gets_no_agreement_leaves_the_old_one_in_force(secure: Any) -> None:
    held = registered(secure, expires_s=600)
    secure.wait(300)
    challenge(secure, "")
    assert secure.ue.is_registered
    secure.call()
    assert secure.flows[-1].local == held.own_client


def test_after_deregistration_nothing_is_protected_any_more(secure: Any) -> None:
    held = registered(secure)
    secure.do(secure.ue.deregister)
    assert secure.flows[-1].local == held.own_client
    assert secure.request.headers.lines("Security-Verify") == [SERVER]
    secure.reply("200 OK")
    assert [ask.question for ask in secure.asked] == [Release(held)]
    secure.wait(60)
    assert secure.ue.deadline is None


def test_associations_outlive_a_registration_that_ran_out_by_half_a_minute(secure: Any) -> None:
    """TS 24.229 5.1.1.5.1, TS 34.229-1 8.2."""
    held = registered(secure, expires_s=60)
    secure.wait(30)
    secure.reply("503 Service Unavailable", "Retry-After: 600")
    secure.wait(59)
    assert not secure.ue.is_registered
    assert not secure.asked
    secure.wait(1)
    assert [ask.question for ask in secure.asked] == [Release(held)]
    secure.wait(600)
    secure.asked.pop(0)
    secure.answer((secure.flow,))  # a new one begins, in the clear
    assert secure.flows[-1] == secure.flow
    assert "Security-Verify" not in secure.request.headers


def test_the_subscription_to_the_registration_moves_with_it(make_bench: Any) -> None:
    secure = make_bench(security="ipsec", reg_event=True)
    registered(secure, expires_s=600)
    secure.wait(1)
    subscribe = secure.request
    assert subscribe.method == "SUBSCRIBE"
    assert subscribe.headers.lines("Security-Verify") == [SERVER]
    secure.reply("503 Service Unavailable", "Retry-After: 305")
    secure.wait(299)
    other = SERVER.replace("4096", "4098").replace("4097", "4099").replace("5100", "5101")
    challenge(secure, f"Security-Server: {other}")
    new = guarded(secure)
    secure.grant(600)
    secure.wait(10)
    assert secure.request.method == "SUBSCRIBE"
    assert secure.flows[-1].local == new.own_client


def test_once_protected_it_is_called_inside_esp_only(secure: Any) -> None:
    """SEC-11, TS 33.203 7.1."""
    held = registered(secure)
    secure.forget()
    secure.invite()
    assert secure.labels == ["403"]
    assert not secure.ue.calls
    assert secure.names == ["Violated"]
    secure.forget()
    inside = Flow("UDP", held.own_server, held.peer_client)
    secure.hear(secure.far_request("INVITE", 1, branch="z9hG4bKinside", tag=""), secure.sdp_offer, inside)
    assert len(secure.ue.calls) == 1


def test_a_call_outlives_the_registration_that_it_began_in(secure: Any) -> None:
    registered(secure, expires_s=60)
    key = secure.call()
    secure.wait(30)
    secure.reply("503 Service Unavailable", "Retry-After: 40")
    secure.wait(40)
    secure.answer((secure.flow,))
    challenge(secure, f"Security-Server: {SERVER.replace('5100', '5101')}")
    held = guarded(secure)
    secure.grant(600)
    assert secure.ue.calls[key].flow.local == held.own_client


def test_a_profile_that_ipsec_cannot_serve_is_refused(make_bench: Any) -> None:
    with pytest.raises(ProfileError, match="security"):
        make_bench(Secret(b"x"), security="ipsec", auth="digest", impu="sip:a@b.example", imsi=None)


# TCP inside ----------------------------------------------------------------------------------------------------------


def guarded_by(bench: Any, *transports: str) -> Associations:
    bench.answer(bench.success)
    held: Associations = bench.asked[0].question.associations
    bench.answer(transports)
    return held


def inside(bench: Any) -> Flow:
    flow: Flow = bench.flows[-1]
    return flow


def test_what_is_large_goes_by_tcp_and_falls_back_once(secure: Any) -> None:
    """RFC 3261 18.1.1."""
    start(secure)
    challenge(secure)
    held = guarded_by(secure, "UDP", "TCP")
    assert len(secure.sent[-1]) > 1300
    assert inside(secure) == Flow("TCP", held.own_client, held.peer_server)
    secure.take(secure.ue.lost(inside(secure), secure.now))
    assert inside(secure) == Flow("UDP", held.own_client, held.peer_server)
    secure.grant(600)
    secure.do(secure.ue.register)  # and is not tried again
    assert inside(secure).transport == "UDP"
    challenge(secure, f"Security-Server: {SERVER.replace('5100', '5101')}")
    held = guarded_by(secure, "UDP", "TCP")
    assert inside(secure) == Flow("UDP", held.own_client, held.peer_server)


def test_a_connection_that_broke_after_it_served_is_opened_again(secure: Any) -> None:
    start(secure)
    challenge(secure)
    held = guarded_by(secure, "UDP", "TCP")
    way = inside(secure)
    secure.hear(secure.response("100 Trying", "", "", secure.request), flow=way)
    secure.grant(600)
    secure.take(secure.ue.lost(way, secure.now))
    secure.do(secure.ue.register)
    assert inside(secure) == Flow("TCP", held.own_client, held.peer_server)


def test_silence_inside_says_where_to_look(secure: Any) -> None:
    start(secure)
    challenge(secure)
    guarded(secure)
    secure.wait(128)
    assert isinstance(secure.asked[0].question, Inspect)
    assert not secure.events(RegistrationFailed)
    secure.answer(Passed(sent=11, forged=2))
    (event,) = secure.events(RegistrationFailed)
    assert event.cause == "timeout"
    assert "does not open (2 packets)" in event.sentence


def test_who_leaves_while_the_silence_is_looked_into_has_left(secure: Any) -> None:
    start(secure)
    challenge(secure)
    guarded(secure)
    secure.wait(128)
    secure.do(secure.ue.deregister)
    assert not secure.events(Deregistered)
    secure.answer(None)
    assert secure.events(Deregistered)
    assert not secure.events(RegistrationFailed)


def test_a_refresh_that_is_met_with_silence_inside_comes_again(secure: Any) -> None:
    held = registered(secure)
    secure.wait(3000)
    challenge(secure)
    guarded(secure)
    secure.wait(128)
    secure.answer(Passed(sent=11))
    (event,) = secure.events(RegistrationFailed)
    assert not event.is_final
    assert "none of its ESP arrives" in event.sentence
    assert secure.ue.is_registered
    secure.wait(60)
    assert secure.flows[-1].local == held.own_client


def test_an_answer_outside_of_ipsec_is_none(secure: Any) -> None:
    """Who can read our REGISTER (ealg=null) knows its branch, and cannot answer it all the same."""
    start(secure)
    challenge(secure)
    guarded(secure)
    forged = secure.response("403 Forbidden", "", "", secure.request)
    secure.hear(forged)
    (event,) = secure.events(Violated)
    assert (event.clause, event.did) == ("TS 33.203 7.1", "dropped")
    secure.grant()
    assert secure.ue.is_registered


def test_494_inside_says_that_somebody_changed_the_agreement(secure: Any) -> None:
    start(secure)
    challenge(secure)
    guarded(secure)
    secure.reply("494 Security Agreement Required")
    (event,) = secure.events(RegistrationFailed)
    assert "Security-Verify anew" in event.sentence


def test_a_security_server_that_cannot_be_read_ends_no_registration(secure: Any) -> None:
    """Found by the fuzzer: the phone waited for ever for the answer that it had had."""
    registered(secure)
    secure.wait(3000)
    challenge(secure, f'Security-Server: {SERVER};x="')
    assert secure.ue.is_registered
    before = len(secure.sent)
    secure.wait(120)
    assert len(secure.sent) > before  # it tries again
    challenge(secure)
    guarded(secure)
    secure.grant(3600)
    assert secure.ue.is_registered
