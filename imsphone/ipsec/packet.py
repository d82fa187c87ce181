"""The IP header around a segment, for whoever hands it to a kernel: IPv4 (RFC 791) or IPv6 (RFC 8200), no options."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from imsphone.ipsec.checksum import checksum

_V4 = struct.Struct("!BBHHHBBH4s4s")
_V6 = struct.Struct("!IHBB16s16s")
_WHOLE = 0x4000  # do not fragment; and its counterpart: neither more fragments nor an offset
_FRAGMENT = 0x3FFF
_TTL = 64


class IpPacket(NamedTuple):
    """A packet by its hosts and the number of what it carries (6 is TCP)."""

    source: str
    target: str
    protocol: int
    payload: bytes


def write(source: str, target: str, protocol: int, payload: bytes) -> bytes:
    """The whole packet."""
    ends = ip_address(source).packed, ip_address(target).packed
    if len(ends[0]) == 16:
        return _V6.pack(6 << 28, len(payload), protocol, _TTL, *ends) + payload
    head = _V4.pack(0x45, 0, _V4.size + len(payload), 0, _WHOLE, _TTL, protocol, 0, *ends)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def read(packet: bytes) -> IpPacket | None:
    """What a kernel wrote; None where that is no whole packet, or one with extension headers."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= _V4.size:
        first, _, length, _, fragment, _, protocol, _, source, target = _V4.unpack_from(packet)
        start = (first & 15) * 4
        if _V4.size <= start <= length <= len(packet) and not fragment & _FRAGMENT:
            hosts = str(IPv4Address(source)), str(IPv4Address(target))
            return IpPacket(*hosts, protocol, packet[start:length])
    elif version == 6 and len(packet) >= _V6.size:
        _, length, protocol, _, source, target = _V6.unpack_from(packet)
        if _V6.size + length <= len(packet):
            hosts = str(IPv6Address(source)), str(IPv6Address(target))
            return IpPacket(*hosts, protocol, packet[_V6.size : _V6.size + length])
    return None
