"""Lists, parameters, quotes and escapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.sip.grammar import host_of, is_token, parse_params, print_params, quote, split, unescape, unquote


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        (" a ", ["a"]),
        ("a,b ,\tc", ["a", "b", "c"]),
        ("a,,b,", ["a", "b"]),
        ('"a,b",c', ['"a,b"', "c"]),
        (r'"a\",b",c', [r'"a\",b"', "c"]),
        ("<sip:a,b@c>, d", ["<sip:a,b@c>", "d"]),
        ('"Bell, A" <sip:a@b>;x="1,2", <sip:c@d>', ['"Bell, A" <sip:a@b>;x="1,2"', "<sip:c@d>"]),
        ('<sip:a@b?x=">,d', ['<sip:a@b?x=">', "d"]),
    ],
)
def test_commas_separate_but_not_in_quotes_or_brackets(text: str, pieces: list[str]) -> None:
    assert split(text, ",") == pieces


@pytest.mark.parametrize("text", ['"a,b', "<a,b", 'a,"', r'"\",x', ",<"])
def test_a_quote_or_bracket_without_an_end_is_an_error(text: str) -> None:
    with pytest.raises(ParseError, match="closing quote or bracket"):
        split(text, ",")


def test_only_sips_own_blanks_are_stripped() -> None:
    assert split("\xa0a , b\x85", ",") == ["\xa0a", "b\x85"]


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", {}),
        (";lr", {"lr": None}),
        ("a=b", {"a": "b"}),
        (" ; A = b\t; Tag=X ", {"a": "b", "tag": "X"}),
        (";a=;b", {"a": "", "b": None}),
        (r';+sip.instance="<urn:gsma:imei:3-5>;\""; x = 1', {"+sip.instance": r'"<urn:gsma:imei:3-5>;\""', "x": "1"}),
        (";;a;;", {"a": None}),
        (";a=b=c", {"a": "b=c"}),
        (";received=2001:db8::1;x=[::1]:5060", {"received": "2001:db8::1", "x": "[::1]:5060"}),
    ],
)
def test_params(text: str, params: dict[str, str | None]) -> None:
    assert parse_params(text) == params
    assert parse_params(print_params(params)) == params


@pytest.mark.parametrize(("text", "offset"), [("=b", 0), (';a="b', 1), (';a;x"y"', 3), ('a=b"c"', 0), ("a b", 0)])
def test_params_that_are_none(text: str, offset: int) -> None:
    with pytest.raises(ParseError) as caught:
        parse_params(text)
    assert caught.value.offset == offset


def test_quoting() -> None:
    assert quote('a "b" \\c') == r'"a \"b\" \\c"'  # RFC 3261 25.1 quoted-pair
    assert unquote(r'"a \"b\" \\c"') == 'a "b" \\c'
    assert unquote("token") == "token"
    assert unquote('"') == '"'


@given(st.text())
def test_quoted_text_comes_back(text: str) -> None:
    assert unquote(quote(text)) == text
    assert split(f"{quote(text)},x", ",") == [quote(text), "x"]
    assert parse_params(f";a={quote(text)};b") == {"a": quote(text), "b": None}


def test_escapes_are_octets_of_utf_8_and_undone_once() -> None:
    assert unescape("urn%3Aurn-7%3a3gpp") == "urn:urn-7:3gpp"
    assert unescape("J%C3%BCrgen") == "Jürgen"
    assert unescape("100%25%34%31") == "100%41"
    assert unescape("50%") == "50%"
    assert unescape("%ff") == "ÿ"


@pytest.mark.parametrize(("text", "is_one"), [("z9hG4bK-.!%66*_+`'~", True), ("", False), ("a b", False), ("ü", False)])
def test_tokens(text: str, is_one: bool) -> None:
    assert is_token(text) is is_one


def test_hosts() -> None:
    assert host_of("[2001:db8::10]") == "2001:db8::10"
    assert host_of("example.com") == "example.com"
    with pytest.raises(ParseError):
        host_of("[1::2::3]")
