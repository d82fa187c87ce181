"""The delay that costs least."""

from __future__ import annotations

import numpy as np
import pytest

from imsphone.media.arrival import Arrivals
from imsphone.media.delay import Delays, Plan, plan


def after(waits_ms: list[float]) -> Arrivals:
    """A stream of 20 ms packets that came so late each, relative to the first."""
    arrivals = Arrivals()
    for k, wait_ms in enumerate(waits_ms):
        came_ms = 20.0 * k + wait_ms
        arrivals.pulls = int(came_ms // 10) + 1
        arrivals.note(20.0 * k, int(came_ms * 1e6))
    return arrivals


def above_least(arrivals: Arrivals) -> float:
    return plan(arrivals).target_ms - float(arrivals.waited_ms.min())


def test_a_steady_stream_need_not_wait() -> None:
    assert above_least(after([0.0] * 300)) == 0


def test_at_first_there_is_caution() -> None:
    assert above_least(after([0.0])) == pytest.approx(40, abs=1)
    assert above_least(after([0.0] * 125)) == pytest.approx(20, abs=1)


def test_jitter_is_waited_for() -> None:
    waits = np.random.default_rng(1).uniform(0, 60, 400).tolist()
    assert 50 <= above_least(after(waits)) <= 60


def test_one_packet_in_a_thousand_is_not_worth_200_ms() -> None:
    assert above_least(after([0.0] * 450 + [200.0] + [0.0] * 50)) == 0


def test_what_is_long_ago_counts_less() -> None:
    rough, calm = [0.0, 80.0] * 50, [0.0] * 400
    assert above_least(after(calm + rough)) == 80
    assert above_least(after(rough + calm * 3)) == 0


def test_nothing_is_known_of_no_packets() -> None:
    assert plan(Arrivals()) == Plan()


def test_delays_are_counted_by_the_millisecond() -> None:
    delays = Delays()
    assert (delays.mean_ms, delays.p95_ms) == (0, 0)
    for delay_ms in [*range(1, 101), -5.0, 1e9]:
        delays.note(delay_ms)
    assert delays.p95_ms == 96
    assert delays.mean_ms == pytest.approx((5050 + 4095) / 102)
