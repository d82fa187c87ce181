"""Which challenge is answered, how, and when the answers end (the whole exchange: test_registration.py)."""

from __future__ import annotations

import base64

import pytest

from imsphone.ims.authentication import Authentication, GiveUp, credentials_for
from imsphone.ims.identity import Identity
from imsphone.machine import Authenticate, Ids
from imsphone.profile import Secret
from imsphone.sip.digest import verify
from imsphone.sip.fields import Challenge
from imsphone.sip.message import Request, Response
from imsphone.usim.aka import AkaSuccess, MacFailure, NoAnswer

ALICE = Identity("alice@ims.example", "sip:alice@ims.example", "ims.example", "urn:uuid:0")
PASSWORD = Secret(b"secret")
SUCCESS = AkaSuccess(b"RES", b"c" * 16, b"i" * 16)


def challenged(*values: str, status: int = 401) -> Response:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return Response(status, headers=[(name, value) for value in values])


def aka(number: int = 1) -> str:
    nonce = base64.b64encode(bytes([number]) * 32).decode()
    return f'Digest realm="ims.example", nonce="{nonce}", algorithm=AKAv1-MD5, qop="auth"'


def test_the_sim_takes_the_challenge_that_is_for_it() -> None:
    proof = Authentication(ALICE, Ids(b"x"), None)
    question = proof.challenged(challenged('Digest realm="r", nonce="n", algorithm=MD5', aka()))
    assert question == Authenticate(b"\1" * 16, b"\1" * 16)
    assert proof.algorithm == "AKAv1-MD5"


def test_the_password_takes_the_first_that_it_understands() -> None:
    proof = Authentication(ALICE, Ids(b"x"), PASSWORD)
    sha = 'Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"'
    assert proof.challenged(challenged(aka(), 'Digest realm="r", nonce="n", algorithm=SHA-512', sha)) is None
    assert Challenge.parse(proof.authorization).get("algorithm") == "SHA-256"


def test_a_challenge_of_the_other_kind_is_named() -> None:
    proof = Authentication(ALICE, Ids(b"x"), None)
    verdict = proof.challenged(challenged('Digest realm="r", nonce="n"'))
    assert verdict == GiveUp(
        'the network asks for proof by MD5, the profile has a SIM that answers AKAv1 and AKAv2 (auth = "aka")'
    )


def test_a_refresh_begins_its_own_count() -> None:
    proof = Authentication(ALICE, Ids(b"x"), None)
    for number in range(10):
        assert isinstance(proof.challenged(challenged(aka(number))), Authenticate)
        assert proof.outcome(SUCCESS) is None
        proof.again()
    assert not proof.has_answered


def test_a_good_answer_forgives_the_bad_ones_before() -> None:
    proof = Authentication(ALICE, Ids(b"x"), None)
    for result in (MacFailure(), MacFailure(), SUCCESS, MacFailure()):
        assert isinstance(proof.challenged(challenged(aka(proof._invalid + 10))), Authenticate)
        assert proof.outcome(result) is None
    assert "opc" in proof.deception


def test_a_card_that_says_nothing_says_why() -> None:
    proof = Authentication(ALICE, Ids(b"x"), None)
    proof.challenged(challenged(aka()))
    verdict = proof.outcome(NoAnswer("the card was taken out of R: put it in again"))
    assert verdict is not None
    assert "taken out of R" in verdict.sentence


def test_a_new_registration_proves_nothing_at_first() -> None:
    proof = Authentication(ALICE, Ids(b"x"), None)
    first = proof.authorization
    proof.challenged(challenged(aka()))
    proof.outcome(SUCCESS)
    assert proof.authorization != first
    proof.start()
    assert proof.authorization == first


@pytest.mark.parametrize(("status", "name"), [(401, "Authorization"), (407, "Proxy-Authorization")])
def test_other_requests_are_proven_by_password(status: int, name: str) -> None:
    invite = Request("INVITE", "sip:bob@ims.example")
    response = challenged('Digest realm="r", nonce="n", qop="auth"', status=status)
    answer = credentials_for(response, invite, ALICE, PASSWORD, "c")
    assert answer is not None
    assert answer[0] == name
    credentials = Challenge.parse(answer[1])
    assert credentials.get("uri") == "sip:bob@ims.example"
    assert verify(credentials, method="INVITE", password=b"secret")


def test_what_cannot_be_answered_is_not() -> None:
    invite = Request("INVITE", "sip:bob@ims.example")
    assert credentials_for(challenged(aka()), invite, ALICE, PASSWORD, "c") is None


def test_nothing_shows_a_secret() -> None:
    proof = Authentication(ALICE, Ids(b"x"), PASSWORD)
    proof.challenged(challenged('Digest realm="r", nonce="n"'))
    assert "secret" not in repr(vars(proof))
