"""A session description (RFC 8866, before it RFC 4566): who would like which media, and where.

A body is a flat list of `letter=value` lines whose only structure is that each `m=` line opens a section:

    v=0                                 ┐
    o=- 3734 1 IN IP4 127.0.20.1        │ the session: what holds for every
    s=-                                 │ stream that does not say otherwise
    c=IN IP4 127.0.20.1                 │
    t=0 0                               ┘
    m=audio 49152 RTP/AVP 8 0           ┐ a stream; its place in the list is its identity
    b=AS:80                             │ in offer and answer (RFC 3264 6)
    a=rtpmap:8 PCMA/8000                ┘

What the phone works with has a field; any other line goes into `others`, any attribute into `attributes`, and comes out
again octet for octet. The order of printing is the grammar's (RFC 8866 9), whatever order a sloppy peer used. Text is
UTF-8; octets that are not UTF-8 travel as surrogate escapes, so that they too come out as they went in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from imsphone.errors import ParseError

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")

# RFC 8866 9: the place of each letter in its section. r= and z= stay with their t=; letters nobody knows go before a=.
_RANK = {
    letter: rank
    for rank, letters in enumerate(("v", "o", "s", "i", "u", "e", "p", "c", "b", "trz", "k", "", "a"))
    for letter in letters
}
_UNKNOWN_RANK = 11


class Line(NamedTuple):
    """One line as it stands: `i=news` is ("i", "news")."""

    letter: str
    value: str


class Attribute(NamedTuple):
    """`a=name` (value None) or `a=name:value`."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


class Bandwidth(NamedTuple):
    """`b=kind:value`. AS and CT count kbit/s; RS and RR, for RTCP, count bit/s (RFC 3556 2)."""

    kind: str
    value: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


class Timing(NamedTuple):
    """`t=start stop` in NTP seconds, 0 for unbounded, and the values of the `r=` lines below it."""

    start: int = 0
    stop: int = 0
    repeats: tuple[str, ...] = ()


class Connection(NamedTuple):
    """`c=`: where media is to be sent. `host` is an address or a name; a multicast one keeps its `/ttl`."""

    host: str
    address_type: str = "IP4"
    network_type: str = "IN"

    @classmethod
    def to(cls, host: str) -> Connection:
        """The connection to an IP literal, IPv6 without brackets."""
        return cls(host, "IP6" if ":" in host else "IP4")

    def __str__(self) -> str:
        return f"{self.network_type} {self.address_type} {self.host}"


class Origin(NamedTuple):
    """`o=`: whose description this is, and which version of it."""

    session_id: int
    version: int
    host: str
    address_type: str = "IP4"
    network_type: str = "IN"
    username: str = "-"

    def __str__(self) -> str:
        words = (self.username, self.session_id, self.version, self.network_type, self.address_type, self.host)
        return " ".join(map(str, words))


class _Section:
    """What a session and a stream have in common: attributes and bandwidths to look up by name."""

    __slots__ = ()

    attributes: tuple[Attribute, ...]
    bandwidths: tuple[Bandwidth, ...]

    def get(self, name: str) -> str | None:
        """The value of the first attribute of this name, "" for a bare one; None where there is no such attribute."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        """The values of all attributes of this name, without blanks around them."""
        return [(a.value or "").strip() for a in self.attributes if a.name.strip() == name]

    def bandwidth(self, kind: str) -> int | None:
        """The first bandwidth of this kind (AS, RS, RR ...)."""
        return next((b.value for b in self.bandwidths if b.kind == kind), None)

    @property
    def direction(self) -> Direction | None:
        """The direction that this very section states."""
        names = {a.name.strip() for a in self.attributes}
        return next((direction for direction in DIRECTIONS if direction in names), None)


@dataclass(frozen=True, slots=True)
class MediaDescription(_Section):
    """A stream: the `m=` line and all below it.

    `kind` is "audio", "video" ...; `port` 0 means that the stream is not wanted; `formats` are the words after the
    protocol, for RTP the payload types, the preferred one first.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    port_count: int = 1
    connection: Connection | None = None
    bandwidths: tuple[Bandwidth, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    others: tuple[Line, ...] = ()

    def _lines(self) -> list[Line]:
        port = f"{self.port}/{self.port_count}" if self.port_count != 1 else str(self.port)
        opening = Line("m", " ".join((self.kind, port, self.protocol, *self.formats)))
        return [opening, *_in_order(self._below())]

    def _below(self) -> Iterator[Line]:
        if self.connection:
            yield Line("c", str(self.connection))
        yield from self.others
        yield from (Line("b", str(bandwidth)) for bandwidth in self.bandwidths)
        yield from (Line("a", str(attribute)) for attribute in self.attributes)


@dataclass(frozen=True, slots=True)
class SessionDescription(_Section):
    """A whole body; `bytes()` and `str()` print it, `parse` reads it."""

    origin: Origin
    name: str = "-"  # RFC 3264 5: a dash for a unicast session
    connection: Connection | None = None
    bandwidths: tuple[Bandwidth, ...] = ()
    times: tuple[Timing, ...] = (Timing(),)
    attributes: tuple[Attribute, ...] = ()
    media: tuple[MediaDescription, ...] = ()
    others: tuple[Line, ...] = ()

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """Where this stream is to be sent: its own `c=` or the session's."""
        return media.connection or self.connection

    def direction_of(self, media: MediaDescription) -> Direction:
        """The direction of this stream, its own, the session's, or sendrecv (RFC 3264 5.1)."""
        return media.direction or self.direction or "sendrecv"

    def __str__(self) -> str:
        lines = _in_order(self._above())
        for media in self.media:
            lines += media._lines()
        return "".join(f"{line.letter}={line.value}\r\n" for line in lines)

    def __bytes__(self) -> bytes:
        return str(self).encode("utf-8", "surrogateescape")

    def _above(self) -> Iterator[Line]:
        yield Line("v", "0")
        yield Line("o", str(self.origin))
        yield Line("s", self.name)
        if self.connection:
            yield Line("c", str(self.connection))
        for timing in self.times:
            yield Line("t", f"{timing.start} {timing.stop}")
            yield from (Line("r", repeat) for repeat in timing.repeats)
        yield from self.others
        yield from (Line("b", str(bandwidth)) for bandwidth in self.bandwidths)
        yield from (Line("a", str(attribute)) for attribute in self.attributes)


def parse(body: bytes | str) -> SessionDescription:
    """Read a body; `ParseError.offset` counts octets.

    Forgiven: LF line ends, blank lines and trailing blanks, a missing `s=` or `t=`, lines out of order.
    """
    try:
        data = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
    except UnicodeEncodeError as error:
        raise ParseError("text", error.start) from None
    lines = list(_split(data))
    if not lines or lines[0][1].letter != "v" or lines[0][1].value.strip() != "0":
        raise ParseError("v=0")
    # RFC 3264 5: exactly one session description
    for offset, line in lines[1:]:
        if line.letter == "v":
            raise ParseError("one session description", offset)
    bounds = [index for index, (_, line) in enumerate(lines) if line.letter == "m"] + [len(lines)]
    media = tuple(_media(lines[start:end]) for start, end in pairwise(bounds))
    return _session(lines[1 : bounds[0]], media, len(data))


# Reading ------------------------------------------------------------------------------------------------------------

_Placed = tuple[int, Line]


def _split(data: bytes) -> Iterator[_Placed]:
    offset = 0
    for raw in data.split(b"\n"):
        text = raw.removesuffix(b"\r").decode("utf-8", "surrogateescape")
        if text.strip():
            if not (text[0].isascii() and text[0].isalpha() and text[1:2] == "="):
                raise ParseError("a letter and an equals sign", offset)
            yield offset, Line(text[0], text[2:])
        offset += len(raw) + 1


def _session(lines: list[_Placed], media: tuple[MediaDescription, ...], end: int) -> SessionDescription:
    origin: Origin | None = None
    name: str | None = None
    times: list[Timing] = []
    rest: list[_Placed] = []
    for offset, line in lines:
        match line.letter:
            case "o" if origin is None:
                origin = _origin(line.value, offset + 2)
            case "s" if name is None:
                name = line.value
            case "o" | "s":
                raise ParseError(f"a single {line.letter}= line", offset)
            case "t":
                times.append(_timing(line.value, offset + 2))
            case "r":
                if not times:
                    raise ParseError("t= before r=", offset)
                times[-1] = times[-1]._replace(repeats=(*times[-1].repeats, line.value))
            case _:
                rest.append((offset, line))
    if origin is None:
        raise ParseError("an o= line", end)
    connection, bandwidths, attributes, others = _gather(rest)
    return SessionDescription(
        origin=origin,
        name="-" if name is None else name,
        connection=connection,
        bandwidths=bandwidths,
        times=tuple(times) or (Timing(),),
        attributes=attributes,
        media=media,
        others=others,
    )


def _media(lines: list[_Placed]) -> MediaDescription:
    offset, opening = lines[0]
    words = opening.value.split()
    if len(words) < 4:
        raise ParseError("media, port, protocol and a format", offset + 2)
    kind, ports, protocol, *formats = words
    port, slash, count = ports.partition("/")
    connection, bandwidths, attributes, others = _gather(lines[1:])
    return MediaDescription(
        kind=kind,
        port=_number(port, offset + 2, 0xFFFF),
        protocol=protocol,
        formats=tuple(formats),
        port_count=_number(count, offset + 2, 0xFFFF) if slash else 1,
        connection=connection,
        bandwidths=bandwidths,
        attributes=attributes,
        others=others,
    )


def _gather(
    lines: list[_Placed],
) -> tuple[Connection | None, tuple[Bandwidth, ...], tuple[Attribute, ...], tuple[Line, ...]]:
    connection: Connection | None = None
    bandwidths: list[Bandwidth] = []
    attributes: list[Attribute] = []
    others: list[Line] = []
    for offset, line in lines:
        match line.letter:
            case "c" if connection is None:
                connection = _connection(line.value, offset + 2)
            case "b":
                kind, _, value = line.value.partition(":")
                bandwidths.append(Bandwidth(kind.strip(), _number(value.strip(), offset + 2)))
            case "a":
                name, colon, value = line.value.partition(":")
                attributes.append(Attribute(name, value if colon else None))
            case _:  # a second c= too: layered multicast, which the phone does not take part in
                others.append(line)
    return connection, tuple(bandwidths), tuple(attributes), tuple(_in_order(others))


def _origin(value: str, offset: int) -> Origin:
    words = value.split()
    if len(words) != 6:
        raise ParseError("username, session id, version, network type, address type and address", offset)
    username, session_id, version, network_type, address_type, host = words
    return Origin(_number(session_id, offset), _number(version, offset), host, address_type, network_type, username)


def _connection(value: str, offset: int) -> Connection:
    words = value.split()
    if len(words) != 3:
        raise ParseError("network type, address type and address", offset)
    network_type, address_type, host = words
    return Connection(host, address_type, network_type)


def _timing(value: str, offset: int) -> Timing:
    words = value.split()
    if len(words) != 2:
        raise ParseError("start and stop time", offset)
    return Timing(_number(words[0], offset), _number(words[1], offset))


def _number(text: str, offset: int, highest: int = (1 << 64) - 1) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= highest):
        raise ParseError(f"a number up to {highest}", offset)
    return int(text)


def _in_order(lines: Iterator[Line] | list[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: _RANK.get(line.letter, _UNKNOWN_RANK))
