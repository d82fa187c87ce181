"""Sentences that name the likely cause."""

from __future__ import annotations

import base64

import pytest

from imsphone.ims.authentication import Authentication
from imsphone.ims.explain import Setback, no_address, no_way, refusal, silence, trouble
from imsphone.ims.identity import Identity
from imsphone.machine import Ids
from imsphone.sip.message import Response
from imsphone.usim.aka import AkaSuccess, MacFailure, Outcome, SyncFailure

ALICE = Identity("alice@ims.example", "sip:alice@ims.example", "ims.example", "urn:uuid:0")


@pytest.mark.parametrize(
    ("status", "said", "cause", "words"),
    [
        (403, None, "rejected", ("subscribed", "alice@ims.example")),
        (
            403,
            AkaSuccess(bytes(8), bytes(16), bytes(16)),
            "authentication",
            ("alice@ims.example", "k and opc are right"),
        ),
        (403, SyncFailure(bytes(14)), "authentication", ("key",)),
        (403, MacFailure(), "authentication", ("opc", "MAC")),
        (403, MacFailure("write op in place of opc"), "authentication", ("write op in place of opc", "MAC")),
        (404, None, "rejected", ("impi", "impu")),
        (404, AkaSuccess(bytes(8), bytes(16), bytes(16)), "rejected", ("sip:alice@ims.example",)),
        (421, None, "rejected", ("IPsec",)),
        (699, None, "rejected", ("sip:alice@ims.example",)),
    ],
)
def test_a_refusal_names_its_likely_cause(
    status: int, said: Outcome | None, cause: str, words: tuple[str, ...]
) -> None:
    proof = Authentication(ALICE, Ids(b"x"), None)
    if said is not None:
        nonce = base64.b64encode(bytes(32)).decode()
        challenge = f'Digest realm="r", nonce="{nonce}", algorithm=AKAv1-MD5'
        proof.challenged(Response(401, headers=[("WWW-Authenticate", challenge)]))
        proof.outcome(said)
    response = Response(status, headers=[("Retry-After", "7 (soon)")])
    setback = refusal(ALICE, response, proof)
    assert (setback.cause, setback.status, setback.retry_after_s) == (cause, status, 7)
    assert all(word in setback.sentence for word in words)


def test_what_was_tried_is_named() -> None:
    tried = ["UDP 127.0.20.1:5060 ↔ 127.0.10.10:5060"]
    for setback, cause in ((silence(tried), "timeout"), (no_way(tried), "unreachable")):
        assert setback.cause == cause
        assert tried[0] in setback.sentence
        assert setback.status is None
    assert "pcscf" in no_address("ims.example").sentence
    assert trouble(Response(503), tried).status == 503


def test_a_setback_becomes_an_event() -> None:
    event = Setback("timeout", "why").told(5.0, ["here"], is_final=False)
    assert (event.at, event.cause, event.sentence, event.tried, event.is_final) == (
        5.0,
        "timeout",
        "why",
        ("here",),
        False,
    )
