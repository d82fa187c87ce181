"""The UDP datagram inside an ESP packet (RFC 768), for whoever has no kernel to write it.

source port │ target port │ length │ checksum over the IP addresses, 17, the length and all of this │ data
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import NamedTuple

from imsphone.machine import Address

UDP = 17
_HEAD = struct.Struct("!HHHH")


class Datagram(NamedTuple):
    """A datagram by its ports; the hosts are the IP packet's."""

    source_port: int
    target_port: int
    data: bytes


def write(source: Address, target: Address, data: bytes) -> bytes:
    """The datagram with its checksum, which IPv6 insists on and IPv4 likes (RFC 8200 8.1)."""
    length = _HEAD.size + len(data)
    bare = _HEAD.pack(source.port, target.port, length, 0) + data
    checksum = _checksum(_pseudo(source.host, target.host, length) + bare) or 0xFFFF
    return bare[:6] + struct.pack("!H", checksum) + data


def read(source_host: str, target_host: str, payload: bytes) -> Datagram | None:
    """The datagram in a payload between these hosts; None where its length or its checksum is wrong."""
    if len(payload) < _HEAD.size:
        return None
    source_port, target_port, length, checksum = _HEAD.unpack_from(payload)
    if not _HEAD.size <= length <= len(payload):
        return None
    payload = payload[:length]
    # a kernel that hands the checksum to its network card, or to nobody, leaves 0 in IPv4
    if checksum and _checksum(_pseudo(source_host, target_host, length) + payload):
        return None
    return Datagram(source_port, target_port, payload[_HEAD.size :])


def _pseudo(source: str, target: str, length: int) -> bytes:
    ends = ip_address(source).packed + ip_address(target).packed
    return ends + (struct.pack("!BBH", 0, UDP, length) if len(ends) == 8 else struct.pack("!IHBB", length, 0, 0, UDP))


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071); 2^16 is 1 modulo 65535, so the whole may be summed as one big number."""
    total = int.from_bytes(data + bytes(len(data) % 2), "big")
    return ~(total % 0xFFFF or (0xFFFF if total else 0)) & 0xFFFF
