"""The Internet checksum (RFC 1071), for whoever writes by hand what a kernel writes otherwise."""

from __future__ import annotations

import struct
from ipaddress import ip_address


def checksum(data: bytes) -> int:
    """The checksum of these octets; 2^16 is 1 modulo 65535, so the whole may be summed as one big number."""
    total = int.from_bytes(data + bytes(len(data) % 2), "big")
    return ~(total % 0xFFFF or (0xFFFF if total else 0)) & 0xFFFF


def pseudo_header(source: str, target: str, protocol: int, length: int) -> bytes:
    """What UDP and TCP prove besides their own octets: whence, whither, what (RFC 768, RFC 9293 3.1, RFC 8200 8.1)."""
    ends = ip_address(source).packed + ip_address(target).packed
    if len(ends) == 8:
        return ends + struct.pack("!BBH", 0, protocol, length)
    return ends + struct.pack("!IHBB", length, 0, 0, protocol)
