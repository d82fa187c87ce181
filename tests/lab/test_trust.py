"""What does not cross the border between a phone and the core."""

from __future__ import annotations

import pytest

from imsphone.lab.trust import hide_the_core, is_private, strip_keys, take_agreement_out
from imsphone.sip.message import Request, Response


def test_the_keys_stay_and_the_challenge_goes_on() -> None:
    response = Response(401, headers=[("WWW-Authenticate", 'Digest realm="r", nonce="n", ck="00", ik="11", qop=auth')])
    strip_keys(response)
    (challenge,) = response.challenges()
    assert (challenge.get("nonce"), challenge.get("qop")) == ("n", "auth")
    assert (challenge.get("ck"), challenge.get("ik")) == ("", "")


def test_the_agreement_was_with_the_p_cscf_alone() -> None:
    request = Request("INVITE", "sip:a@b", [("Require", "sec-agree, 100rel"), ("Proxy-Require", "sec-agree")])
    take_agreement_out(request)
    assert request.require == ["100rel"]
    assert "sec-agree" not in request.headers.get_all("Proxy-Require")


@pytest.mark.parametrize(("privacy", "stays"), [("id", True), ("header; id", True), ("none", False), (None, False)])
def test_a_private_identity_stays_in_the_core(privacy: str | None, stays: bool) -> None:
    headers = [("P-Asserted-Identity", "<sip:a@b>"), ("P-Charging-Vector", "icid-value=1")]
    response = Response(200, headers=headers + ([("Privacy", privacy)] if privacy else []))
    assert is_private(response) is stays
    assert hide_the_core(response, 0.0) == []
    assert ("P-Asserted-Identity" in response.headers) is not stays
    assert "P-Charging-Vector" not in response.headers
