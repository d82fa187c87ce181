"""The window that lets each packet in once (RFC 4303 3.4.3).

          left of it: too old            inside: once each            right of it: new, the window moves
    ───────────────────────────┤ 1 0 1 1 0 1 1 1 1 1 1 1 1 1 1 1 ├──────────────────────────▶ sequence numbers
                                highest - size + 1       highest

The number is looked up before the packet's integrity is checked, which is cheap, and marked only after, for a forged
packet must not push the window on.
"""

from __future__ import annotations

WINDOW = 64
_HIGHEST = (1 << 32) - 1


class ReplayWindow:
    """Which of the newest `size` sequence numbers have been seen."""

    def __init__(self, size: int = WINDOW) -> None:
        self.highest = 0
        self._size = size
        self._seen = 0  # bit n: highest - n was seen

    def admits(self, sequence: int) -> bool:
        """Whether a packet of this number may still come in. 0 is never sent (RFC 4303 3.3.3)."""
        if not 0 < sequence <= _HIGHEST:
            return False
        behind = self.highest - sequence
        return behind < 0 or (behind < self._size and not self._seen >> behind & 1)

    def mark(self, sequence: int) -> None:
        """A packet of this number that `admits` let through has proven itself."""
        ahead = sequence - self.highest
        if ahead > 0:
            self._seen = (self._seen << min(ahead, self._size) | 1) & ((1 << self._size) - 1)
            self.highest = sequence
        else:
            self._seen |= 1 << -ahead
