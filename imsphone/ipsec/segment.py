"""The TCP segment inside an ESP packet (RFC 9293 3.1): only its ports matter here, the rest is the TCP's at either end.

source port │ target port │ sequence │ acknowledged │ offset, flags │ window │ checksum │ urgent │ options │ data

On a real network the kernel's own TCP writes and reads segments. In virtual time a message crosses whole, in one
segment with the least of a header.
"""

from __future__ import annotations

import struct

from imsphone.ipsec.checksum import checksum, pseudo_header
from imsphone.machine import Address

TCP = 6
_HEAD = struct.Struct("!HHIIBBHHH")
_PORTS = struct.Struct("!HH")
_CHECKSUM_AT = 16
_PUSH_ACK = 0x18


def ports(segment: bytes) -> tuple[int, int] | None:
    """The source and the target port, None where this is too short for a segment."""
    return _PORTS.unpack_from(segment) if len(segment) >= _HEAD.size else None


def carries_data(segment: bytes) -> bool:
    """Whether there is anything in it but TCP's own business."""
    return len(segment) >= _HEAD.size and len(segment) > (segment[12] >> 4) * 4


def write(source: Address, target: Address, data: bytes) -> bytes:
    """A segment that carries a whole message."""
    bare = _HEAD.pack(source.port, target.port, 0, 0, _HEAD.size // 4 << 4, _PUSH_ACK, 0xFFFF, 0, 0) + data
    proof = checksum(pseudo_header(source.host, target.host, TCP, len(bare)) + bare)
    return bare[:_CHECKSUM_AT] + struct.pack("!H", proof) + bare[_CHECKSUM_AT + 2 :]


def read(source_host: str, target_host: str, segment: bytes) -> bytes | None:
    """The data in a segment between these hosts; None where its header or its checksum is wrong."""
    if len(segment) < _HEAD.size:
        return None
    offset = (segment[12] >> 4) * 4
    if not _HEAD.size <= offset <= len(segment):
        return None
    if checksum(pseudo_header(source_host, target_host, TCP, len(segment)) + segment):
        return None
    return segment[offset:]
