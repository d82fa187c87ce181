"""RTCP (RFC 3550 6): what the two ends of a stream tell each other about it, every five seconds or so.

One datagram is a compound of packets, a report always first:

    [SR: when, how much was sent, blocks][SDES: CNAME][BYE]
                                  │
                                  └ per source heard: lost, jitter, and the way back for the round trip:

    we ──── SR (our clock says n) ────▶ they          LSR  = n
    we ◀─── block (LSR, DLSR) ───────── they          DLSR = how long they sat on it
    round trip = now - LSR - DLSR                     nobody's clock need be right

Times on the wire are NTP's: seconds since 1900 in 32.32 bits, of which reports carry the middle 32. The clock is handed
in as Unix time in nanoseconds. Text is UTF-8; octets that are not travel as surrogate escapes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import NamedTuple

from imsphone.errors import ParseError

_SR, _RR, _SDES, _BYE = 200, 201, 202, 203
CNAME = 1

_HEADER = struct.Struct("!BBH")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")

_NTP_EPOCH_S = 2_208_988_800  # 1 January 1900 to 1 January 1970
_ERA_S = 1 << 32  # NTP seconds wrap in February 2036


def ntp_of(unix_ns: int) -> int:
    """The 64-bit NTP timestamp of a Unix time."""
    seconds, rest_ns = divmod(unix_ns, 1_000_000_000)
    return ((seconds + _NTP_EPOCH_S) << 32 | (rest_ns << 32) // 1_000_000_000) & 0xFFFF_FFFF_FFFF_FFFF


def unix_ns_of(ntp: int) -> int:
    """The Unix time of a 64-bit NTP timestamp. Seconds with the high bit clear are of 2036 and later (RFC 4330 3)."""
    seconds = (ntp >> 32) - _NTP_EPOCH_S + (0 if ntp >> 63 else _ERA_S)
    return seconds * 1_000_000_000 + ((ntp & 0xFFFF_FFFF) * 1_000_000_000 + (1 << 31) >> 32)


def middle_of(ntp: int) -> int:
    """The middle 32 bits: seconds in 16.16 bits, as LSR has them (RFC 3550 4)."""
    return ntp >> 16 & 0xFFFF_FFFF


class ReportBlock(NamedTuple):
    """What a receiver says of one source (RFC 3550 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Since the last report, in 256ths."""
    cumulative_lost: int
    """Since the beginning; negative where duplicates outnumber losses. 24 bits on the wire."""
    highest_sequence: int
    """Extended to 32 bits."""
    jitter: int
    """In units of the RTP clock."""
    lsr: int = 0
    """Middle 32 bits of the last SR's NTP time; 0 where there was none."""
    dlsr: int = 0
    """How long ago that SR came, in 65536ths of a second."""

    def round_trip_s(self, arrival_ns: int) -> float | None:
        """The round trip, where this block is about us and came at this Unix time.

        None where the far end has had no SR from us yet, or its figures cannot be.
        """
        if not self.lsr:
            return None
        ticks = (middle_of(ntp_of(arrival_ns)) - self.lsr - self.dlsr) & 0xFFFF_FFFF
        return ticks / 65536 if ticks < 1 << 31 else None

    def __bytes__(self) -> bytes:
        lost = self.fraction_lost << 24 | self.cumulative_lost & 0xFF_FFFF
        return _BLOCK.pack(self.ssrc, lost, self.highest_sequence, self.jitter, self.lsr, self.dlsr)


class SenderReport(NamedTuple):
    """SR: what we sent, and, in up to 31 blocks, what we heard. `rtp_timestamp` is the stream's clock at `ntp`."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    blocks: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    def __bytes__(self) -> bytes:
        sender = _SENDER.pack(self.ssrc, self.ntp, self.rtp_timestamp, self.packet_count, self.octet_count)
        return _packet(_SR, len(self.blocks), sender + b"".join(map(bytes, self.blocks)) + self.extension)


class ReceiverReport(NamedTuple):
    """RR: the same from somebody who sent nothing of late; without blocks, the empty head of a compound."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    def __bytes__(self) -> bytes:
        body = self.ssrc.to_bytes(4, "big") + b"".join(map(bytes, self.blocks)) + self.extension
        return _packet(_RR, len(self.blocks), body)


class Item(NamedTuple):
    """A line of a source's description: `kind` 1 is the CNAME; the text has at most 255 octets."""

    kind: int
    text: str


class Chunk(NamedTuple):
    """What one source says of itself."""

    ssrc: int
    items: tuple[Item, ...]


class SourceDescription(NamedTuple):
    """SDES: who the sources are."""

    chunks: tuple[Chunk, ...]

    @classmethod
    def named(cls, ssrc: int, cname: str) -> SourceDescription:
        """The CNAME of one source, as each compound must carry it."""
        return cls((Chunk(ssrc, (Item(CNAME, cname),)),))

    def cname_of(self, ssrc: int) -> str | None:
        """The CNAME that this packet gives to a source."""
        items = (item for chunk in self.chunks if chunk.ssrc == ssrc for item in chunk.items)
        return next((item.text for item in items if item.kind == CNAME), None)

    def __bytes__(self) -> bytes:
        body = b""
        for chunk in self.chunks:
            data = chunk.ssrc.to_bytes(4, "big")
            for item in chunk.items:
                text = _octets(item.text)
                data += bytes((item.kind, len(text))) + text
            body += data + bytes(4 - len(data) % 4)  # at least one zero ends the list (RFC 3550 6.5)
        return _packet(_SDES, len(self.chunks), body)


class Bye(NamedTuple):
    """BYE: these sources are leaving. Not for a participant that never sent anything (RFC 3550 6.3.7)."""

    ssrcs: tuple[int, ...]
    reason: str = ""

    def __bytes__(self) -> bytes:
        body = struct.pack(f"!{len(self.ssrcs)}I", *self.ssrcs)
        if self.reason:
            text = _octets(self.reason)
            body += bytes((len(text),)) + text
            body += bytes(-len(body) % 4)
        return _packet(_BYE, len(self.ssrcs), body)


class Unknown(NamedTuple):
    """A packet of a type unknown here (APP, feedback, XR ...); `subtype` is the 5-bit field of its header."""

    packet_type: int
    subtype: int
    body: bytes

    def __bytes__(self) -> bytes:
        return _packet(self.packet_type, self.subtype, self.body)


Rtcp = SenderReport | ReceiverReport | SourceDescription | Bye | Unknown


def compound(packets: Iterable[Rtcp]) -> bytes:
    """One datagram of these packets: a report first, then SDES, BYE last (RFC 3550 6.1)."""
    return b"".join(map(bytes, packets))


def parse(data: bytes) -> tuple[Rtcp, ...]:
    """Read one datagram; the checks are those of RFC 3550 A.2, and each packet must hold what it counts."""
    packets: list[Rtcp] = []
    at = 0
    while at < len(data) or not packets:
        if len(data) - at < 4:
            raise ParseError("an RTCP header", at)
        first, packet_type, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2:
            raise ParseError("RTCP version 2", at)
        if end > len(data):
            raise ParseError(f"{words} words of RTCP packet", at)
        if not packets and (packet_type not in (_SR, _RR) or first & 0x20):
            raise ParseError("a report without padding first", at)
        body = data[at + 4 : end]
        if first & 0x20:
            # RFC 3550 6.4.1: only the last packet has padding, whole words of it
            if end < len(data) or not body or body[-1] % 4 or not 0 < body[-1] <= len(body):
                raise ParseError("padding of whole words, at the very end", end - 1)
            body = body[: -body[-1]]
        packets.append(_read(packet_type, first & 0x1F, body, at))
        at = end
    return tuple(packets)


# When to speak ------------------------------------------------------------------------------------------------------

MINIMUM_S = 5.0
_SENDERS_SHARE = 0.25
_COMPENSATION = math.e - 1.5  # RFC 3550 6.3.1: for what the reconsideration below adds on average
_LOWER_HEADERS_BYTES = 28  # RFC 3550 6.2: UDP and IP count as well; this is IPv4


def interval_s(
    members: int, senders: int, rtcp_bps: int, is_sender: bool, average_bytes: float, is_initial: bool
) -> float:
    """The calculated interval Td, before any randomness (RFC 3550 6.3.1 and A.7). `rtcp_bps` is above 0."""
    share, n = 1.0, members
    if senders <= members * _SENDERS_SHARE:
        share, n = (_SENDERS_SHARE, senders) if is_sender else (1 - _SENDERS_SHARE, members - senders)
    return max(MINIMUM_S / 2 if is_initial else MINIMUM_S, n * average_bytes * 8 / (share * rtcp_bps))


class RtcpSchedule:
    """When to send the next compound, for a session of two (RFC 3550 6.3).

    Each interval is drawn from half to one and a half times the calculated one, so that phones that start together do
    not report together; the draw, a number from 0 to 1, is handed in as `factor`. At `deadline` the owner asks
    `is_due`: a longer draw, or a session that has grown, moves the deadline instead (timer reconsideration). Having
    sent, it says `rtcp_sent`. Times are seconds on the owner's clock. With `rtcp_bps` 0 the deadline is None.
    """

    def __init__(self, now: float, factor: float, *, rtcp_bps: int = 2000, first_bytes: int = 80) -> None:
        """Join at `now`; `first_bytes` is the probable size of our first compound."""
        self.rtcp_bps = rtcp_bps
        self.is_initial = True
        self._average_bytes: float = first_bytes + _LOWER_HEADERS_BYTES
        self._sent_s = self._sent_before_s = now  # the last two reports
        self._rtp_sent_s: float | None = None
        self._rtp_heard_s: float | None = None
        self._heard_s: float | None = None
        self._interval_s = 0.0
        self.deadline: float | None = None
        if rtcp_bps > 0:
            self.deadline = now + self._draw(now, factor)

    @property
    def is_sender(self) -> bool:
        """Has RTP gone out since the report before the last? Then the next one is an SR (RFC 3550 6.4)."""
        return self._rtp_sent_s is not None and self._rtp_sent_s >= self._sent_before_s

    def rtp_sent(self, now: float) -> None:
        """A packet of ours went out."""
        self._rtp_sent_s = now

    def rtp_received(self, now: float) -> None:
        """A packet of theirs came."""
        self._rtp_heard_s = self._heard_s = now

    def rtcp_received(self, size_bytes: int, now: float) -> None:
        """A compound of theirs came."""
        self._heard_s = now
        self._average(size_bytes)

    def bye_received(self) -> None:
        """They left (RFC 3550 6.3.4)."""
        self._rtp_heard_s = self._heard_s = None

    def is_due(self, now: float, factor: float) -> bool:
        """The deadline has come: send a report now? If not, it has moved on (RFC 3550 6.3.6)."""
        if self.deadline is None or now < self.deadline:
            return False
        self.deadline = self._sent_s + self._draw(now, factor)
        return self.deadline <= now

    def rtcp_sent(self, size_bytes: int, now: float, factor: float) -> None:
        """A compound of ours went out."""
        self.is_initial = False
        self._average(size_bytes)
        self._sent_before_s, self._sent_s = self._sent_s, now
        if self.rtcp_bps > 0:
            self.deadline = now + self._draw(now, factor)

    def _average(self, size_bytes: int) -> None:
        self._average_bytes += (size_bytes + _LOWER_HEADERS_BYTES - self._average_bytes) / 16

    def _draw(self, now: float, factor: float) -> float:
        # RFC 3550 6.3.5: a member is gone after five receiver's intervals, a sender after two of ours
        silence_s = 5 * interval_s(2, 0, self.rtcp_bps, False, self._average_bytes, False)
        is_peer = self._heard_s is not None and now - self._heard_s < silence_s
        is_peer_sender = self._rtp_heard_s is not None and now - self._rtp_heard_s < 2 * self._interval_s
        members, senders = 1 + is_peer, self.is_sender + is_peer_sender
        calculated_s = interval_s(members, senders, self.rtcp_bps, self.is_sender, self._average_bytes, self.is_initial)
        self._interval_s = calculated_s * (0.5 + factor) / _COMPENSATION
        return self._interval_s


# Reading and printing -----------------------------------------------------------------------------------------------


def _read(packet_type: int, count: int, body: bytes, at: int) -> Rtcp:
    try:
        if packet_type == _SR:
            blocks, extension = _blocks(body, _SENDER.size, count)
            ssrc, ntp, rtp_timestamp, packet_count, octet_count = _SENDER.unpack_from(body)
            return SenderReport(ssrc, ntp, rtp_timestamp, packet_count, octet_count, blocks, extension)
        if packet_type == _RR:
            blocks, extension = _blocks(body, 4, count)
            return ReceiverReport(int.from_bytes(body[:4], "big"), blocks, extension)
        if packet_type == _SDES:
            return SourceDescription(_chunks(body, count))
        if packet_type == _BYE:
            reason = body[4 * count :]
            if reason and len(reason) <= reason[0]:
                raise IndexError
            return Bye(struct.unpack_from(f"!{count}I", body), _text(reason[1 : 1 + reason[0]]) if reason else "")
    except (struct.error, IndexError):
        raise ParseError(f"{count} whole entries in an RTCP packet of type {packet_type}", at) from None
    return Unknown(packet_type, count, body)


def _blocks(body: bytes, start: int, count: int) -> tuple[tuple[ReportBlock, ...], bytes]:
    end = start + _BLOCK.size * count
    if len(body) < end:
        raise IndexError
    blocks = []
    for ssrc, lost, highest, jitter, lsr, dlsr in _BLOCK.iter_unpack(body[start:end]):
        cumulative = (lost & 0xFF_FFFF ^ 0x80_0000) - 0x80_0000
        blocks.append(ReportBlock(ssrc, lost >> 24, cumulative, highest, jitter, lsr, dlsr))
    return tuple(blocks), body[end:]


def _chunks(body: bytes, count: int) -> tuple[Chunk, ...]:
    chunks = []
    at = 0
    for _ in range(count):
        (ssrc,) = struct.unpack_from("!I", body, at)
        at += 4
        items = []
        while at < len(body) and body[at]:
            end = at + 2 + body[at + 1]
            if end > len(body):
                raise IndexError
            items.append(Item(body[at], _text(body[at + 2 : end])))
            at = end
        at += 4 - at % 4  # past the zero that ends the list, to the next word
        chunks.append(Chunk(ssrc, tuple(items)))
    return tuple(chunks)


def _packet(packet_type: int, count: int, body: bytes) -> bytes:
    if count > 31:
        raise ValueError(f"{count} entries are too many for one RTCP packet, which holds 31: send a second packet")
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
