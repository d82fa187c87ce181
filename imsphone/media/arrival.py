"""When packets came, on two rulers.

The buffer acts only when it is pulled, every 10 ms of the sound card. So what decides whether a packet is in time is
the *pull* before which it was there; that ruler needs no clock, and drift between the two ends is simply measured:

    pulls        k-1         k          k+1         k+2
    ─────────────┼───────────┼───────────┼───────────┼──▶      waited = 10 ms * k+1  - the packet's timestamp
    packets             ▲ comes here and can be used first at pull k+1

The other ruler is the arrival stamp of the kernel, in nanoseconds: it says to the millisecond how long sound waited
above the fastest packet, which is the figure to report. Both keep a window of the last packets and nothing else.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

PULL_MS = 10.0
WINDOW = 512
"""Packets that are remembered: 10 s of 20 ms packets."""

Milliseconds = npt.NDArray[np.float64]


class Arrivals:
    """The arrivals of one stream, timestamps in milliseconds of the stream."""

    def __init__(self) -> None:
        self.pulls = 0
        """Pulls so far, hence the number of the next one."""
        self.count = 0
        """Packets noted so far."""
        self._waited = np.zeros(WINDOW)
        self._transit = np.zeros(WINDOW)
        self._phase = np.zeros(WINDOW)
        self._epoch_ns = 0
        self._first_pull = 0

    def note(self, timestamp_ms: float, arrival_ns: int) -> None:
        """A packet came: its first sample's time in the stream and its arrival stamp."""
        if not self.count:
            self._epoch_ns, self._first_pull = arrival_ns, self.pulls
        arrival_ms = (arrival_ns - self._epoch_ns) / 1e6
        at = self.count % WINDOW
        self._waited[at] = self.delay_ms(timestamp_ms)
        self._transit[at] = arrival_ms - timestamp_ms
        self._phase[at] = arrival_ms - PULL_MS * self.pulls
        self.count += 1

    def delay_ms(self, timestamp_ms: float) -> float:
        """How late the next pull is for that time in the stream, on the ruler of pulls (whose zero is arbitrary)."""
        return PULL_MS * self.pulls - timestamp_ms

    @property
    def age_ms(self) -> float:
        """How long ago the first packet came, in pulls."""
        return PULL_MS * (self.pulls - self._first_pull)

    @property
    def waited_ms(self) -> Milliseconds:
        """`delay_ms` of the remembered packets when they came, oldest first: a lesser delay would have missed them."""
        return self._in_order(self._waited)

    @property
    def least_to_pulls_ms(self) -> float:
        """What to add to a `delay_ms` to have the time above the fastest packet, by the arrival stamps.

        When pulls happen is nowhere told, but each packet narrows it: it came after one pull and before the next.
        """
        if not self.count:
            return 0.0
        phase = self._in_order(self._phase)
        pull_at = (float(phase.max()) + float(phase.min()) + PULL_MS) / 2
        return pull_at - float(self._in_order(self._transit).min())

    def _in_order(self, ring: Milliseconds) -> Milliseconds:
        if self.count <= WINDOW:
            return ring[: self.count]
        at = self.count % WINDOW
        return np.concatenate((ring[at:], ring[:at]))
