"""A SIP message: a start line, headers, a body (RFC 3261 7).

Parsing splits lines and no more; a typed property parses its header each time it is asked. So a proxy that looks at
three headers pays for three, and a header that nobody understands leaves byte for byte as it came. Text is UTF-8 with
`surrogateescape`, which lets any octets through unchanged.

`parse` accepts what can be told apart; what is wrong with a message that parses, and which answer it deserves, is
`sip.validation`'s matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from imsphone.errors import ParseError
from imsphone.sip.fields import Challenge, CSeq, NameAddr, RAck, Via
from imsphone.sip.headers import _CANONICAL, Headers, canonical
from imsphone.sip.uri import Uri

REASONS = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
    200: "OK", 202: "Accepted", 300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily",
    305: "Use Proxy", 380: "Alternative Service", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required",
    408: "Request Timeout", 410: "Gone", 412: "Conditional Request Failed", 413: "Request Entity Too Large",
    415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required",
    422: "Session Interval Too Small", 423: "Interval Too Brief", 439: "First Hop Lacks Outbound Support",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    483: "Too Many Hops", 484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending", 493: "Undecipherable",
    494: "Security Agreement Required", 500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large",
    580: "Precondition Failure", 600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}  # fmt: skip

_FOLDED = re.compile(r"[ \t]*\r?\n[ \t]+")
_STATUS = re.compile(r"SIP/(\d+\.\d+) (\d{3}) ?(.*)", re.IGNORECASE | re.DOTALL)
_REQUEST = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+) +(\S+|<[^>]*>|\S.*?\S) +SIP/(\d+\.\d+) *", re.IGNORECASE)


class Message:
    """What requests and responses share. `body` is octets, `version` the digits behind `SIP/`."""

    __slots__ = ("body", "headers", "version")

    def __init__(self, headers: Headers | Iterable[tuple[str, str]] | None, body: bytes, version: str = "2.0") -> None:
        self.headers = headers if isinstance(headers, Headers) else Headers(headers or ())
        self.body = body
        self.version = version

    # Typed access: each parses when asked; a missing header that every message must have raises ParseError.

    def _need(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise ParseError(f"a {name} header")
        return value

    @property
    def via(self) -> Via:
        """The topmost Via."""
        values = self.headers.get("Via")
        if values is None:
            raise ParseError("a Via header")
        return Via.parse(values if "," not in values else self.headers.get_all("Via")[0])

    @property
    def vias(self) -> list[Via]:
        """All hops, the latest first."""
        return [Via.parse(value) for value in self.headers.get_all("Via")]

    @property
    def from_(self) -> NameAddr:
        """Who asks."""
        return NameAddr.parse(self._need("From"))

    @property
    def to(self) -> NameAddr:
        """Who is asked."""
        return NameAddr.parse(self._need("To"))

    @property
    def call_id(self) -> str:
        """The Call-ID as it stands."""
        return self._need("Call-ID")

    @property
    def cseq(self) -> CSeq:
        """Number and method."""
        return CSeq.parse(self._need("CSeq"))

    def addresses(self, name: str) -> list[NameAddr]:
        """All values of an address header (Route, Path, P-Asserted-Identity, ...)."""
        return [NameAddr.parse(value) for value in self.headers.get_all(name)]

    @property
    def contacts(self) -> list[NameAddr]:
        """The Contact addresses; a lone `*` gives an empty list (see `is_contact_star`)."""
        return [NameAddr.parse(value) for value in self.headers.get_all("Contact") if value != "*"]

    @property
    def is_contact_star(self) -> bool:
        """Whether Contact is `*`: all bindings (RFC 3261 10.2.2)."""
        return self.headers.get("Contact") == "*"

    @property
    def routes(self) -> list[NameAddr]:
        """The Route set, next hop first."""
        return self.addresses("Route")

    @property
    def record_routes(self) -> list[NameAddr]:
        """The Record-Route values, topmost first."""
        return self.addresses("Record-Route")

    @property
    def service_routes(self) -> list[NameAddr]:
        """The Service-Route of a 200 to REGISTER (RFC 3608)."""
        return self.addresses("Service-Route")

    @property
    def paths(self) -> list[NameAddr]:
        """The Path (RFC 3327)."""
        return self.addresses("Path")

    @property
    def associated_uris(self) -> list[NameAddr]:
        """P-Associated-URI, the default identity first (RFC 7315 4.1)."""
        return self.addresses("P-Associated-URI")

    def number(self, name: str) -> int | None:
        """A header of digits (Expires, Max-Forwards, RSeq, Min-Expires), None where missing or no number."""
        value = self.headers.get(name)
        if value is None:
            return None
        digits = value.split(";")[0].split("(")[0].strip()
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None

    @property
    def max_forwards(self) -> int | None:
        """Hops left."""
        return self.number("Max-Forwards")

    @property
    def expires(self) -> int | None:
        """The Expires header in seconds."""
        return self.number("Expires")

    @property
    def rseq(self) -> int | None:
        """The number of a reliable provisional response (RFC 3262)."""
        return self.number("RSeq")

    @property
    def rack(self) -> RAck | None:
        """What a PRACK acknowledges."""
        value = self.headers.get("RAck")
        return None if value is None else RAck.parse(value)

    @property
    def require(self) -> list[str]:
        """Option tags that the far end must understand, in lower case."""
        return [tag.lower() for tag in self.headers.get_all("Require")]

    @property
    def proxy_require(self) -> list[str]:
        """Option tags that proxies must understand, in lower case."""
        return [tag.lower() for tag in self.headers.get_all("Proxy-Require")]

    @property
    def supported(self) -> list[str]:
        """Option tags that the sender understands, in lower case."""
        return [tag.lower() for tag in self.headers.get_all("Supported")]

    @property
    def allow(self) -> list[str]:
        """Methods that the sender takes."""
        return self.headers.get_all("Allow")

    @property
    def content_type(self) -> str:
        """type/subtype in lower case without parameters, the empty string where there is none."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    def challenges(self) -> list[Challenge]:
        """WWW-Authenticate and Proxy-Authenticate, in order; those that do not parse are left out (RFC 7616 3.7)."""
        return self._schemes("WWW-Authenticate") + self._schemes("Proxy-Authenticate")

    def credentials(self) -> list[Challenge]:
        """Authorization and Proxy-Authorization, in order; those that do not parse are left out."""
        return self._schemes("Authorization") + self._schemes("Proxy-Authorization")

    def _schemes(self, name: str) -> list[Challenge]:
        found = []
        for line in self.headers.lines(name):
            try:
                found.append(Challenge.parse(line))
            except ParseError:
                continue
        return found

    def set_body(self, body: bytes, content_type: str) -> None:
        """Gives the message a body and says what it is."""
        self.body = body
        self.headers.set("Content-Type", content_type)

    def _print(self, start: str) -> bytes:
        lines = [start]
        lines += [f"{name}: {value}" for name, value in self.headers if name != "Content-Length"]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


class Request(Message):
    """A request. `uri` is the Request-URI as text; `target` parses it."""

    __slots__ = ("method", "uri")

    def __init__(
        self,
        method: str,
        uri: str | Uri,
        headers: Headers | Iterable[tuple[str, str]] | None = None,
        body: bytes = b"",
        version: str = "2.0",
    ) -> None:
        super().__init__(headers, body, version)
        self.method = method
        self.uri = str(uri)

    @property
    def target(self) -> Uri:
        """The parsed Request-URI. Raises ParseError."""
        return Uri.parse(self.uri)

    def answer(self, status: int, reason: str | None = None, tag: str = "") -> Response:
        """A response with what RFC 3261 8.2.6 copies: Via, From, To (with `tag` where it has none), Call-ID, CSeq.

        Record-Route is copied as 12.1.1 asks of responses that make a dialog, Timestamp into a 100 (8.2.6.1).
        """
        response = Response(status, reason)
        makes_dialog = 100 < status < 300 and self.method in ("INVITE", "SUBSCRIBE", "REFER", "NOTIFY")
        for name, value in self.headers:
            if name in _COPIED or (name == "Record-Route" and makes_dialog) or (name == "Timestamp" and status == 100):
                response.headers.add(name, value)
        if tag and status > 100:
            try:
                if not self.to.tag:
                    response.headers.set("To", f"{self._need('To')};tag={tag}")
            except ParseError:
                pass
        return response

    def copy(self) -> Request:
        """An independent copy."""
        return Request(self.method, self.uri, self.headers.copy(), self.body, self.version)

    def __bytes__(self) -> bytes:
        return self._print(f"{self.method} {self.uri} SIP/{self.version}")

    def __repr__(self) -> str:
        return f"<{self.method} {self.uri}>"


_COPIED = frozenset(("Via", "From", "To", "Call-ID", "CSeq"))


class Response(Message):
    """A response. Without a reason phrase the usual one stands in."""

    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: str | None = None,
        headers: Headers | Iterable[tuple[str, str]] | None = None,
        body: bytes = b"",
        version: str = "2.0",
    ) -> None:
        super().__init__(headers, body, version)
        self.status = status
        self.reason = REASONS.get(status, "Unknown") if reason is None else reason

    @property
    def is_final(self) -> bool:
        """Whether no other response follows from the same server."""
        return self.status >= 200

    def copy(self) -> Response:
        """An independent copy."""
        return Response(self.status, self.reason, self.headers.copy(), self.body, self.version)

    def __bytes__(self) -> bytes:
        return self._print(f"SIP/{self.version} {self.status} {self.reason}")

    def __repr__(self) -> str:
        return f"<{self.status} {self.reason}>"


def parse(data: bytes) -> Request | Response:
    """The message in one datagram or one frame of a stream.

    Lines may end in CRLF or LF and be folded; empty lines before the start line are skipped (RFC 3261 7.5); octets
    behind Content-Length are dropped (18.3). Raises ParseError where there is no start line or a line is no header.
    """
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator or head[:2] == b"\r\n" or b"\n\n" in head or not head:
        head, body = _cut(data)
    text = head.decode("utf-8", "surrogateescape")
    if "\n " in text or "\n\t" in text:
        start, newline, rest = text.partition("\n")
        text = start + newline + _FOLDED.sub(" ", rest)
    lines = text.split("\r\n")
    if text.count("\n") != len(lines) - 1:
        lines = [line.removesuffix("\r") for line in text.split("\n")]
    items = []
    known = _CANONICAL.get
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        usual = known(name)
        if usual is None or not colon:
            if not line:
                continue
            usual = _name(name, colon, text.find(line))
        items.append((usual, value.strip()))
    headers = Headers.of_canonical(items)
    if body:
        length = headers.get("Content-Length")
        if length and length.isascii() and length.isdigit() and len(length) <= 10:
            body = body[: int(length)]
    return _of_start(lines[0], headers, body)


def _name(name: str, colon: str, offset: int) -> str:
    """A header name that is not written in a usual way. Raises ParseError where the line is no header."""
    name = name.rstrip()
    if not colon:
        raise ParseError("a header line with a colon", offset)
    if not name or " " in name or "\t" in name:
        raise ParseError("a header name without blanks", offset)
    return canonical(name)


def _cut(data: bytes) -> tuple[bytes, bytes]:
    """Head and body of a message whose blank line is not the plain CRLFCRLF, or that has none."""
    data = data.lstrip(b"\r\n")
    found = _BLANK.search(data)
    return (data, b"") if found is None else (data[: found.start()], data[found.end() :])


_BLANK = re.compile(rb"\r?\n\r?\n")


def _of_start(start: str, headers: Headers, body: bytes) -> Request | Response:
    found = _STATUS.fullmatch(start)
    if found is not None:
        return Response(int(found[2]), found[3], headers, body, found[1])
    found = _REQUEST.fullmatch(start)
    if found is None:
        raise ParseError("a start line such as INVITE sip:user@host SIP/2.0 or SIP/2.0 200 OK")
    return Request(found[1], found[2], headers, body, found[3])
