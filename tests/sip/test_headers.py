"""The list of headers: names in all spellings, lists over several lines, order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.sip.headers import Headers, canonical


@pytest.mark.parametrize(
    ("name", "usual"),
    [("via", "Via"), ("v", "Via"), ("V", "Via"), ("CALL-ID", "Call-ID"), ("i", "Call-ID"), ("cSeQ", "CSeq"),
     ("www-authenticate", "WWW-Authenticate"), ("rack", "RAck"), ("p-associated-uri", "P-Associated-URI"),
     ("x", "Session-Expires"), ("a", "Accept-Contact"), ("X-Own", "X-Own"), ("x-own", "x-own")],
)  # fmt: skip
def test_names(name: str, usual: str) -> None:
    assert canonical(name) == usual


def test_every_compact_name_of_the_registry() -> None:
    # RFC 3261 7.3.3 and 20; RFC 3515, 3841, 3892, 4028, 6665, 8224
    long = (
        "Accept-Contact Referred-By Content-Type Request-Disposition Content-Encoding From Call-ID Reject-Contact "
        "Supported Content-Length Contact Event Refer-To Subject To Allow-Events Via Session-Expires Identity"
    )
    assert [canonical(name) for name in "abcdefijklmorstuvxy"] == long.split()


def test_reading_knows_no_case_and_no_compact_form() -> None:
    headers = Headers([("v", "a"), ("X-Own", "1"), ("via", "b"), ("x-own", "2")])
    assert headers.get("VIA") == "a"
    assert headers.lines("Via") == ["a", "b"]
    assert headers.get("x-OWN") == "1"
    assert headers.lines("x-own") == ["1", "2"]
    assert "v" in headers
    assert "Route" not in headers
    assert headers.get("Route") is None
    assert list(headers) == [("Via", "a"), ("X-Own", "1"), ("Via", "b"), ("x-own", "2")]


def test_one_line_of_two_values_equals_two_lines() -> None:
    # RFC 3261 7.3.1: the Route example
    alice, bob, carol = "<sip:alice@atlanta.com>", "<sip:bob@biloxi.com>", "<sip:carol@chicago.com>"
    apart = Headers([("Route", alice), ("Subject", "Lunch"), ("Route", bob), ("Route", carol)])
    together = Headers([("Subject", "Lunch"), ("Route", f"{alice}, {bob}, {carol}")])
    mixed = Headers([("Route", f"{alice}, {bob}"), ("Route", carol), ("Subject", "Lunch")])
    assert apart.get_all("Route") == together.get_all("Route") == mixed.get_all("Route") == [alice, bob, carol]


def test_what_is_no_list_keeps_its_commas() -> None:
    headers = Headers([("Date", "Sat, 13 Nov 2010 23:29:00 GMT"), ("WWW-Authenticate", 'Digest realm="a", nonce="b"')])
    assert headers.get_all("Date") == ["Sat, 13 Nov 2010 23:29:00 GMT"]
    assert headers.get_all("WWW-Authenticate") == ['Digest realm="a", nonce="b"']


def test_writing() -> None:
    headers = Headers([("To", "t"), ("Via", "1"), ("Via", "2"), ("From", "f")])
    headers.prepend("v", "0")
    assert headers.lines("Via") == ["0", "1", "2"]
    assert [name for name, _ in headers] == ["To", "Via", "Via", "Via", "From"]
    headers.set("VIA", "x", "y")
    assert list(headers) == [("To", "t"), ("Via", "x"), ("Via", "y"), ("From", "f")]
    headers.remove("To")
    assert len(headers) == 3
    headers.prepend("Route", "r")
    assert next(iter(headers)) == ("Route", "r")
    headers.set("Expires", "5")
    assert list(headers)[-1] == ("Expires", "5")


def test_pop_first() -> None:
    headers = Headers([("Via", "1, 2"), ("Via", "3")])
    assert headers.pop_first("Via") == "1"
    assert headers.lines("Via") == ["2", "3"]
    assert headers.pop_first("Route") is None


def test_a_copy_is_independent() -> None:
    headers = Headers([("To", "t")])
    other = headers.copy()
    other.add("From", "f")
    assert headers == Headers([("to", "t")])
    assert other != headers


@given(st.text(min_size=1))
def test_canonical_names_stay(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


def test_no_value_shows_in_a_repr() -> None:
    assert "secret" not in repr(Headers([("Authorization", "secret")]))
