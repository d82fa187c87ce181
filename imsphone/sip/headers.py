"""The header part of a message: an ordered list of names and values, cheap to read and faithful to print.

A name that is known is stored in its usual spelling, a compact one in its long form (RFC 3261 7.3.3), an unknown one as
it came. Values stay text until a field asks for more: a phone looks at ten of the thirty headers of a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imsphone.sip.grammar import split

_COMPACT = {
    "i": "Call-ID", "m": "Contact", "e": "Content-Encoding", "l": "Content-Length", "c": "Content-Type", "f": "From",
    "s": "Subject", "k": "Supported", "t": "To", "v": "Via", "o": "Event", "u": "Allow-Events", "r": "Refer-To",
    "b": "Referred-By", "x": "Session-Expires", "j": "Reject-Contact", "a": "Accept-Contact",
    "d": "Request-Disposition", "y": "Identity",
}  # fmt: skip
# Headers whose value is a comma-separated list, so that one line of two values equals two lines (RFC 3261 7.3.1).
_LISTS = frozenset(
    "Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Call-Info Contact "
    "Content-Encoding Content-Language Error-Info Feature-Caps Geolocation History-Info In-Reply-To "
    "P-Asserted-Identity P-Associated-URI P-Early-Media P-Preferred-Identity P-Visited-Network-ID Path Proxy-Require "
    "Reason Record-Route Recv-Info Reject-Contact Require Resource-Priority Route Security-Client Security-Server "
    "Security-Verify Service-Route Supported Unsupported Via Warning".split()
)
_SINGLES = (
    "Answer-Mode Authentication-Info Authorization CSeq Call-ID Content-Disposition Content-Length Content-Type Date "
    "Event Expires From Identity Max-Forwards MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info "
    "P-Called-Party-ID P-Charging-Function-Addresses P-Charging-Vector P-Preferred-Service P-Asserted-Service Priority "
    "Privacy Proxy-Authenticate Proxy-Authorization RAck RSeq Refer-To Referred-By Replaces Reply-To "
    "Request-Disposition Retry-After SIP-ETag SIP-If-Match Server Session-Expires Session-ID Subject "
    "Subscription-State Timestamp To User-Agent WWW-Authenticate".split()
)
_CANONICAL: dict[str, str] = {}
for _name in (*_LISTS, *_SINGLES):
    _CANONICAL[_name] = _CANONICAL[_name.lower()] = _CANONICAL[_name.upper()] = _name
for _short, _name in _COMPACT.items():
    _CANONICAL[_short] = _CANONICAL[_short.upper()] = _name


def canonical(name: str) -> str:
    """The usual spelling of a known name, whatever its case or compact form; an unknown name as it is."""
    return _CANONICAL.get(name) or _CANONICAL.get(name.lower(), name)


class Headers:
    """Names and values in order. Iterates over (name, value) pairs, one a line of the message."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = [(canonical(name), value) for name, value in items]

    @classmethod
    def of_canonical(cls, items: list[tuple[str, str]]) -> Headers:
        """Takes over a list whose names are canonical already (the parser's)."""
        headers = cls.__new__(cls)
        headers._items = items
        return headers

    def get(self, name: str) -> str | None:
        """The first value of this name as text, None where there is none."""
        known = _CANONICAL.get(name)
        if known is not None:
            for item in self._items:
                if item[0] == known:
                    return item[1]
            return None
        lower = canonical(name).lower()
        for item_name, value in self._items:
            if item_name.lower() == lower:
                return value
        return None

    def lines(self, name: str) -> list[str]:
        """The values of all lines of this name, each as it stands."""
        known = _CANONICAL.get(name)
        if known is not None:
            return [item[1] for item in self._items if item[0] == known]
        lower = canonical(name).lower()
        return [value for item_name, value in self._items if item_name.lower() == lower]

    def get_all(self, name: str) -> list[str]:
        """All values of this name in order, lists cut at their commas. Raises ParseError for a quote without an end."""
        known = canonical(name)
        if known in _LISTS:
            values: list[str] = []
            for item in self._items:
                if item[0] == known:
                    values += split(item[1], ",")
            return values
        return self.lines(known)

    def add(self, name: str, value: str) -> None:
        """One more line behind the others."""
        self._items.append((canonical(name), value))

    def prepend(self, name: str, value: str) -> None:
        """One more line before all others of this name (Via, Route, Record-Route, Path grow this way)."""
        name = canonical(name)
        for index, item in enumerate(self._items):
            if item[0] == name:
                self._items.insert(index, (name, value))
                return
        self._items.insert(0, (name, value))

    def set(self, name: str, *values: str) -> None:
        """These values instead of the present ones, at the place of the first of them; without values: removes."""
        name = canonical(name)
        if name in _CANONICAL:  # then every line has this spelling
            present = [index for index, item in enumerate(self._items) if item[0] == name]
        else:
            lower = name.lower()
            present = [index for index, item in enumerate(self._items) if item[0].lower() == lower]
        at = present[0] if present else len(self._items)
        gone = frozenset(present)
        items = [item for index, item in enumerate(self._items) if index not in gone]
        items[at:at] = [(name, value) for value in values]
        self._items = items

    def remove(self, name: str) -> None:
        """Takes all lines of this name away."""
        self.set(name)

    def pop_first(self, name: str) -> str | None:
        """Takes the first value of a list header away (the own Via of a response, the own Route) and gives it."""
        values = self.get_all(name)
        self.set(name, *values[1:])
        return values[0] if values else None

    def copy(self) -> Headers:
        """An independent list of the same lines."""
        return Headers.of_canonical(list(self._items))

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._items == other._items

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({', '.join(name for name, _ in self._items)})"
