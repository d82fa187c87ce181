"""The structured header values of RFC 3261 that more than one part of the phone reads, each a frozen value.

Every class has `parse(text)`, which raises ParseError, and prints with `str`. A value is parsed when it is asked for
and not before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from imsphone.errors import ParseError
from imsphone.sip.grammar import BLANKS, Params, host_of, is_token, parse_params, print_params, quote, unquote
from imsphone.sip.uri import Uri

_SENT = re.compile(
    r"""SIP\s*+/\s*+([0-9.]++)\s*+/\s*+([a-z0-9\-.!%*_+`'~]++)\s++
        (\[[0-9a-f:.]++\]|[a-z0-9._-]++)\s*+(?::\s*+(\d{1,5})\s*+)?(;.*)?""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE | re.ASCII,
)
_NAMED = re.compile(r'(?:("[^"\\]*+(?:\\.[^"\\]*+)*+")\s*+|([^"<>,;]*+))<([^<>]*+)>\s*+(;.*)?', re.DOTALL | re.ASCII)
# name=value up to the next comma; what is none of it goes to the last group as a whole.
_PARAMETER = re.compile(
    r'([^\s=,"]++)\s*+=\s*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([^\s,"]*+))\s*+(?:,|$)|([^\s,].*)', re.DOTALL | re.ASCII
)
# RFC 7616 3.4: these stand without quotes in Authorization; in a challenge, stale and algorithm do.
_BARE = frozenset(("algorithm", "stale", "nc", "integrity-protected"))


class CSeq(NamedTuple):
    """Command sequence: a number below 2^31 and the method (RFC 3261 20.16)."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        words = text.split()
        if len(words) != 2 or not words[0].isascii() or not words[0].isdigit() or len(words[0]) > 10:
            raise ParseError("a CSeq such as 1 INVITE")
        number = int(words[0])
        if number >= 1 << 31:  # RFC 3261 8.1.1.5
            raise ParseError("a CSeq number below 2^31")
        return cls(number, words[1])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


class RAck(NamedTuple):
    """What a PRACK acknowledges: the RSeq, and the CSeq of the request (RFC 3262 7.2)."""

    rseq: int
    cseq: int
    method: str

    @classmethod
    def parse(cls, text: str) -> RAck:
        words = text.split()
        if len(words) != 3 or not all(word.isascii() and word.isdigit() and len(word) <= 10 for word in words[:2]):
            raise ParseError("an RAck such as 1 1 INVITE")
        return cls(int(words[0]), int(words[1]), words[2])

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


class Via(NamedTuple):
    """One hop: the transport and address that a request was sent from (RFC 3261 20.42). `host` without brackets."""

    transport: str
    host: str
    port: int | None = None
    params: Params = {}  # noqa: RUF012 - a value, never written to
    version: str = "2.0"

    @classmethod
    def parse(cls, text: str) -> Via:
        found = _SENT.fullmatch(text.strip(BLANKS))
        if found is None:
            raise ParseError("a Via such as SIP/2.0/UDP host:port;branch=z9hG4bK...")
        version, transport, host, digits, params = found.groups()
        port = None if digits is None else int(digits)
        if port is not None and not 1 <= port <= 65535:
            raise ParseError("a port from 1 to 65535", found.start(4))
        return cls(transport.upper(), host_of(host), port, parse_params(params) if params else {}, version)

    @property
    def branch(self) -> str:
        """The branch, or the empty string."""
        return self.params.get("branch") or ""

    @property
    def sent_by(self) -> tuple[str, int]:
        """Host in lower case and port, 5060 where none is written."""
        return self.host.lower(), self.port or 5060

    def with_params(self, **params: str | None) -> Via:
        """The same hop with these parameters set."""
        return self._replace(params={**self.params, **params})

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/{self.version}/{self.transport} {host}{port}{print_params(self.params)}"


class NameAddr(NamedTuple):
    """A name, an address and the header's own parameters: From, To, Contact, Route, P-Asserted-Identity and kin.

    Where the address stands without angle brackets, parameters belong to the header (RFC 3261 20.10).
    """

    uri: Uri
    display_name: str = ""
    params: Params = {}  # noqa: RUF012 - a value, never written to

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        found = _NAMED.fullmatch(text.strip(BLANKS))
        if found is not None:
            quoted, plain, address, params = found.groups()
            if quoted is not None:
                name = unquote(quoted)
            elif (name := " ".join(plain.split())) and not all(map(is_token, name.split(" "))):
                raise ParseError("quotes around a display name that holds more than words")
            return cls(Uri.parse(address), name, parse_params(params) if params else {})
        if "<" in text or ">" in text or '"' in text.partition(";")[0]:
            raise ParseError("an address such as <sip:user@host>")
        address, _, params = text.partition(";")
        if "," in address or "?" in address:  # RFC 3261 20.10: these ask for angle brackets
            raise ParseError("angle brackets around an address with a comma or a question mark")
        return cls(Uri.parse(address.strip(BLANKS)), "", parse_params(params) if params else {})

    @property
    def tag(self) -> str:
        """The tag, or the empty string."""
        return self.params.get("tag") or ""

    def with_params(self, **params: str | None) -> NameAddr:
        """The same address with these header parameters set."""
        return self._replace(params={**self.params, **params})

    def with_tag(self, tag: str) -> NameAddr:
        """The same address with this tag; with the empty string, without a tag."""
        others = {name: value for name, value in self.params.items() if name != "tag"}
        return self._replace(params={**others, "tag": tag} if tag else others)

    def __str__(self) -> str:
        name = f"{quote(self.display_name)} " if self.display_name else ""
        return f"{name}<{self.uri}>{print_params(self.params)}"


@dataclass(frozen=True, slots=True)
class Challenge:
    """A scheme and its parameters: WWW-Authenticate, Proxy-Authenticate (RFC 3261 20.44), also Authorization.

    `params` are unquoted; `get` gives the empty string for what is missing. Printing quotes as RFC 7616 3.3-3.4 ask.
    """

    scheme: str
    params: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> Challenge:
        scheme, *rest = text.split(None, 1) or [""]
        if not is_token(scheme):
            raise ParseError("an authentication scheme such as Digest")
        params = {}
        for name, quoted, plain, junk in _PARAMETER.findall(rest[0]) if rest else ():
            if junk:
                raise ParseError("name=value", text.find(junk))
            params[name.lower()] = quoted or plain
        if "\\" in text:
            params = {name: unquote(f'"{value}"') for name, value in params.items()}
        return cls(scheme, params)

    def get(self, name: str) -> str:
        """A parameter without its quotes, the empty string where it is missing."""
        return self.params.get(name, "")

    def print(self, *, bare: frozenset[str] = frozenset()) -> str:
        """The header's value; the names in `bare` stand without quotes besides those that always do."""
        unquoted = _BARE | bare
        pairs = (f"{n}={v}" if n in unquoted and is_token(v) else f"{n}={quote(v)}" for n, v in self.params.items())
        return f"{self.scheme} {', '.join(pairs)}"

    def __str__(self) -> str:
        return self.print()

    def __repr__(self) -> str:
        # `ik` and `ck` of the network's 401 are keys (TS 24.229 5.4.1.2.1): names only.
        return f"Challenge({self.scheme!r}, {', '.join(self.params)})"
