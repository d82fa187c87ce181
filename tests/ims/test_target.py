"""What people type, and whom they mean by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.ims.target import target_of
from imsphone.sip.uri import Uri

HOME = "ims.example"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("+4930123456", "tel:+4930123456"),
        ("+49 (30) 12-34.56", "tel:+4930123456"),
        ("030123456", "tel:030123456;phone-context=ims.example"),  # TS 24.229 5.1.2A.1.5
        ("115", "tel:115;phone-context=ims.example"),
        ("*43#", "tel:*43#;phone-context=ims.example"),
        ("bob", "sip:bob@ims.example"),
        ("bob.b-2", "sip:bob.b-2@ims.example"),
        (" bob@other.example ", "sip:bob@other.example"),
        ("sip:bob@other.example;user=phone", "sip:bob@other.example;user=phone"),
        ("SIP:bob@[::1]:5070", "sip:bob@[::1]:5070"),
        ("tel:+4930123456", "tel:+4930123456"),
        ("tel:115", "tel:115;phone-context=ims.example"),
        ("tel:115;phone-context=+49", "tel:115;phone-context=+49"),
    ],
)
def test_it_is_understood(typed: str, meant: str) -> None:
    assert str(target_of(typed, HOME)) == meant


@pytest.mark.parametrize(
    "typed",
    ["", " ", "sip:", "sip:@", "sips:bob@ims.example", "urn:service:sos", "mailto:bob@ims.example", "bob b", "a@b@c",
     "sip:bob@ims.example?Subject=x", "+49abc", "+12345678901234567", "tel:", "<sip:bob@ims.example>", "bob\r\nVia: x"],
)  # fmt: skip
def test_it_is_nothing_to_call(typed: str) -> None:
    with pytest.raises(ParseError):
        target_of(typed, HOME)


@given(st.text())
def test_any_text_is_an_address_or_a_parse_error(typed: str) -> None:
    try:
        uri = target_of(typed, HOME)
    except ParseError:
        return
    assert Uri.parse(str(uri)) == uri
    assert uri.scheme in ("sip", "tel")
