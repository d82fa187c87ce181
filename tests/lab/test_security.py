"""The P-CSCF's memory of security agreements."""

from __future__ import annotations

from imsphone.ipsec.agreement import Proposal, proposals
from imsphone.ipsec.sa import SUITES, Ends, Prolong, Protect, Release, Suite
from imsphone.lab.security import Agreement, Agreements
from imsphone.machine import Address, Ask, Effect, Flow, Ids
from imsphone.sip.message import Request, Response

HOST, PHONE = "127.0.10.10", "127.0.10.101"
HMAC = (Suite("hmac-sha-1-96", "aes-cbc"), Suite("hmac-sha-1-96", "null"))


def register(ends: Ends, *suites: Suite) -> Request:
    return Request("REGISTER", "sip:a", [("Security-Client", str(Proposal(suite, ends))) for suite in suites])


def challenge(ck: str = "11" * 16) -> Response:
    value = f'Digest realm="a", nonce="b", algorithm=AKAv1-MD5, ck="{ck}", ik="{"22" * 16}"'
    return Response(401, headers=[("WWW-Authenticate", value)])


def proposed(agreements: Agreements, ends: Ends, now: float = 0.0) -> tuple[Response, list[Effect]]:
    offer = agreements.offer(register(ends, *SUITES))
    assert offer is not None
    response = challenge()
    return response, agreements.propose(offer, response, PHONE, now)


def agreed(agreements: Agreements, ends: Ends, now: float = 0.0) -> Agreement:
    proposed(agreements, ends, now)
    agreement = agreements.of(Flow("UDP", agreements.server, Address(PHONE, ends.port_c)))
    assert agreement is not None
    return agreement


def test_its_own_order_decides_and_is_said_with_q() -> None:
    agreements = Agreements(HOST, HMAC, Ids(b"x"))
    response, effects = proposed(agreements, Ends(300, 301, 40001, 40002))
    said = proposals(response.headers.get_all("Security-Server"))
    assert [(one.suite, one.q) for one in said] == [(HMAC[0], 0.9), (HMAC[1], 0.8)]
    (ask,) = effects
    assert isinstance(ask, Ask)
    assert isinstance(ask.question, Protect)
    assert ask.question.associations.suite == HMAC[0]
    assert ask.question.associations.own == said[0].ends


def test_who_offers_nothing_that_it_can_do_gets_nothing() -> None:
    agreements = Agreements(HOST, HMAC, Ids(b"x"))
    assert agreements.offer(register(Ends(300, 301, 40001, 40002), Suite("null", "aes-gcm"))) is None
    assert agreements.offer(register(Ends(0, 0, 0, 0), *HMAC)) is None


def test_without_keys_there_is_no_agreement() -> None:
    agreements = Agreements(HOST, HMAC, Ids(b"x"))
    offer = agreements.offer(register(Ends(300, 301, 40001, 40002), *HMAC))
    assert offer is not None
    for response in (challenge("11"), challenge("xy" * 16), Response(401)):
        assert agreements.propose(offer, response, PHONE, 0.0) == []
        assert "Security-Server" not in response.headers


def test_what_was_agreed_has_to_be_repeated_to_the_letter() -> None:
    agreements = Agreements(HOST, HMAC, Ids(b"x"))
    ends = Ends(300, 301, 40001, 40002)
    agreement = agreed(agreements, ends)
    request = register(ends, *SUITES)
    assert not agreements.is_kept(agreement, request)  # SEC-04: no Security-Verify
    for value in agreement.server:
        request.headers.add("Security-Verify", value)
    assert agreements.is_kept(agreement, request)
    request.headers.set("Security-Verify", *(value.replace("null", "aes-cbc") for value in agreement.server))
    assert not agreements.is_kept(agreement, request)  # SEC-03
    request.headers.set("Security-Verify", *agreement.server)
    request.headers.set("Security-Client", str(Proposal(HMAC[1], ends)))
    assert not agreements.is_kept(agreement, request)  # SEC-04: somebody struck the others out
    assert agreements.listed(agreement) == ", ".join(agreement.server)  # RFC 3329 2.3.1: unmodified
    assert agreements.listed(None) == ", ".join(f"ipsec-3gpp;alg={alg};ealg={ealg}" for alg, ealg in HMAC)


def test_one_that_is_not_proven_ends_by_itself_and_by_the_next() -> None:
    agreements = Agreements(HOST, HMAC, Ids(b"x"))
    first = agreed(agreements, Ends(300, 301, 40001, 40002))
    _, effects = proposed(agreements, Ends(302, 303, 40003, 40002))
    assert effects[0] == Ask(Release(first.held))
    assert agreements.deadline == 240.0  # TS 24.229 7.8: reg-await-auth
    assert len(agreements.end(240.0)) == 1
    assert agreements.deadline is None


def test_the_one_before_stays_until_its_transactions_have_ended() -> None:
    agreements = Agreements(HOST, HMAC, Ids(b"x"))
    old = agreed(agreements, Ends(300, 301, 40001, 40002))
    assert agreements.accept(old, 600, 0.0) == [Ask(Prolong(old.held, 630.0))]
    assert agreements.deadline == 630.0  # TS 24.229 5.2.2.2: and half a minute
    new = agreed(agreements, Ends(302, 303, 40003, 40002), 300.0)
    agreements.accept(new, 600, 300.0)
    assert agreements.end(300.0 + 128) == [Ask(Release(old.held))]
    assert agreements.deadline == 930.0
    agreements.accept(new, 0, 500.0)  # deregistered
    assert agreements.end(500.0 + 128) == [Ask(Release(new.held))]
