"""How long sound should wait: as long as waiting costs less than what it saves.

Waiting longer makes talk sluggish; waiting less makes more packets late, and late is as good as lost. The E-model puts
both on one scale (see `quality`), so the target is where the sum is least, over the packets remembered:

    cost in R │ \\                  __/
              │  \\  late        __/  delay
              │   \\__        __/
              │       \\__.__/
              └──────────┼──────────────▶ delay
                      target
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imsphone.media.arrival import Arrivals, Milliseconds
from imsphone.media.quality import delay_impairment, equipment_impairment

ELSEWHERE_MS = 120.0
"""Mouth-to-ear time outside the buffer: framing, network, devices."""
FIRST_MS, SETTLED_MS = 40.0, 5000.0
"""Before anything is known: so much at least, less and less, and no caution any more after five seconds."""
HALF_LIFE = 200
"""A packet counts half as much as one that came so many packets later."""
USUAL = 0.95
LONGEST_MS = 4096


@dataclass(frozen=True, slots=True)
class Plan:
    """What to aim at; the first two on the ruler of `Arrivals.delay_ms`."""

    target_ms: float = 0.0
    usual_ms: float = 0.0
    """What 95 of 100 packets do not exceed."""
    to_least_ms: float = 0.0
    """To be added for the time above the fastest packet."""


def plan(arrivals: Arrivals) -> Plan:
    """The cheapest delay for packets like those remembered."""
    if not arrivals.count:
        return Plan()
    waited = arrivals.waited_ms
    order = np.argsort(waited)
    candidates = waited[order]
    age = np.arange(waited.size - 1, -1, -1)
    weight: Milliseconds = (0.5 ** (age / HALF_LIFE))[order]
    seen = np.cumsum(weight)
    late_percent = 100.0 * (1.0 - seen / seen[-1])
    cost = delay_impairment(ELSEWHERE_MS + candidates - candidates[0]) + equipment_impairment(late_percent)
    cheapest = float(candidates[np.argmin(cost)])
    caution_ms = FIRST_MS * max(0.0, 1.0 - arrivals.age_ms / SETTLED_MS)
    usual = float(candidates[int(USUAL * (candidates.size - 1))])
    return Plan(max(cheapest, float(candidates[0]) + caution_ms), usual, arrivals.least_to_pulls_ms)


class Delays:
    """The delays that sound really had, counted by the millisecond."""

    def __init__(self) -> None:
        self._bins = np.zeros(LONGEST_MS, np.int64)

    def note(self, delay_ms: float) -> None:
        """Ten milliseconds were played with that delay."""
        self._bins[min(max(int(delay_ms + 0.5), 0), LONGEST_MS - 1)] += 1

    @property
    def mean_ms(self) -> float:
        """0 where nothing was played."""
        return float(self._bins @ np.arange(LONGEST_MS)) / max(1, int(self._bins.sum()))

    @property
    def p95_ms(self) -> float:
        """What 95 % did not exceed."""
        return float(np.searchsorted(np.cumsum(self._bins), 0.95 * self._bins.sum()))
