"""An RTP packet (RFC 3550 5.1).

     0               1               2               3
    +-+-+-+-+-------+-+-------------+-------------------------------+
    |V=2|P|X|   CC  |M|     PT      |            sequence           |
    +---+-+-+-------+-+-------------+-------------------------------+
    |                           timestamp                           |
    |                              SSRC                             |
    |                        CSRC × CC, then                        |
    |       if X: profile (16) and length in words (16), data       |
    |                            payload                            |
    |            if P: filler, its length in the last octet         |
    +---------------------------------------------------------------+

`Packet` is a named tuple because fifty of them a second and direction are made in the media thread, where making a
tuple costs a third of making a frozen dataclass.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from imsphone.errors import ParseError

_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")


class Extension(NamedTuple):
    """A header extension (RFC 3550 5.3.1): `profile` says whose it is, `data` is whole 32-bit words."""

    profile: int
    data: bytes


class Packet(NamedTuple):
    """One packet; `bytes()` prints it, `parse` reads it. `padding` counts octets, 0 for none, 255 at most."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: Extension | None = None
    padding: int = 0

    @property
    def version(self) -> int:
        """Always 2."""
        return 2

    def __bytes__(self) -> bytes:
        first = 0x80 | (0x20 if self.padding else 0) | (0x10 if self.extension else 0) | len(self.csrcs)
        second = self.marker << 7 | self.payload_type
        data = _HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)
        if self.csrcs:
            data += struct.pack(f"!{len(self.csrcs)}I", *self.csrcs)
        if self.extension:
            profile, words = self.extension
            data += _EXTENSION.pack(profile, len(words) // 4) + words
        data += self.payload
        if self.padding:
            data += bytes(self.padding - 1) + bytes((self.padding,))
        return data


def parse(data: bytes) -> Packet:
    """Read one datagram, which is not RTCP (`is_rtcp` tells); the checks are those of RFC 3550 A.1.

    Whether the payload type is one that was agreed on, only the stream knows.
    """
    if len(data) < 12:
        raise ParseError("the 12 octets of an RTP header", len(data))
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first == 0x80:  # nothing but header and payload, as nearly always
        return Packet(second & 0x7F, sequence, timestamp, ssrc, data[12:], second >= 0x80)
    if first >> 6 != 2:
        raise ParseError("RTP version 2")
    start, end = 12, len(data)
    csrcs: tuple[int, ...] = ()
    if count := first & 0x0F:
        start += 4 * count
        if start > end:
            raise ParseError(f"{count} contributing sources", 12)
        csrcs = struct.unpack_from(f"!{count}I", data, 12)
    extension = None
    if first & 0x10:
        if start + 4 > end:
            raise ParseError("a header extension", start)
        profile, words = _EXTENSION.unpack_from(data, start)
        at, start = start + 4, start + 4 + 4 * words
        if start > end:
            raise ParseError(f"{words} words of header extension", at)
        extension = Extension(profile, data[at:start])
    padding = 0
    if first & 0x20:
        padding = data[-1]
        if not 0 < padding <= end - start:
            raise ParseError("padding that fits into the packet", end - 1)
    return Packet(
        second & 0x7F, sequence, timestamp, ssrc, data[start : end - padding], second >= 0x80, csrcs, extension, padding
    )


def is_rtcp(data: bytes) -> bool:
    """Is this datagram RTCP, on a port that takes both (RFC 5761 4)?"""
    return len(data) > 1 and 192 <= data[1] <= 223
