"""Packets that wait for their turn, in the order of their timestamps.

    insert ──▶ [ 160 ][ 320 ]      [ 640 ][ 800 ] ◀── latest           (timestamps; 480 is lost or on its way)
                  └─ first ──▶ the next to be decoded

RTP's timestamp has 32 bits and its sequence number 16; here both go on for ever: a number belongs to the turn in which
it lies nearest to the last one. What the peer can send without end is bounded: packets, and how far apart they lie.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from imsphone.rtp.packet import Packet

MOST_PACKETS = 256


class Waiting(NamedTuple):
    """A packet with its timestamp extended over the wrap and its length, both in samples."""

    timestamp: int
    samples: int
    packet: Packet


class Unwrapped:
    """Extends a number of `bits` bits by how often it wrapped."""

    def __init__(self, bits: int) -> None:
        self._turn = 1 << bits
        self._last: int | None = None

    def peek(self, number: int) -> int:
        """What `follow` would say, without following."""
        if self._last is None:
            return number
        half = self._turn >> 1
        return self._last + (number - self._last + half) % self._turn - half

    def follow(self, number: int) -> int:
        """The extended number; the next one is taken as near to this one."""
        self._last = self.peek(number)
        return self._last


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
