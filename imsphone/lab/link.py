"""A link that loses, delays, reorders and doubles packets, the same way in every run.

    now ──▶ lost? ──▶ delay + jitter ──▶ behind the packet before ──▶ twice? ──▶ arrival times
            Gilbert–Elliott  exponential      (unless reordered)

**Loss** comes in bursts on real links, so it is a chain of two states (Gilbert 1960, Elliott 1963): in the good state
every packet passes, in the bad one none does. `loss` is the share lost in the long run and `burst` the mean number of
packets lost in a row; from these the two transition probabilities follow. With `burst` 1 each packet is lost or not by
itself.

**Jitter** is queueing: a packet waits an exponentially distributed time with mean `jitter_ms` on top of `delay_ms`, cut
at five times the mean. Independent waits of that kind differ by `jitter_ms` on the average, and to that a receiver's
RFC 3550 estimate tends while packets are farther apart than the jitter. A queue keeps the order: a packet never arrives
before the one sent ahead of it, so packets closer together than the jitter arrive in clumps and the estimate stays
below. Only the share `reorder` is held back behind its followers, by 20 to 60 ms.

Nothing here asks the clock or the operating system; `seed` alone decides (SplitMix64, Steele and others 2014).
"""

from __future__ import annotations

import math
from typing import Final

_MASK: Final = (1 << 64) - 1
_JITTER_CUT: Final = 5.0
_HELD_BACK_MS: Final = (20.0, 60.0)
_COPY_AFTER_MS: Final = 1.0
_TCP_REPEAT_S: Final = 0.2  # the least that Linux waits (TCP_RTO_MIN)
_TCP_TRIES: Final = 8


class Link:
    """One direction of a link.

    `loss`, `reorder` and `duplicate` are shares from 0 to 1, `burst` is the mean length of a loss in packets (1 and
    more). Raises ValueError where a figure is out of its range.
    """

    def __init__(
        self,
        *,
        loss: float = 0.0,
        burst: float = 1.0,
        delay_ms: float = 1.0,
        jitter_ms: float = 0.0,
        reorder: float = 0.0,
        duplicate: float = 0.0,
        seed: int = 0,
    ) -> None:
        for name, share in (("loss", loss), ("reorder", reorder), ("duplicate", duplicate)):
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} is {share}; it is a share from 0 to 1 (3 % is 0.03)")
        for name, duration_ms in (("delay_ms", delay_ms), ("jitter_ms", jitter_ms)):
            if not 0.0 <= duration_ms < math.inf:
                raise ValueError(f"{name} is {duration_ms}; it is a time in milliseconds, 0 or more")
        if burst < 1.0:
            raise ValueError(f"burst is {burst}; it is the mean number of packets lost in a row, 1 or more")
        self.loss = loss
        self.burst = burst
        self.delay_ms = delay_ms
        self.jitter_ms = jitter_ms
        self.reorder = reorder
        self.duplicate = duplicate
        self.seed = seed
        self._state = seed & _MASK
        self._is_bad = False
        self._behind = -math.inf
        if burst > 1.0 and loss < 1.0:
            # the chain's share of bad time is p/(p+r) = loss, its mean stay in the bad state 1/r = burst
            self._to_good = 1.0 / burst
            self._to_bad = min(1.0, self._to_good * loss / (1.0 - loss))
        else:
            self._to_good = 1.0 - loss
            self._to_bad = loss

    def twin(self, number: int = 1) -> Link:
        """A link with the same figures and another fate, for the way back or for the next pair of hosts."""
        return Link(
            loss=self.loss,
            burst=self.burst,
            delay_ms=self.delay_ms,
            jitter_ms=self.jitter_ms,
            reorder=self.reorder,
            duplicate=self.duplicate,
            seed=self.seed + number * 0x5851F42D4C957F2D,
        )

    def carry(self, now: float) -> list[float]:
        """When the copies of a packet sent at `now` (seconds) arrive: none if it is lost, two if it is doubled."""
        if self.loss:
            self._is_bad = self._chance() < (1.0 - self._to_good if self._is_bad else self._to_bad)
            if self._is_bad:
                return []
        wait_ms = self.delay_ms
        if self.jitter_ms:
            wait_ms += self.jitter_ms * min(_JITTER_CUT, -math.log(1.0 - self._chance()))
        at = max(now + wait_ms / 1000, self._behind)
        if self.reorder and self._chance() < self.reorder:
            shortest_ms, longest_ms = _HELD_BACK_MS
            at += (shortest_ms + (longest_ms - shortest_ms) * self._chance()) / 1000
        else:
            self._behind = at
        if self.duplicate and self._chance() < self.duplicate:
            return [at, at + _COPY_AFTER_MS / 1000]
        return [at]

    def carry_surely(self, now: float) -> float | None:
        """When TCP has got a message across: each loss costs a repeat after 200 ms; None where eight in a row are lost.

        Keeping the order of a connection is the caller's part: this packet may have been held up, the next not.
        """
        for repeats in range(_TCP_TRIES):
            copies = self.carry(now + repeats * _TCP_REPEAT_S)
            if copies:
                return copies[0]
        return None

    def _chance(self) -> float:
        """A number from 0 up to, not including, 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _MASK
        return ((z ^ z >> 31) >> 11) * 2.0**-53
