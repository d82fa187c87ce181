"""BER-TLV, the way in which a card packs what belongs together (ETSI TS 102 221 7.3, ISO/IEC 8825-1).

62 1E │ 82 02 78 21 │ 83 02 7F FF │ 84 10 A0 00 … │ …        an object may hold objects: parse its value again
80 09 │ home.test   │ FF FF FF FF FF FF                      what follows the last object of a file is padding
"""

from __future__ import annotations

from typing import NamedTuple

from imsphone.errors import ParseError

_PADDING = (0x00, 0xFF)
_MOST_OBJECTS = 256


class Tlv(NamedTuple):
    """One object: its tag (5F2D is one of two octets) and its value."""

    tag: int
    value: bytes

    def octets(self) -> bytes:
        """The object as a card writes it."""
        tag = self.tag.to_bytes((self.tag.bit_length() + 7) // 8 or 1, "big")
        length = len(self.value)
        size = (length.bit_length() + 7) // 8
        header = bytes([length]) if length < 0x80 else bytes([0x80 | size]) + length.to_bytes(size, "big")
        return tag + header + self.value


def parse(data: bytes) -> list[Tlv]:
    """The objects in `data`, padding of 00 and FF between and after them left out. Raises ParseError."""
    found: list[Tlv] = []
    at = 0
    while True:
        while at < len(data) and data[at] in _PADDING:
            at += 1
        if at >= len(data):
            return found
        if len(found) >= _MOST_OBJECTS:
            raise ParseError(f"at most {_MOST_OBJECTS} objects", at)
        tag, at = _tag(data, at)
        length, at = _length(data, at)
        if at + length > len(data):
            raise ParseError(f"{length} octets of the object {tag:02X}, not {len(data) - at}", at)
        found.append(Tlv(tag, data[at : at + length]))
        at += length


def first(objects: list[Tlv], tag: int) -> bytes | None:
    """The value of the first object with that tag, None where there is none."""
    return next((one.value for one in objects if one.tag == tag), None)


def _tag(data: bytes, start: int) -> tuple[int, int]:
    at = start + 1
    if data[start] & 0x1F == 0x1F:  # more octets follow, as long as bit 8 says so
        while at < len(data) and data[at] & 0x80:
            at += 1
        at += 1
    if at > len(data) or at - start > 3:
        raise ParseError("a tag of one to three octets", start)
    return int.from_bytes(data[start:at], "big"), at


def _length(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise ParseError("the length of an object", at)
    if data[at] < 0x80:
        return data[at], at + 1
    size = data[at] & 0x7F
    if not 1 <= size <= 3 or at + 1 + size > len(data):
        raise ParseError("a length of one to four octets", at)
    return int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size
