"""Addresses: sip: and sips: (RFC 3261 19.1), tel: (RFC 3966), and any other scheme (urn:, ...) kept as it is.

A `Uri` keeps the text of each part, escapes included, and prints it back the same; `matches` compares as
RFC 3261 19.1.4 and RFC 3966 4 say, where escapes, case and the order of parameters do not count.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from imsphone.errors import ParseError
from imsphone.sip.grammar import Params, parse_params, print_params, unescape

_SIP = re.compile(
    r"""(?P<scheme>sips?):
        (?:(?P<user>[^@:\s<>"]+)(?::(?P<password>[^@:\s<>"]*))?@)?
        (?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)
        (?::(?P<port>\d{1,5}))?
        (?P<params>(?:;[^?\s<>"]*)?)
        (?:\?(?P<headers>[^\s<>"]*))?""",
    re.VERBOSE | re.IGNORECASE,
)
_TEL = re.compile(r"(\+?[0-9A-Fa-f*#().\-]+)((?:;[^\s<>]*)?)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_VISUAL = str.maketrans("", "", "-.()")
# RFC 3261 19.1.4: these count in a comparison even if only one side has them.
_DECISIVE = ("user", "ttl", "method", "maddr")


class Uri(NamedTuple):
    """A parsed address.

    `host` of an IPv6 literal is without brackets. For tel: `user` holds the number and `host` is empty; for other
    schemes `opaque` holds all behind the colon. `headers` is the text behind the question mark, unparsed.
    """

    scheme: str
    user: str = ""
    password: str | None = None
    host: str = ""
    port: int | None = None
    params: Params = {}  # noqa: RUF012 - a value, never written to
    headers: str = ""
    opaque: str = ""

    @classmethod
    def parse(cls, text: str) -> Uri:
        """The address in `text`, without angle brackets. Raises ParseError."""
        found = _SIP.fullmatch(text)
        if found is not None:
            scheme, user, password, host, port, params, headers = found.groups()
            if port is not None and int(port) > 65535:
                raise ParseError("a port up to 65535", found.start("port"))
            return cls(
                scheme.lower(),
                user or "",
                password,
                host[1:-1] if host[0] == "[" else host.lower(),
                None if port is None else int(port),
                parse_params(params) if params else {},
                headers or "",
            )
        scheme, colon, rest = text.partition(":")
        scheme = scheme.lower()
        if not colon or not _SCHEME.fullmatch(scheme):
            raise ParseError("a URI scheme and a colon")
        if scheme in ("sip", "sips"):
            raise ParseError("a sip: address such as sip:user@host", len(scheme) + 1)
        if scheme == "tel":
            number = _TEL.fullmatch(rest)
            if number is None:
                raise ParseError("a telephone number", 4)
            return cls("tel", number[1], params=parse_params(number[2]))
        if not rest or any(character <= " " or character in '<>"' for character in rest):
            raise ParseError("an address without blanks behind the scheme", len(scheme) + 1)
        return cls(scheme, opaque=rest)

    @property
    def is_loose_router(self) -> bool:
        """Whether the `lr` parameter is there (RFC 3261 16.12)."""
        return "lr" in self.params

    @property
    def transport(self) -> str | None:
        """The transport parameter in upper case, None where there is none."""
        value = self.params.get("transport")
        return value.upper() if value else None

    def with_params(self, **params: str | None) -> Uri:
        """The same address with these parameters set (None: without a value)."""
        return self._replace(params={**self.params, **params})

    def bare(self) -> Uri:
        """Scheme, user and host alone: the form that identities are compared and stored in."""
        if self.scheme == "tel":
            return Uri("tel", self.user.translate(_VISUAL))
        return Uri(self.scheme, unescape(self.user), None, self.host, self.port, opaque=self.opaque)

    def matches(self, other: Uri) -> bool:
        """Whether both name the same resource (RFC 3261 19.1.4; RFC 3966 4 for tel:)."""
        if self.scheme != other.scheme:
            return False
        if self.scheme == "tel":
            ours, theirs = ({k: (v or "").lower() for k, v in uri.params.items()} for uri in (self, other))
            return self.user.translate(_VISUAL).lower() == other.user.translate(_VISUAL).lower() and ours == theirs
        if self.scheme not in ("sip", "sips"):
            return self.opaque.lower() == other.opaque.lower()
        if (unescape(self.user), self.host, self.port) != (unescape(other.user), other.host, other.port):
            return False
        if unescape(self.password or "") != unescape(other.password or ""):
            return False
        for name in self.params.keys() | other.params.keys():
            both = name in self.params and name in other.params
            if both and (self.params[name] or "").lower() != (other.params[name] or "").lower():
                return False
            if not both and name in _DECISIVE:
                return False
        return sorted(self.headers.lower().split("&")) == sorted(other.headers.lower().split("&"))

    def __str__(self) -> str:
        if self.scheme == "tel":
            return f"tel:{self.user}{print_params(self.params)}"
        if self.opaque:
            return f"{self.scheme}:{self.opaque}"
        secret = "" if self.password is None else f":{self.password}"
        user = f"{self.user}{secret}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{host}{port}{print_params(self.params)}{headers}"
