"""What a message has before the border, and what it has behind."""

from __future__ import annotations

import pytest

from imsphone.lab.border import hide_the_core, is_private, strip_keys, take_agreement_out
from imsphone.sip.message import Request, Response


def test_the_agreement_stays_between_phone_and_pcscf() -> None:
    request = Request("INVITE", "sip:a@b", [("Require", "sec-agree, 100rel"), ("Proxy-Require", "sec-agree")])
    take_agreement_out(request)
    assert list(request.headers) == [("Require", "100rel")]


def test_the_keys_do_not_reach_the_phone() -> None:
    challenge = 'Digest realm="r", nonce="n", ck="c0ffee", ik="c0de", algorithm=AKAv1-MD5'
    response = Response(401, headers=[("WWW-Authenticate", challenge)])
    strip_keys(response)
    assert b"c0ffee" not in bytes(response)
    assert b"c0de" not in bytes(response)
    assert response.challenges()[0].get("nonce") == "n"


@pytest.mark.parametrize(("privacy", "is_seen"), [(None, True), ("none", True), ("id", False), ("header;ID", False)])
def test_charging_and_who_wants_to_stay_unknown(privacy: str | None, is_seen: bool) -> None:
    headers = [("P-Charging-Vector", "icid-value=1"), ("P-Asserted-Identity", "<sip:a@b>")]
    response = Response(200, headers=[*headers, *([("Privacy", privacy)] if privacy else [])])
    assert is_private(response) is not is_seen
    hide_the_core(response, 0.0)
    assert "P-Charging-Vector" not in response.headers
    assert ("P-Asserted-Identity" in response.headers) is is_seen
