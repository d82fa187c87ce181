"""The UDP datagram inside an ESP packet (RFC 768), for whoever has no kernel to write it.

source port │ target port │ length │ checksum over the IP addresses, 17, the length and all of this │ data
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from imsphone.ipsec.checksum import checksum, pseudo_header
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
    proof = checksum(pseudo_header(source.host, target.host, UDP, length) + bare) or 0xFFFF
    return bare[:6] + struct.pack("!H", proof) + data


def read(source_host: str, target_host: str, payload: bytes) -> Datagram | None:
    """The datagram in a payload between these hosts; None where its length or its checksum is wrong."""
    if len(payload) < _HEAD.size:
        return None
    source_port, target_port, length, proof = _HEAD.unpack_from(payload)
    if not _HEAD.size <= length <= len(payload):
        return None
    payload = payload[:length]
    # a kernel that hands the checksum to its network card, or to nobody, leaves 0 in IPv4
    if proof and checksum(pseudo_header(source_host, target_host, UDP, length) + payload):
        return None
    return Datagram(source_port, target_port, payload[_HEAD.size :])
