"""A capture file out of messages: the IP, UDP and TCP headers that carried them are written as they must have been.

    crossing ──▶ UDP: one packet                    ┐
             └─▶ TCP: SYN, SYN ACK, ACK, segments   ├──▶ IPv4 or IPv6 header ──▶ Enhanced Packet Block
                 with running sequence numbers      ┘                           + comment "alice → p-cscf: INVITE (SDP)"

A trace holds messages, not packets, so the headers are made up; but every length and checksum is right and TCP numbers
run on as in life, so that Wireshark reassembles streams and follows SIP to SDP to RTP. Times are the trace's, in
microseconds (a float of seconds since 1970 tells no finer). Nodes' names go into a Name Resolution Block.

Format: draft-ietf-opsawg-pcapng. Link type 101 (raw): each packet starts with its IP header.
"""

from __future__ import annotations

import ipaddress
import itertools
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from imsphone.label import label_of
from imsphone.machine import Address

if TYPE_CHECKING:
    from imsphone.trace import Crossing

_SECTION, _INTERFACE, _NAMES, _PACKET = 0x0A0D0D0A, 1, 4, 6
_RAW = 101
_COMMENT, _TIME_RESOLUTION, _APPLICATION = 1, 9, 4
_NRB_IPV4, _NRB_IPV6 = 1, 2
_UDP, _TCP, _ESP = 17, 6, 50
_SYN, _ACK, _PUSH = 0x02, 0x10, 0x08
_SEGMENT_BYTES = 60_000  # loopback's MTU is 65,536
_MOST_UDP_BYTES = 65_507
_WINDOW = 65_535
_TTL = 64

End = tuple[bytes, int]  # packed host, port


def capture(crossings: Iterable[Crossing]) -> bytes:
    """A whole pcapng file. A message between hosts that are no IP literals of one family is left out."""
    messages = tuple(crossings)
    blocks = [
        _block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options((_APPLICATION, b"imsphone"))),
        _block(_INTERFACE, struct.pack("<HHI", _RAW, 0, 0) + _options((_TIME_RESOLUTION, b"\x06"))),
    ]
    if names := _names(messages):
        blocks.append(_block(_NAMES, names))
    packets = _Packets()
    for message in messages:
        microseconds = max(0, round(message.at * 1e6))
        for packet, is_message in packets.of(message):
            fixed = struct.pack(
                "<IIIII", 0, microseconds >> 32 & 0xFFFFFFFF, microseconds & 0xFFFFFFFF, len(packet), len(packet)
            )
            comment = _options((_COMMENT, _comment(message).encode())) if is_message else b""
            blocks.append(_block(_PACKET, fixed + _padded(packet) + comment))
    return b"".join(blocks)


def _comment(message: Crossing) -> str:
    sender = message.sent.who if message.sent else str(message.source)
    receiver = message.received.who if message.received else str(message.target)
    return f"{sender} → {receiver}: {_label(message)}" + (" (lost)" if message.is_lost else "")


def _label(message: Crossing) -> str:
    return label_of(message.record.data, message.record.protocol) + message.record.cover


def _names(messages: Iterable[Crossing]) -> bytes:
    """Records of a Name Resolution Block: every host that belongs to one traced node only."""
    owners: dict[str, set[str]] = {}
    for message in messages:
        for record in (message.sent, message.received):
            if record is not None:
                owners.setdefault(record.flow.local.host, set()).add(record.who)
    records = b""
    for host, names in owners.items():
        packed = _packed(host)
        if packed and len(names) == 1 and (name := names.pop().encode().replace(b"\0", b"")):
            kind = _NRB_IPV4 if len(packed) == 4 else _NRB_IPV6
            value = packed + name[:255] + b"\0"
            records += struct.pack("<HH", kind, len(value)) + _padded(value)
    return records + bytes(4) if records else b""


class _Packets:
    """Makes the packets of one capture; remembers each TCP connection's sequence numbers."""

    def __init__(self) -> None:
        self._next: dict[tuple[End, End], int] = {}  # what the sender's next octet is numbered
        self._identification = itertools.count(1)

    def of(self, message: Crossing) -> Iterator[tuple[bytes, bool]]:
        """(packet, is it the last one of the message) in their order."""
        source, target = _end(message.source), _end(message.target)
        if source is None or target is None or len(source[0]) != len(target[0]):
            return
        data = message.record.data
        if message.record.flow.transport == "ESP":
            yield self._bare_packet(_ESP, source, target, data), True
            return
        if message.record.flow.transport == "UDP":
            head = struct.pack("!HHHH", source[1], target[1], 8 + len(data[:_MOST_UDP_BYTES]), 0)
            yield self._packet(_UDP, source, target, head, data[:_MOST_UDP_BYTES], checksum_at=6), True
            return
        if message.record.protocol == "DNS":
            data = struct.pack("!H", len(data) & 0xFFFF) + data  # RFC 1035 4.2.2
        if (source, target) not in self._next:
            yield from ((packet, False) for packet in self._handshake(source, target))
        for start in range(0, len(data), _SEGMENT_BYTES):
            end = start + _SEGMENT_BYTES
            yield self._segment(source, target, _PUSH | _ACK, data[start:end]), end >= len(data)

    def _handshake(self, client: End, server: End) -> Iterator[bytes]:
        self._next[client, server], self._next[server, client] = 1000, 5000
        yield self._segment(client, server, _SYN)
        yield self._segment(server, client, _SYN | _ACK)
        yield self._segment(client, server, _ACK)

    def _segment(self, source: End, target: End, flags: int, data: bytes = b"") -> bytes:
        sequence = self._next[source, target]
        acknowledged = self._next[target, source] if flags & _ACK else 0
        self._next[source, target] = (sequence + len(data) + bool(flags & _SYN)) & 0xFFFFFFFF
        head = struct.pack("!HHIIBBHHH", source[1], target[1], sequence, acknowledged, 5 << 4, flags, _WINDOW, 0, 0)
        return self._packet(_TCP, source, target, head, data, checksum_at=16)

    def _packet(self, protocol: int, source: End, target: End, head: bytes, data: bytes, *, checksum_at: int) -> bytes:
        body = head + data
        if len(source[0]) == 4:
            pseudo = struct.pack("!4s4sBBH", source[0], target[0], 0, protocol, len(body))
        else:
            pseudo = struct.pack("!16s16sII", source[0], target[0], len(body), protocol)
        checksum = _checksum(pseudo + body) or 0xFFFF  # RFC 768: 0 would say that there is none
        body = body[:checksum_at] + struct.pack("!H", checksum) + body[checksum_at + 2 :]
        return self._bare_packet(protocol, source, target, body)

    def _bare_packet(self, protocol: int, source: End, target: End, body: bytes) -> bytes:
        if len(source[0]) == 16:
            return struct.pack("!IHBB16s16s", 6 << 28, len(body), protocol, _TTL, source[0], target[0]) + body
        number = next(self._identification) & 0xFFFF
        ip = struct.pack(
            "!BBHHHBBH4s4s",
            *(0x45, 0, 20 + len(body), number, 0x4000, _TTL, protocol, 0),
            *(source[0], target[0]),
        )
        return ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:] + body


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071). 2^16 is 1 modulo 65535, so the whole may be summed as one big number."""
    total = int.from_bytes(data + bytes(len(data) % 2), "big")
    return ~(total % 0xFFFF or (0xFFFF if total else 0)) & 0xFFFF


@lru_cache(maxsize=1024)
def _packed(host: str) -> bytes | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).packed
    except ValueError:
        return None


def _end(address: Address) -> End | None:
    packed = _packed(address.host)
    return (packed, address.port) if packed and 0 <= address.port <= 0xFFFF else None


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _options(*options: tuple[int, bytes]) -> bytes:
    written = b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options)
    return written + bytes(4)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
