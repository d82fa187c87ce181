"""Packets that wait for their turn, in the order of their timestamps.

    insert ──▶ [ 160 ][ 320 ]      [ 640 ][ 800 ] ◀── latest           (timestamps; 480 is lost or on its way)
                  └─ first ──▶ the next to be decoded

Timestamps and sequence numbers are unrolled: they do not wrap. What the peer can send without end is bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from imsphone.rtp.packet import Packet

MOST_PACKETS = 256


class Waiting(NamedTuple):
    """A packet, its numbers unrolled, and how many samples it holds."""

    timestamp: int
    sequence: int
    samples: int
    packet: Packet


class PacketBuffer:
    """The packets of one stream, at most `MOST_PACKETS`."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> Waiting | None:
        """The next in turn."""
        return self._waiting[0] if self._waiting else None

    @property
    def samples(self) -> int:
        """How much sound waits here."""
        return sum(waiting.samples for waiting in self._waiting)

    def insert(self, waiting: Waiting) -> bool:
        """Puts a packet in its place; False where that timestamp is taken or the buffer is full."""
        at = bisect_left(self._waiting, waiting.timestamp, key=lambda other: other.timestamp)
        if len(self._waiting) >= MOST_PACKETS:
            return False
        if at < len(self._waiting) and self._waiting[at].timestamp == waiting.timestamp:
            return False
        self._waiting.insert(at, waiting)
        return True

    def pop(self) -> Waiting:
        """Takes the first."""
        return self._waiting.pop(0)

    def clear(self) -> None:
        """Forgets everything."""
        self._waiting.clear()
