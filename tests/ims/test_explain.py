"""Sentences that name the likely cause."""

from __future__ import annotations

import pytest

from imsphone.ims.explain import Setback, no_address, no_way, refusal, silence, trouble
from imsphone.ims.identity import Identity
from imsphone.sip.message import Response

ALICE = Identity("alice@ims.example", "sip:alice@ims.example", "ims.example", "urn:uuid:0")


@pytest.mark.parametrize(
    ("status", "has_answered", "was_deceived", "cause", "words"),
    [
        (403, False, False, "rejected", ("subscribed", "alice@ims.example")),
        (403, True, False, "authentication", ("key",)),
        (403, True, True, "authentication", ("opc", "MAC")),
        (404, False, False, "rejected", ("impi", "impu")),
        (404, True, False, "rejected", ("sip:alice@ims.example",)),
        (421, False, False, "rejected", ("IPsec",)),
        (699, False, False, "rejected", ("sip:alice@ims.example",)),
    ],
)
def test_a_refusal_names_its_likely_cause(
    status: int, has_answered: bool, was_deceived: bool, cause: str, words: tuple[str, ...]
) -> None:
    response = Response(status, headers=[("Retry-After", "7 (soon)")])
    setback = refusal(ALICE, response, has_answered=has_answered, was_deceived=was_deceived)
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
