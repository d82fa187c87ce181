"""What is wrong with a message that parses, and which answer it deserves.

`examine` reads what every element must be able to read (RFC 3261 8.1.1, 8.2, 16.3); `examine_require` what a user
agent must understand (8.2.2.3). A `Fault` without a status is dropped in silence: a response, or a request to which no
answer would find its way.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from imsphone.errors import ParseError
from imsphone.sip.grammar import is_token
from imsphone.sip.message import Message, Request, Response

_ONCE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type", "Expires")
_SCHEMES = frozenset(("sip", "sips", "tel", "urn"))


@dataclass(frozen=True, slots=True)
class Fault:
    """`status`: the answer, None to drop; `what` is wrong, in words; `clause` of the rule; `headers` of the answer."""

    status: int | None
    what: str
    clause: str
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def examine(message: Message) -> Fault | None:
    """The first fault of a message, None for a sound one. Never raises."""
    if isinstance(message, Request):
        if message.version != "2.0":
            return Fault(505, f"SIP version {message.version}", "RFC 3261 21.5.6")
        fault = _read(message)
        if fault is None:
            fault = _read_request(message)
        return fault
    fault = _read(message)
    if fault is None and isinstance(message, Response) and not 100 <= message.status < 700:
        fault = Fault(400, f"status {message.status}", "RFC 3261 7.2")
    if fault is None and message.version != "2.0":
        fault = Fault(None, f"SIP version {message.version}", "RFC 3261 7.1")
    return fault and Fault(None, fault.what, fault.clause)


def _read(message: Message) -> Fault | None:
    headers = message.headers
    for name in _ONCE:
        if len(headers.lines(name)) > 1:
            return Fault(400, f"two {name} headers", "RFC 3261 7.3.1", f"Multiple {name}")
    reading = "Via"
    try:
        if not message.vias:
            return Fault(None, "no Via", "RFC 3261 8.1.1.7")
        reading = "From"
        message.from_  # noqa: B018 - reading is the examination
        reading = "To"
        message.to  # noqa: B018
        reading = "Call-ID"
        if not message.call_id or any(blank in message.call_id for blank in " \t"):
            return Fault(400, "an empty or broken Call-ID", "RFC 3261 8.1.1.4", "Bad Call-ID")
        reading = "CSeq"
        cseq = message.cseq
        reading = "Contact"
        contacts = headers.get("Contact")
        if contacts is not None:
            message.contacts  # noqa: B018
    except ParseError as error:
        if reading == "Via":
            return Fault(None, f"Via: {error}", "RFC 3261 20.42")
        return Fault(400, f"{reading}: {error}", "RFC 3261 8.1.1", f"Bad {reading}")
    if isinstance(message, Request) and cseq.method != message.method:
        return Fault(400, f"CSeq of {cseq.method} in {message.method}", "RFC 3261 8.1.1.5", "CSeq Method Mismatch")
    length = headers.get("Content-Length")
    if length is not None:
        number = message.number("Content-Length")
        if number is None:
            return Fault(400, f"Content-Length {length[:20]}", "RFC 3261 20.14", "Bad Content-Length")
        if number > len(message.body):
            return Fault(400, "a body shorter than its Content-Length", "RFC 3261 18.3", "Truncated Body")
    return None


def _read_request(request: Request) -> Fault | None:
    if not is_token(request.method):
        return Fault(400, "a method that is no token", "RFC 3261 7.1")
    try:
        scheme = request.target.scheme
    except ParseError as error:
        return Fault(400, f"Request-URI: {error}", "RFC 3261 7.1", "Bad Request-URI")
    if request.target.headers:
        return Fault(400, "headers in the Request-URI", "RFC 3261 19.1.1", "Bad Request-URI")
    if scheme not in _SCHEMES:
        return Fault(416, f"a {scheme}: address", "RFC 3261 8.2.2.1")
    hops = request.headers.get("Max-Forwards")
    if hops is not None and (request.max_forwards is None or request.max_forwards > 255):
        return Fault(400, f"Max-Forwards {hops[:20]}", "RFC 3261 20.22", "Bad Max-Forwards")
    expires = request.headers.get("Expires")
    if expires is not None and (request.expires is None or request.expires >= 1 << 32):
        return Fault(400, f"Expires {expires[:20]}", "RFC 3261 20.19", "Bad Expires")
    return None


def examine_require(request: Request, understood: Collection[str]) -> Fault | None:
    """420 with the option tags of Require that are not understood; never for ACK and CANCEL (RFC 3261 8.2.2.3)."""
    if request.method in ("ACK", "CANCEL"):
        return None
    unknown = [tag for tag in request.require if tag not in understood]
    if not unknown:
        return None
    return Fault(
        420, f"Require: {', '.join(unknown)}", "RFC 3261 8.2.2.3", headers=(("Unsupported", ", ".join(unknown)),)
    )
