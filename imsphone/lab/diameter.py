"""Diameter on the wire (RFC 6733): a header of 20 octets, then AVPs, each padded to a multiple of four.

    0        1        2        3                     0        1        2        3
    +--------+--------+--------+--------+            +--------+--------+--------+--------+
    |version |      message length      |            |             AVP code              |
    | R P E T|       command code       |            | V M P  |        AVP length        |
    |          application id           |            |   vendor id (only with V set)     |
    |           hop-by-hop id           |            |              data ...             |
    |           end-to-end id           |            |              ... up to 3 octets 0 |
    +--------+--------+--------+--------+            +--------+--------+--------+--------+

An answer carries the hop-by-hop id of its request, and nothing else ties the two together (RFC 6733 3). The AVP length
counts the AVP's header and data but not the padding; the message length counts everything. A grouped AVP's data is
again a row of AVPs. What the codes mean for an IMS is told in `lab.cx`.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from imsphone.errors import ParseError

HEADER_BYTES: Final = 20

# Commands and AVPs of the base protocol that the lab speaks (RFC 6733 3.1, 4.5)
CAPABILITIES_EXCHANGE: Final = 257
DEVICE_WATCHDOG: Final = 280
DISCONNECT_PEER: Final = 282

USER_NAME: Final = 1
HOST_IP_ADDRESS: Final = 257
AUTH_APPLICATION_ID: Final = 258
VENDOR_SPECIFIC_APPLICATION_ID: Final = 260
SESSION_ID: Final = 263
ORIGIN_HOST: Final = 264
SUPPORTED_VENDOR_ID: Final = 265
VENDOR_ID: Final = 266
RESULT_CODE: Final = 268
PRODUCT_NAME: Final = 269
AUTH_SESSION_STATE: Final = 277
FAILED_AVP: Final = 279
DESTINATION_REALM: Final = 283
DESTINATION_HOST: Final = 293
ORIGIN_REALM: Final = 296
EXPERIMENTAL_RESULT: Final = 297
EXPERIMENTAL_RESULT_CODE: Final = 298

SUCCESS: Final = 2001
COMMAND_UNSUPPORTED: Final = 3001
APPLICATION_UNSUPPORTED: Final = 3007
UNKNOWN_PEER: Final = 3010
AUTHORIZATION_REJECTED: Final = 5003
INVALID_AVP_VALUE: Final = 5004
MISSING_AVP: Final = 5005
NO_COMMON_APPLICATION: Final = 5010
UNABLE_TO_COMPLY: Final = 5012

_HEADER = struct.Struct("!IIIII")
_AVP = struct.Struct("!II")
_NUMBER = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Avp:
    """One attribute and its value. `vendor` 0 means the base protocol's own number space."""

    code: int
    data: bytes
    vendor: int = 0
    is_mandatory: bool = True

    @classmethod
    def of(cls, code: int, value: bytes | str | int | Iterable[Avp], vendor: int = 0) -> Avp:
        """An AVP from a value: octets, UTF-8 text, Unsigned32 or Enumerated, or AVPs for a grouped one."""
        if isinstance(value, bytes):
            data = value
        elif isinstance(value, str):
            data = value.encode("utf-8", "surrogateescape")  # what came in SIP need be no UTF-8
        elif isinstance(value, int):
            data = _NUMBER.pack(value)
        else:
            data = b"".join(map(bytes, value))
        return cls(code, data, vendor)

    def __bytes__(self) -> bytes:
        flags = 0xC0000000 if self.vendor else 0x40000000
        if not self.is_mandatory:
            flags &= 0x80000000
        vendor = _NUMBER.pack(self.vendor) if self.vendor else b""
        length = 8 + len(vendor) + len(self.data)
        return _AVP.pack(self.code, flags | length) + vendor + self.data + bytes(-length % 4)


class Avps(tuple[Avp, ...]):
    """AVPs in their order, read by code: the first of that code, or None."""

    __slots__ = ()

    def get(self, code: int, vendor: int = 0) -> bytes | None:
        """The data of the first AVP of this code."""
        for avp in self:
            if avp.code == code and avp.vendor == vendor:
                return avp.data
        return None

    def text(self, code: int, vendor: int = 0) -> str | None:
        """The same as UTF-8 text; None also where it is no UTF-8."""
        data = self.get(code, vendor)
        try:
            return None if data is None else data.decode()
        except UnicodeDecodeError:
            return None

    def number(self, code: int, vendor: int = 0) -> int | None:
        """The same as Unsigned32; None also where it has not four octets."""
        data = self.get(code, vendor)
        return _NUMBER.unpack(data)[0] if data is not None and len(data) == 4 else None

    def group(self, code: int, vendor: int = 0) -> Avps:
        """The AVPs inside a grouped one; empty where there is none, or where its inside is broken."""
        data = self.get(code, vendor)
        try:
            return Avps() if data is None else parse_avps(data)
        except ParseError:
            return Avps()


@dataclass(frozen=True, slots=True)
class Message:
    """A whole Diameter message."""

    command: int
    application: int
    hop_by_hop: int
    end_to_end: int
    avps: Avps
    is_request: bool = False
    is_proxiable: bool = False
    is_error: bool = False
    is_retransmitted: bool = False

    def __bytes__(self) -> bytes:
        body = b"".join(map(bytes, self.avps))
        flags = self.is_request << 7 | self.is_proxiable << 6 | self.is_error << 5 | self.is_retransmitted << 4
        length = HEADER_BYTES + len(body)
        return (
            _HEADER.pack(
                1 << 24 | length, flags << 24 | self.command, self.application, self.hop_by_hop, self.end_to_end
            )
            + body
        )

    def answer(self, avps: Iterable[Avp], *, is_error: bool = False) -> Message:
        """The answer to this request: same command, application and ids, P bit copied (RFC 6733 6.2)."""
        return Message(
            self.command,
            self.application,
            self.hop_by_hop,
            self.end_to_end,
            Avps(avps),
            is_proxiable=self.is_proxiable,
            is_error=is_error,
        )

    @property
    def result(self) -> tuple[int, bool] | None:
        """(code, is experimental) of an answer, None where it carries neither kind of result (RFC 6733 7.1, 7.6)."""
        if (code := self.avps.number(RESULT_CODE)) is not None:
            return code, False
        code = self.avps.group(EXPERIMENTAL_RESULT).number(EXPERIMENTAL_RESULT_CODE)
        return None if code is None else (code, True)


def parse(data: bytes) -> Message:
    """The message in `data`, which holds one whole message and nothing more.

    Raises ParseError where the version, a length or the padding is wrong.
    """
    if len(data) < HEADER_BYTES:
        raise ParseError("20 octets of Diameter header", len(data))
    first, second, application, hop_by_hop, end_to_end = _HEADER.unpack_from(data)
    if first >> 24 != 1:
        raise ParseError("Diameter version 1")
    if first & 0xFFFFFF != len(data):
        raise ParseError(f"a message length of {len(data)}", 1)
    return Message(
        second & 0xFFFFFF,
        application,
        hop_by_hop,
        end_to_end,
        parse_avps(data, HEADER_BYTES),
        is_request=bool(second & 0x80000000),
        is_proxiable=bool(second & 0x40000000),
        is_error=bool(second & 0x20000000),
        is_retransmitted=bool(second & 0x10000000),
    )


def parse_avps(data: bytes, offset: int = 0) -> Avps:
    """The AVPs from `offset` to the end of `data`; raises ParseError where a length does not fit."""
    found = []
    end = len(data)
    while offset < end:
        if end - offset < 8:
            raise ParseError("8 octets of AVP header", offset)
        code, second = _AVP.unpack_from(data, offset)
        length = second & 0xFFFFFF
        start = 12 if second & 0x80000000 else 8
        if length < start or offset + length > end:
            raise ParseError("an AVP length that fits", offset + 5)
        vendor = _NUMBER.unpack_from(data, offset + 8)[0] if start == 12 else 0
        found.append(Avp(code, data[offset + start : offset + length], vendor, bool(second & 0x40000000)))
        offset += length + -length % 4
    if offset > end:
        raise ParseError("padding to a multiple of four octets", end)
    return Avps(found)


def address(host: str) -> bytes:
    """The data of an AVP of type Address (RFC 6733 4.3.1): family 1 or 2, then the octets."""
    literal = ipaddress.ip_address(host)
    return (b"\0\1" if literal.version == 4 else b"\0\2") + literal.packed
