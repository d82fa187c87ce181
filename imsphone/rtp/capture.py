"""What a packet capture holds, down to the UDP datagrams: pcap and pcapng, as tcpdump and Wireshark write them.

    file ──▶ frames: time, link type, octets ──▶ link header ──▶ IPv4, IPv6 ──▶ UDP ──▶ Datagram

A pcap file is one header and then records; a pcapng file is blocks, each with its type and its length twice, where an
Interface Description Block says how the packets behind it begin (link type) and how their time counts:

    pcap    │ magic version … snaplen link │ seconds fraction kept length │ frame │ …
    pcapng  │ type length │ body … │ length │     0x0A0D0D0A section, 1 interface, 6 packet, 2 packet (obsolete)

Both are in the byte order of the machine that wrote them, told by a magic number. What is not UDP over IP is passed
over, so are fragments of IP packets, which no phone sends; what breaks the file's own format is a ParseError.

Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, the link types' registry (draft-ietf-opsawg-pcaplinktype).
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from imsphone.errors import ParseError
from imsphone.machine import Address

# magic, as the file begins → byte order, nanoseconds a unit of the fraction
_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_TIME_RESOLUTION, _TIME_OFFSET = 9, 14
_BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_MOST_BYTES = 1 << 24
"""No packet is longer: a length above it is a broken file."""

_ETHERNET, _IPV4, _IPV6 = 1, 228, 229
_NULL, _LOOP = 0, 108
_RAW = (12, 14, 101)
_COOKED, _COOKED_2 = 113, 276
_ETHERTYPES = (0x0800, 0x86DD)
_VLAN = (0x8100, 0x88A8, 0x9100)
_LINK_NAMES = {105: "IEEE 802.11", 127: "IEEE 802.11 with radiotap", 195: "IEEE 802.15.4", 189: "USB", 220: "USB"}
_UDP = 17
_MORE_HEADERS = (0, 43, 60)  # IPv6: hop-by-hop options, routing, destination options (RFC 8200 4)


class Datagram(NamedTuple):
    """A UDP datagram as it was captured; `at_ns` since 1970. `missing_bytes` of its payload were not kept."""

    at_ns: int
    source: Address
    target: Address
    data: bytes
    missing_bytes: int = 0


class _Frame(NamedTuple):
    at_ns: int
    link: int
    data: bytes


def is_capture(data: bytes) -> bool:
    """Whether a file that begins so is a capture."""
    return data[:4] in _PCAP or data[:4] == _PCAPNG


def datagrams(data: bytes) -> Iterator[Datagram]:
    """The UDP datagrams of a whole capture file in its order. Raises ParseError, also in the middle."""
    if not is_capture(data):
        raise ParseError("a pcap or pcapng file")
    for frame in _pcapng(data) if data[:4] == _PCAPNG else _pcap(data):
        packet = _ip_of(frame.link, frame.data)
        if packet is not None and (datagram := _datagram(frame.at_ns, packet)) is not None:
            yield datagram


# Files --------------------------------------------------------------------------------------------------------------


def _pcap(data: bytes) -> Iterator[_Frame]:
    order, unit_ns = _PCAP[data[:4]]
    if len(data) < 24:
        raise ParseError("the 24 octets of a pcap header", len(data))
    (link,) = struct.unpack_from(f"{order}I", data, 20)
    link &= 0xFFFF  # above: the length of the frame check sequence
    _refuse_unknown(link, 20)
    record = struct.Struct(f"{order}IIII")
    at = 24
    while at < len(data):
        if at + 16 > len(data):
            raise ParseError("the header of a packet, but the file ends", at)
        seconds, fraction, kept, _ = record.unpack_from(data, at)
        frame = _piece(data, at + 16, kept, len(data))
        yield _Frame(seconds * 10**9 + fraction * unit_ns, link, frame)
        at += 16 + kept


class _Interface(NamedTuple):
    link: int
    units_a_second: int
    offset_s: int

    def ns(self, units: int) -> int:
        """A time stamp of this interface in nanoseconds since 1970."""
        return units * 10**9 // self.units_a_second + self.offset_s * 10**9


def _pcapng(data: bytes) -> Iterator[_Frame]:
    order = "<"
    interfaces: list[_Interface] = []
    at = 0
    while at < len(data):
        if at + 12 > len(data):
            raise ParseError("a block, but the file ends", at)
        if data[at : at + 4] == _PCAPNG:  # reads the same in both byte orders; what is behind it does not
            if (magic := data[at + 8 : at + 12]) not in _BYTE_ORDER:
                raise ParseError("the byte-order magic of a section", at + 8)
            order, interfaces = _BYTE_ORDER[magic], []
        kind, length = struct.unpack_from(f"{order}II", data, at)
        if length < 12 or length % 4:
            raise ParseError("the length of a block", at + 4)
        end = at + length
        if end > len(data):
            raise ParseError(f"a block of {length:,} octets, but the file ends", at)
        if kind == _INTERFACE:
            interfaces.append(_interface(data, at + 8, end - 4, order))
        elif kind in (_PACKET, _OLD_PACKET):
            yield _packet_block(data, at + 8, end - 4, order, interfaces, is_old=kind == _OLD_PACKET)
        elif kind == _SIMPLE_PACKET:
            raise ParseError("time stamps (a Simple Packet Block has none)", at)
        at = end


def _interface(data: bytes, at: int, end: int, order: str) -> _Interface:
    if at + 8 > end:
        raise ParseError("an interface", at)
    (link,) = struct.unpack_from(f"{order}H", data, at)
    units, offset_s = 10**6, 0
    at += 8
    while at + 4 <= end:
        code, length = struct.unpack_from(f"{order}HH", data, at)
        if at + 4 + length > end:
            raise ParseError("an option that fits into its block", at)
        value = data[at + 4 : at + 4 + length]
        if code == _TIME_RESOLUTION and length == 1:
            units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == _TIME_OFFSET and length == 8:
            (offset_s,) = struct.unpack(f"{order}q", value)
        at += 4 + length + -length % 4
    return _Interface(link, units, offset_s)


def _packet_block(data: bytes, at: int, end: int, order: str, interfaces: list[_Interface], *, is_old: bool) -> _Frame:
    if at + 20 > end:
        raise ParseError("the head of a packet", at)
    number, high, low, kept, _ = struct.unpack_from(f"{order}H2xIIII" if is_old else f"{order}IIIII", data, at)
    if number >= len(interfaces):
        raise ParseError(f"a description of interface {number}", at)
    interface = interfaces[number]
    _refuse_unknown(interface.link, at)
    return _Frame(interface.ns(high << 32 | low), interface.link, _piece(data, at + 20, kept, end))


def _piece(data: bytes, at: int, size: int, end: int) -> bytes:
    if size > _MOST_BYTES:
        raise ParseError("the length of a packet", at)
    if at + size > end:
        raise ParseError(f"a packet of {size:,} octets, but the file ends", at)
    return data[at : at + size]


def _refuse_unknown(link: int, at: int) -> None:
    if link not in (_ETHERNET, _IPV4, _IPV6, _NULL, _LOOP, *_RAW, _COOKED, _COOKED_2):
        name = _LINK_NAMES.get(link, f"link type {link}")
        raise ParseError(f"Ethernet, Linux cooked, loopback or raw IP and not {name}", at)


# Packets ------------------------------------------------------------------------------------------------------------


def _ip_of(link: int, frame: bytes) -> bytes | None:
    """The IP packet in a frame; None where there is none."""
    if link in (_IPV4, _IPV6, *_RAW):
        return frame
    if link in (_NULL, _LOOP):
        return frame[4:]  # the address family before it differs between systems; the packet tells its version itself
    at = {_ETHERNET: 12, _COOKED: 14, _COOKED_2: 0}[link]
    while int.from_bytes(frame[at : at + 2]) in _VLAN:
        at += 4
    if int.from_bytes(frame[at : at + 2]) not in _ETHERTYPES:
        return None
    return frame[20:] if link == _COOKED_2 else frame[at + 2 :]


def _datagram(at_ns: int, packet: bytes) -> Datagram | None:
    if not packet:
        return None
    if packet[0] >> 4 == 4:
        at = 4 * (packet[0] & 15)
        if len(packet) < 20 or at < 20 or packet[9] != _UDP or int.from_bytes(packet[6:8]) & 0x3FFF:
            return None
        source, target = packet[12:16], packet[16:20]
    elif packet[0] >> 4 == 6 and len(packet) >= 40:
        kind, at = packet[6], 40
        while kind in _MORE_HEADERS and at + 2 <= len(packet):
            kind, at = packet[at], at + 8 * (packet[at + 1] + 1)
        if kind != _UDP:
            return None
        source, target = packet[8:24], packet[24:40]
    else:
        return None
    if len(packet) < at + 8:
        return None
    from_port, to_port, length = struct.unpack_from("!HHH", packet, at)
    if length < 8:
        return None
    data = packet[at + 8 : at + length]
    return Datagram(
        at_ns, Address(_host(source), from_port), Address(_host(target), to_port), data, length - 8 - len(data)
    )


@lru_cache(maxsize=1024)
def _host(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))
