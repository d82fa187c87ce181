"""Addresses: RFC 3261 19.1 and its tables, RFC 3966, RFC 5031, RFC 4122."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.sip.uri import Uri

EXAMPLES = [  # RFC 3261 19.1.3, RFC 3966 6, RFC 5031 4.2, and what IMS uses
    "sip:alice@atlanta.com",
    "sip:alice:secretword@atlanta.com;transport=tcp",
    "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
    "sip:+1-212-555-1212:1234@gateway.com;user=phone",
    "sips:1212@gateway.com",
    "sip:alice@192.0.2.4",
    "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
    "sip:alice;day=tuesday@atlanta.com",
    "sip:alice@[2001:db8::10]:5070;lr",
    "sip:[::1]",
    "tel:+1-201-555-0123",
    "tel:7042;phone-context=example.com",
    "tel:863-1234;phone-context=+1-914-555",
    "urn:service:sos.police",
    "urn:gsma:imei:35824005-944763-1",
    "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "http://www.example.com",
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_print_gives_what_was_parsed(text: str) -> None:
    assert str(Uri.parse(text)) == text


def test_parts() -> None:
    uri = Uri.parse("SIP:Alice%20B:pw@EXAMPLE.com:5061;Transport=TCP;lr?subject=a")
    assert uri == Uri("sip", "Alice%20B", "pw", "example.com", 5061, {"transport": "TCP", "lr": None}, "subject=a")
    assert uri.transport == "TCP"
    assert uri.is_loose_router
    assert Uri.parse("sip:alice@[2001:DB8::10]").host == "2001:db8::10"
    assert Uri.parse("tel:+1-201-555-0123").user == "+1-201-555-0123"
    assert Uri.parse("urn:service:sos").opaque == "service:sos"


@pytest.mark.parametrize(
    "text",
    [
        "", "sip:", "sip:@host", "sip:a@", "sip:a b@host", "<sip:a@host>", "sip:a@host:99999", "sip:a@host:x",
        "sip:a@[1::2::3]", "sip:a@h;x y", "sip:a@b@c", "host", ":x", "1x:y", "tel:", "tel:+", "tel:abc-xyz", "urn:",
        "mailto:a b", "sip:a@host\n", "ſip:a@host", "sip:a@host:٥٠٦٠",
    ],
)  # fmt: skip
def test_no_addresses(text: str) -> None:
    with pytest.raises(ParseError):
        Uri.parse(text)


ALIKE = [
    # RFC 3261 19.1.4
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    # RFC 3966 4
    ("tel:+1-201-555-0123", "tel:+1(201)5550123"),
    ("tel:7042;phone-context=Example.com;ext=1", "tel:70-42;ext=1;phone-context=example.COM"),
    ("urn:service:SOS", "urn:service:sos"),
]
DIFFERENT = [
    # RFC 3261 19.1.4, with its reasons
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),  # different usernames
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),  # can resolve to different ports
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),  # can resolve to different transports
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),  # equality is not transitive
    ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
    ("sip:a%3Bb@biloxi.com", "sip:a;b@biloxi.com"),  # an escaped reserved character is another one
    ("sip:bob@biloxi.com", "sip:bob:pw@biloxi.com"),
    ("sip:bob@biloxi.com;user=phone", "sip:bob@biloxi.com"),
    ("sip:bob@biloxi.com;maddr=192.0.2.1", "sip:bob@biloxi.com"),
    # RFC 3966 4: a local number and a global one, and another context
    ("tel:+12015550123", "tel:12015550123;phone-context=+1"),
    ("tel:7042;phone-context=example.com", "tel:7042;phone-context=example.org"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_alike(one: str, other: str) -> None:
    assert Uri.parse(one).matches(Uri.parse(other))
    assert Uri.parse(other).matches(Uri.parse(one))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different(one: str, other: str) -> None:
    assert not Uri.parse(one).matches(Uri.parse(other))
    assert not Uri.parse(other).matches(Uri.parse(one))


def test_bare_is_what_identities_are_kept_by() -> None:
    assert str(Uri.parse("sip:%61lice@Home.example;transport=tcp?x=y").bare()) == "sip:alice@home.example"
    assert str(Uri.parse("sip:a%40b@home.example").bare()) == "sip:a%40b@home.example"
    assert str(Uri.parse("tel:+1-201;ext=1").bare()) == "tel:+1201"


def test_with_params() -> None:
    assert str(Uri.parse("sip:h;a=1").with_params(lr=None, a="2")) == "sip:h;a=2;lr"


@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(EXAMPLES))
def test_what_parses_prints_and_parses_again(text: str) -> None:
    try:
        uri = Uri.parse(text)
    except ParseError:
        return
    assert Uri.parse(str(uri)) == uri
    assert uri.matches(uri)
    assert Uri.parse(str(uri.bare())).matches(uri.bare())


@given(st.text(alphabet="aA%3bB;:@.?=&[]+ ", max_size=40))
def test_sip_texts_that_parse_print_the_same_again(text: str) -> None:
    try:
        uri = Uri.parse("sip:" + text)
    except ParseError:
        return
    assert Uri.parse(str(uri)) == uri
