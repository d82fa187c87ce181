"""Counters that wrap: 16-bit sequence numbers and 32-bit timestamps, unrolled into numbers that only grow.

A number on the wire is the low end of a longer one. Whichever long number with that low end lies nearest to the highest
so far is meant, so reordering around a wrap does no harm:

    wire       65534  65535      1      0      2
    unrolled   65534  65535  65537  65536  65538
                              (1 overtook 0)

A sender that restarts picks a new random number. Only two packets in a row can tell that from a stray (RFC 3550 A.1,
see `rtp.reception`); whoever knows says `restart`, and the count goes on upwards.
"""

from __future__ import annotations


class Unrolled:
    """One counter of `bits` bits: 16 for sequence numbers, 32 for timestamps.

    `highest` is the highest unrolled number so far, None before the first. What came before the very first number
    unrolls below it, and so may be negative.
    """

    __slots__ = ("_half", "_mask", "highest")

    def __init__(self, bits: int) -> None:
        self._mask = (1 << bits) - 1
        self._half = 1 << (bits - 1)
        self.highest: int | None = None

    def unroll(self, number: int) -> int:
        """The long number that `number` on the wire stands for."""
        highest = self.highest
        if highest is None:
            self.highest = number
            return number
        ahead = (number - highest) & self._mask
        if ahead < self._half:
            self.highest = highest + ahead
            return highest + ahead
        return highest + ahead - self._mask - 1

    def restart(self, number: int) -> int:
        """The sender began anew at `number`, which now stands for the next long number with this low end."""
        highest = self.highest
        self.highest = number if highest is None else highest + 1 + ((number - highest - 1) & self._mask)
        return self.highest
