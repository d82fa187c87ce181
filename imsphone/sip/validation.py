"""What is wrong with a message that parses, and which answer it deserves.

`examine` reads what every element must be able to read (RFC 3261 8.1.1, 8.2, 16.3); `examine_require` what a user
agent must understand (8.2.2.3). A `Fault` without a status is dropped in silence: a response, or a request to which no
answer would find its way. Behind `examine` no typed property of a message raises.

Broken headers that nobody needs are no fault (8.2.2): a Date in no known zone, a P-Asserted-Identity without an end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from imsphone.errors import ParseError
from imsphone.sip.fields import CSeq, NameAddr, RAck, Via
from imsphone.sip.grammar import split
from imsphone.sip.message import Message, Request, Response

_SCHEMES = frozenset(("sip", "sips", "tel", "urn"))


@dataclass(frozen=True, slots=True)
class Fault:
    """`status`: the answer, None to drop; `what` is wrong, in words; `clause` of the rule; `headers` of the answer."""

    status: int | None
    what: str
    clause: str
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def _each(parse: Callable[[str], object]) -> Callable[[str], None]:
    def read(value: str) -> None:
        for part in split(value, ","):
            parse(part)

    return read


def _vias(value: str) -> None:
    vias = split(value, ",")
    if not vias:
        raise ParseError("a Via")
    for via in vias:
        Via.parse(via)


def _contacts(value: str) -> None:
    if value != "*":  # RFC 3261 10.2.2
        _each(NameAddr.parse)(value)


def _call_id(value: str) -> None:
    if not value or " " in value or "\t" in value:
        raise ParseError("a Call-ID of one word")


def _number(bits: int) -> Callable[[str], None]:
    def read(value: str) -> None:
        digits = value.partition(";")[0].partition("(")[0].rstrip()
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 10 or int(digits) >> bits:
            raise ParseError(f"a number below 2^{bits}")

    return read


# What must parse wherever it stands, and with which clause.
_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "Via": (_vias, "20.42"),
    "From": (NameAddr.parse, "20.20"),
    "To": (NameAddr.parse, "20.39"),
    "Call-ID": (_call_id, "20.8"),
    "CSeq": (CSeq.parse, "20.16"),
    "Contact": (_contacts, "20.10"),
    "Route": (_each(NameAddr.parse), "20.34"),
    "Record-Route": (_each(NameAddr.parse), "20.30"),
    "Max-Forwards": (_number(8), "20.22"),
    "Content-Length": (_number(32), "20.14"),
    "Expires": (_number(32), "20.19"),
    "RAck": (RAck.parse, "20 (RFC 3262 7.2)"),
    "Content-Type": (str, "20.15"),
}
_ONCE = _READERS.keys() - {"Via", "Contact", "Route", "Record-Route"}
_NEEDED = ("Via", "From", "To", "Call-ID", "CSeq")


def examine(message: Message) -> Fault | None:
    """The first fault of a message, None for a sound one. Never raises."""
    if isinstance(message, Request):
        if message.version != "2.0":
            return Fault(505, f"SIP version {message.version}", "RFC 3261 21.5.6")
        return _read(message) or _read_request(message)
    fault = _read(message)
    if fault is None and message.version != "2.0":
        fault = Fault(None, f"SIP version {message.version}", "RFC 3261 7.1")
    if fault is None and isinstance(message, Response) and not 100 <= message.status < 700:
        fault = Fault(None, f"status {message.status}", "RFC 3261 7.2")
    return fault and Fault(None, fault.what, fault.clause)


def _read(message: Message) -> Fault | None:
    seen = set()
    for name, value in message.headers:
        reader = _READERS.get(name)
        if reader is None:
            continue
        if name in seen and name in _ONCE:
            return Fault(400, f"two {name} headers", "RFC 3261 7.3.1", f"Multiple {name}")
        seen.add(name)
        try:
            reader[0](value)
        except ParseError as error:
            return Fault(400, f"{name}: {error}", f"RFC 3261 {reader[1]}", f"Bad {name}")
    for name in _NEEDED:
        if name not in seen:
            return Fault(400, f"no {name} header", "RFC 3261 8.1.1", f"Missing {name}")
    if "Content-Length" in seen and (message.number("Content-Length") or 0) > len(message.body):
        return Fault(400, "a body shorter than its Content-Length", "RFC 3261 18.3", "Truncated Body")
    return None


def _read_request(request: Request) -> Fault | None:
    if request.cseq.method != request.method:
        what = f"CSeq of {request.cseq.method} in {request.method}"
        return Fault(400, what, "RFC 3261 8.1.1.5", "CSeq Method Mismatch")
    try:
        target = request.target
    except ParseError as error:
        return Fault(400, f"Request-URI: {error}", "RFC 3261 7.1", "Bad Request-URI")
    if target.headers:
        return Fault(400, "headers in the Request-URI", "RFC 3261 19.1.1", "Bad Request-URI")
    if target.scheme not in _SCHEMES:
        return Fault(416, f"a {target.scheme}: address", "RFC 3261 8.2.2.1")
    return None


def examine_require(request: Request, understood: Collection[str]) -> Fault | None:
    """420 with the option tags of Require that are not understood; never for ACK and CANCEL (RFC 3261 8.2.2.3)."""
    if request.method in ("ACK", "CANCEL"):
        return None
    unknown = [tag for tag in request.tokens("Require") if tag.lower() not in understood]
    if not unknown:
        return None
    return Fault(
        420, f"Require: {', '.join(unknown)}", "RFC 3261 8.2.2.3", headers=(("Unsupported", ", ".join(unknown)),)
    )
