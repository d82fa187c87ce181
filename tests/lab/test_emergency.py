"""What counts as an emergency call and as an emergency contact."""

from __future__ import annotations

import pytest

from imsphone.lab.emergency import is_call, is_contact, refusal
from imsphone.sip.message import Request
from imsphone.sip.uri import Uri


@pytest.mark.parametrize(
    ("target", "counts"),
    [
        ("urn:service:sos", True),
        ("URN:service:SOS.fire", True),
        ("urn:service:sosumi", False),
        ("urn:service:counseling", False),
        ("tel:112", False),
        ("sip:sos@ims.example", False),
    ],
)
def test_only_the_service_urn_is_an_emergency_call(target: str, counts: bool) -> None:
    assert is_call(Uri.parse(target)) is counts


def test_a_contact_says_so_by_a_parameter() -> None:
    assert is_contact(Uri.parse("sip:x@h:5060;sos"))
    assert not is_contact(Uri.parse("sip:sos@h"))


def test_the_refusal_names_the_alternative() -> None:
    request = Request("INVITE", "urn:service:sos", [("Via", "SIP/2.0/UDP h;branch=z9hG4bKx"), ("From", "<sip:a@x>"),
                      ("To", "<urn:service:sos>"), ("Call-ID", "c"), ("CSeq", "1 INVITE")])  # fmt: skip
    response = refusal(request, "t")
    assert response.status == 380
    assert b"<type>emergency</type>" in response.body
