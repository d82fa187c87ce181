"""Addresses: sip: and sips: (RFC 3261 19.1), tel: (RFC 3966), and any other scheme (urn:, ...) kept as it is.

A `Uri` keeps the text of each part, escapes included, and prints it back the same (host and names of parameters in
lower case); `matches` compares as RFC 3261 19.1.4 and RFC 3966 4 say, where escapes, case and order do not count.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from imsphone.errors import ParseError
from imsphone.sip.grammar import Params, host_of, parse_params, print_params

_SIP = re.compile(
    r"""(?P<scheme>sips?):
        (?:(?P<user>[^@:\s<>"]++)(?::(?P<password>[^@:\s<>"]*+))?@)?
        (?P<host>\[[0-9a-f:.]++\]|[a-z0-9._-]++)
        (?::(?P<port>\d{1,5}))?
        (?P<params>(?:;[^?\s<>"]*+)?)
        (?:\?(?P<headers>[^\s<>"]*+))?""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_TEL = re.compile(r'(?=[^;]*[0-9a-f*#])(\+?[0-9a-f*#().\-]++)((?:;[^\s<>"]*+)?)', re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_VISUAL = str.maketrans("", "", "-.()")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")
# RFC 3261 19.1.4: these count in a comparison even if only one side has them (transport by the examples there).
_DECISIVE = ("user", "ttl", "method", "maddr", "transport")


def _normal(text: str) -> str:
    """`text` with those escapes undone that mean the same without (RFC 3261 19.1.4: not of reserved characters)."""
    if "%" not in text:
        return text
    return _ESCAPE.sub(lambda found: c if (c := chr(int(found[1], 16))) in _UNRESERVED else found[0].upper(), text)


def _folded(params: Params) -> dict[str, str]:
    return {_normal(name).lower(): _normal(value or "").lower() for name, value in params.items()}


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
                host_of(host).lower(),
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
        """Scheme, user, host and port alone: the form that identities are compared and stored in."""
        if self.scheme == "tel":
            return Uri("tel", self.user.translate(_VISUAL))
        return Uri(self.scheme, _normal(self.user), None, self.host, self.port, opaque=self.opaque)

    def matches(self, other: Uri) -> bool:
        """Whether both name the same resource (RFC 3261 19.1.4; RFC 3966 4 for tel:)."""
        if self.scheme != other.scheme:
            return False
        if self.scheme == "tel":
            if self.user.translate(_VISUAL).lower() != other.user.translate(_VISUAL).lower():
                return False
            return _folded(self.params) == _folded(other.params)
        if self.scheme not in ("sip", "sips"):
            return self.opaque.lower() == other.opaque.lower()
        if (_normal(self.user), self.host.lower(), self.port) != (_normal(other.user), other.host.lower(), other.port):
            return False
        if _normal(self.password or "") != _normal(other.password or ""):
            return False
        if len({tuple(sorted(_normal(uri.headers).lower().split("&"))) for uri in (self, other)}) > 1:
            return False
        ours, theirs = _folded(self.params), _folded(other.params)
        if any(ours[name] != theirs[name] for name in ours.keys() & theirs.keys()):
            return False
        return not any((name in ours) != (name in theirs) for name in _DECISIVE)

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
