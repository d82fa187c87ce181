"""The small pieces that all SIP headers are made of: lists, parameters, quoted strings, escapes.

Commas and semicolons separate, but not inside a quoted string and not between angle brackets. Nearly all values hold
neither quotes nor brackets, so each function first looks for the cheap case.

A parameter's value stays as it was written, quotes included (`+g.3gpp.icsi-ref="urn%3A..."`), so that what we do not
understand leaves as it came; `unquote` gives the text behind it. Parameter names compare without case (RFC 3261 7.3.1)
and are kept in lower case.
"""

from __future__ import annotations

import ipaddress
import re

from imsphone.errors import ParseError

Params = dict[str, str | None]

BLANKS = " \t\r\n"  # what may stand around a separator; str.strip() alone would take other scripts' blanks as well

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# All repeats are possessive (`*+`): nothing is ever tried twice, so that hostile values cost linear time.
_PIECES = {mark: re.compile(rf'[^{mark}"<]*+(?:(?:{_QUOTED}|<[^>]*+>)[^{mark}"<]*+)*+', re.DOTALL) for mark in ",;"}
# name[=value] up to the next semicolon; what is none of it goes to the last group as a whole.
_PARAMETER = re.compile(rf'([^\s=;"]++)\s*+(?:(=)\s*+({_QUOTED}|[^;"]*+)\s*+)?(?:;|$)|([^\s;].*)', re.DOTALL | re.ASCII)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")


def split(text: str, separator: str) -> list[str]:
    """`text` cut at each `separator` (a comma or a semicolon) outside of quotes and angle brackets.

    The pieces are stripped, empty ones left out.
    Raises ParseError for a quote or a bracket that does not end.
    """
    if separator not in text:
        text = text.strip(BLANKS)
        return [text] if text else []
    if '"' not in text and "<" not in text:
        return [piece for part in text.split(separator) if (piece := part.strip(BLANKS))]
    piece_of = _PIECES[separator].match
    pieces, position = [], 0
    while True:
        found = piece_of(text, position)
        assert found is not None  # the pattern matches the empty string
        if piece := found[0].strip(BLANKS):
            pieces.append(piece)
        position = found.end()
        if position == len(text):
            return pieces
        if text[position] != separator:
            raise ParseError("a closing quote or bracket", position)
        position += 1


def parse_params(text: str) -> Params:
    """`a=b;c;d="e"` (with or without a leading semicolon) as a dict; a parameter without a value maps to None."""
    params: Params = {}
    for name, equals, value, rest in _PARAMETER.findall(text):
        if rest:
            raise ParseError("a parameter such as name=value", text.find(rest))
        params[name.lower()] = value.rstrip(BLANKS) if equals else None
    return params


def print_params(params: Params) -> str:
    """The parameters with a semicolon before each; the empty string for none."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params.items())


def quote(text: str) -> str:
    """`text` as a quoted-string (RFC 3261 25.1)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """The text behind a quoted-string; anything else as it is."""
    if len(text) >= 2 and text[0] == '"' and text[-1] == '"':
        inner = text[1:-1]
        return _ESCAPED.sub(r"\1", inner) if "\\" in inner else inner
    return text


def unescape(text: str) -> str:
    """The text behind %XX escapes of a URI (RFC 3261 19.1.2), octets read as UTF-8."""
    if "%" not in text:
        return text
    octets = _PERCENT.sub(lambda found: chr(int(found[1], 16)), text)
    try:
        return octets.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return octets


def is_token(text: str) -> bool:
    """Whether `text` is a token of RFC 3261 25.1: one or more of letters, digits and -.!%*_+`'~."""
    return TOKEN.fullmatch(text) is not None


def host_of(text: str) -> str:
    """A host as it stands in a URI or a Via, an IPv6 address without its brackets. Raises ParseError for a bad one."""
    if text[0] != "[":
        return text
    try:
        ipaddress.IPv6Address(text[1:-1])
    except ValueError:
        raise ParseError("an IPv6 address in the brackets", 1) from None
    return text[1:-1]
