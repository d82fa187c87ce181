"""The delay that costs least."""

from __future__ import annotations

import numpy as np
import pytest

from imsphone.media.delay import Delays, Target


def target_after(waits_ms: list[float], mean_ms: float = 0.0, made_percent: float = 0.0) -> float:
    target = Target()
    for wait_ms in waits_ms:
        target.came(wait_ms)
    return target.chosen(mean_ms, made_percent)


def test_a_steady_stream_need_not_wait() -> None:
    assert target_after([0.0] * 3000) == 0


def test_at_first_there_is_caution() -> None:
    assert 20 < target_after([]) < 100


def test_jitter_is_waited_for() -> None:
    waits = np.random.default_rng(1).uniform(0, 60, 400).tolist()
    assert 50 <= target_after(waits) <= 62


def test_one_stall_in_ten_seconds_is_not_worth_200_ms() -> None:
    stall = [0.0] * 450 + [200.0 - 20 * k for k in range(10)] + [0.0] * 450
    assert target_after(stall, mean_ms=60) < 30


def test_stalls_that_come_every_second_are_worth_waiting() -> None:
    stalls = ([0.0] * 47 + [60.0, 40.0, 20.0]) * 20
    assert 50 <= target_after(stalls) <= 70


def test_what_is_long_ago_counts_less() -> None:
    rough, calm = [0.0, 80.0] * 50, [0.0] * 1500
    assert target_after(calm + rough) >= 75
    assert target_after(rough + calm * 3) < 10


def test_waiting_is_dearer_where_a_call_is_sluggish_already() -> None:
    waits = (np.random.default_rng(2).exponential(20, 1000)).tolist()
    assert target_after(waits, mean_ms=100) < target_after(waits, mean_ms=10)


def test_a_little_more_made_up_sound_matters_less_where_much_is() -> None:
    waits = (np.random.default_rng(2).exponential(20, 1000)).tolist()
    assert target_after(waits, made_percent=20) < target_after(waits)


def test_a_route_that_became_slower_is_learnt_once() -> None:
    """When the least transit is seen to have risen, the target moves with it instead of being learnt anew."""
    target = Target()
    for _ in range(500):
        target.came(0.0)
    for _ in range(500):
        target.came(70.0)
    assert target.chosen() == pytest.approx(70, abs=5)
    target.came(0.0, moved_ms=70.0)
    assert target.chosen() < 10


def test_delays_are_counted_by_the_millisecond() -> None:
    delays = Delays()
    assert (delays.mean_ms, delays.p95_ms) == (0, 0)
    for delay_ms in [*range(1, 101), -5.0, 1e9]:
        delays.note(delay_ms)
    assert delays.p95_ms == 96
    assert delays.mean_ms == pytest.approx((5050 + 4095) / 102)
