"""The RTP streams among datagrams that nobody announced.

A capture may begin after the SDP that says where the media goes, so a stream is known by its looks: RTP version 2, no
RTCP, one SSRC from one address to another, and sequence numbers of which most follow the one before. Others that share
the first two bits (TURN channels, DNS by chance) do not keep to that.

        datagrams ──▶ by (SSRC, source, target) ──▶ those that count up ──▶ the longest first
                                                 └▶ a restart (RFC 3550 A.1) begins another stream

RFC 3550 A.1 calls it a restart where a sequence number lies more than 3,000 ahead or 100 behind the highest, and the
next packet follows it directly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from imsphone.errors import ParseError
from imsphone.machine import Address
from imsphone.rtp.capture import Datagram
from imsphone.rtp.packet import Packet, is_rtcp, parse

FEWEST_PACKETS = 4
MAX_DROPOUT, MAX_MISORDER = 3000, 100

_Key = tuple[int, Address, Address]


@dataclass(slots=True)
class Stream:
    """Packets of one sender to one receiver, with their arrival stamps (ns), in the order of the capture."""

    ssrc: int
    source: Address
    target: Address
    packets: list[tuple[int, Packet]] = field(default_factory=list)
    cut: int = 0
    """So many packets were not kept whole."""

    def __str__(self) -> str:
        return f"0x{self.ssrc:08X} {self.source} → {self.target}"

    @property
    def payload_types(self) -> list[int]:
        """The payload types in it, the most frequent first."""
        numbers = [packet.payload_type for _, packet in self.packets]
        return sorted(set(numbers), key=numbers.count, reverse=True)

    @property
    def counts_up(self) -> bool:
        """Whether it is long enough, and most packets follow the one before."""
        steps = [(later.sequence - earlier.sequence) & 0xFFFF for (_, earlier), (_, later) in pairwise(self.packets)]
        return len(self.packets) >= FEWEST_PACKETS and 2 * sum(0 < step <= 8 for step in steps) >= len(steps)


def streams(datagrams: Iterable[Datagram]) -> list[Stream]:
    """The streams, the one with most packets first."""
    found: list[Stream] = []
    current: dict[_Key, Stream] = {}
    highest: dict[_Key, int] = {}
    awaited: dict[_Key, int] = {}  # what has to follow a packet far off before it is believed
    for at_ns, source, target, data, missing_bytes in datagrams:
        if is_rtcp(data):
            continue
        try:
            packet = parse(data)
        except ParseError:
            continue
        key = packet.ssrc, source, target
        ahead = (packet.sequence - highest.get(key, packet.sequence) + 0x8000) % 0x10000 - 0x8000
        is_near = -MAX_MISORDER <= ahead <= MAX_DROPOUT
        if not is_near and awaited.get(key) != packet.sequence:
            awaited[key] = (packet.sequence + 1) & 0xFFFF
            continue
        if key not in current or not is_near:
            current[key] = Stream(packet.ssrc, source, target)
            found.append(current[key])
        if ahead > 0 or not is_near or key not in highest:
            highest[key] = packet.sequence
        current[key].packets.append((at_ns, packet))
        current[key].cut += missing_bytes > 0
    return sorted((stream for stream in found if stream.counts_up), key=lambda stream: -len(stream.packets))
