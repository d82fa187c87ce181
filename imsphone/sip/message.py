"""A SIP message: a start line, headers, a body (RFC 3261 7).

Parsing splits lines and no more; a typed property parses its header each time it is asked. So a proxy that looks at
three headers pays for three, and a header that nobody understands leaves byte for byte as it came. Text is UTF-8 with
`surrogateescape`, which lets any octets through unchanged.

`parse` accepts what can be told apart; what is wrong with a message that parses, and which answer it deserves, is
`sip.validation`'s matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from imsphone.errors import ParseError
from imsphone.sip.fields import Challenge, CSeq, NameAddr, RAck, Via
from imsphone.sip.grammar import BLANKS, is_token, split
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

_FOLDED = re.compile(rb"\r?\n[ \t]+")
_BLANK = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"SIP/(\d+\.\d+) (\d{3})(?: (.*))?", re.IGNORECASE | re.DOTALL | re.ASCII)
_REQUEST = re.compile(
    r"([a-z0-9\-.!%*_+`'~]++) ++(\S(?:.*\S)?) ++SIP/(\d+\.\d+) *+", re.IGNORECASE | re.DOTALL | re.ASCII
)


class Message:
    """What requests and responses share. `body` is octets, `version` the digits behind `SIP/`."""

    __slots__ = ("body", "headers", "version")

    def __init__(self, headers: Headers | Iterable[tuple[str, str]] | None, body: bytes, version: str = "2.0") -> None:
        self.headers = headers if isinstance(headers, Headers) else Headers(headers or ())
        self.body = body
        self.version = version

    # Typed access: each parses when asked. A header that every message must have raises ParseError where it is missing
    # or broken, which never happens behind `validation.examine`; of lists, what does not parse is left out.

    def _need(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise ParseError(f"a {name} header")
        return value

    @property
    def via(self) -> Via:
        """The topmost Via."""
        value = self._need("Via")
        if "," in value:
            value = next(iter(split(value, ",")), "")
        return Via.parse(value)

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
        """All values of an address header (Route, Path, P-Asserted-Identity, ...) that parse."""
        found = []
        for value in self._values(name):
            try:
                found.append(NameAddr.parse(value))
            except ParseError:
                continue
        return found

    def _values(self, name: str) -> Iterator[str]:
        for line in self.headers.lines(name):
            try:
                yield from split(line, ",")
            except ParseError:
                continue

    @property
    def contacts(self) -> list[NameAddr]:
        """The Contact addresses; a lone `*` gives an empty list (see `is_contact_star`)."""
        return self.addresses("Contact")

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
        if not value.isdigit():
            value = value.partition(";")[0].partition("(")[0].rstrip()  # Retry-After: 18 (in a meeting);duration=9
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 10 else None

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
        """What a PRACK acknowledges, None where missing or broken."""
        value = self.headers.get("RAck")
        try:
            return None if value is None else RAck.parse(value)
        except ParseError:
            return None

    def tokens(self, name: str) -> list[str]:
        """The words of a header that lists tokens (Unsupported, Allow-Events, ...) as they stand."""
        return [token for line in self.headers.lines(name) for part in line.split(",") if (token := part.strip(BLANKS))]

    @property
    def require(self) -> list[str]:
        """Option tags that the far end must understand, in lower case."""
        return [tag.lower() for tag in self.tokens("Require")]

    @property
    def proxy_require(self) -> list[str]:
        """Option tags that proxies must understand, in lower case."""
        return [tag.lower() for tag in self.tokens("Proxy-Require")]

    @property
    def supported(self) -> list[str]:
        """Option tags that the sender understands, in lower case."""
        return [tag.lower() for tag in self.tokens("Supported")]

    @property
    def allow(self) -> list[str]:
        """Methods that the sender takes."""
        return self.tokens("Allow")

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
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("utf-8", "surrogateescape").split("\n")
    items = _items(lines)
    if items is None:
        head, body = _plain(data)
        lines = head.decode("utf-8", "surrogateescape").split("\n")
        items = _items(lines)
        if items is None:
            raise ParseError("a start line and headers")
    headers = Headers.of_canonical(items)
    if body:
        length = headers.get("Content-Length")
        if length and length.isascii() and length.isdigit() and len(length) <= 10:
            body = body[: int(length)]
    return _of_start(lines[0].rstrip("\r"), headers, body)


def _items(lines: list[str]) -> list[tuple[str, str]] | None:
    """Names and values of the header lines; None where the lines are not plain (see `_plain`). Raises ParseError."""
    if len(lines[0]) < 2:
        return None
    items: list[tuple[str, str]] = []
    known = _CANONICAL.get
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        usual = known(name)
        if usual is None or not colon:  # a rare name, or what only an unusual message has
            if line in ("", "\r") or line[0] in " \t":
                return None
            name = name.rstrip(" \t")
            if not colon or not is_token(name):
                offset = len("\n".join(lines[: len(items) + 1])) + 1
                raise ParseError("a header line such as Name: value", offset)
            usual = canonical(name)
        items.append((usual, value.strip(" \t\r")))
    return items


def _plain(data: bytes) -> tuple[bytes, bytes]:
    """Head and body of a message that starts with empty lines, has folded lines, or whose head ends in no CRLFCRLF."""
    data = data.lstrip(b"\r\n")
    found = _BLANK.search(data)
    head, body = (data, b"") if found is None else (data[: found.start()], data[found.end() :])
    return _FOLDED.sub(b" ", head.rstrip(b"\r\n")), body


def _of_start(start: str, headers: Headers, body: bytes) -> Request | Response:
    if start[:4].upper() == "SIP/":
        found = _STATUS.fullmatch(start)
        if found is not None:
            return Response(int(found[2]), found[3] or "", headers, body, found[1])
    else:
        found = _REQUEST.fullmatch(start)
        if found is not None:
            return Request(found[1], found[2], headers, body, found[3])
    raise ParseError("a start line such as INVITE sip:user@host SIP/2.0 or SIP/2.0 200 OK")
