"""When packets came, counted in pulls and in nanoseconds."""

from __future__ import annotations

import pytest

from imsphone.media.arrival import Arrivals

MS = 1_000_000


def after(waits_ms: list[float], pulled_at_ms: float = 0.0) -> Arrivals:
    """A stream of 20 ms packets that took so long each, pulled at 10 k + `pulled_at_ms`."""
    arrivals = Arrivals()
    for k, wait_ms in enumerate(waits_ms):
        came_ms = 20.0 * k + wait_ms
        while arrivals.pulls * 10 + pulled_at_ms <= came_ms:
            arrivals.pulled()
        arrivals.came(20.0 * k, round(came_ms * MS))
    return arrivals


def test_a_packet_waits_for_the_pull_after_it() -> None:
    arrivals = Arrivals()
    assert arrivals.came(0.0, 7 * MS) == 0
    for _ in range(3):
        arrivals.pulled()
    assert arrivals.came(20.0, 40 * MS) == 10
    assert arrivals.delay_ms(20.0) == 10


@pytest.mark.parametrize("pulled_at_ms", [0.5, 3.0, 9.5])
def test_the_stamps_tell_when_pulls_happen(pulled_at_ms: float) -> None:
    """Packets are sent every 20 ms and take 40 to 48 ms; nobody tells the buffer when it is pulled."""
    arrivals = after([40.0 + k * 7 % 9 for k in range(200)], pulled_at_ms)
    delay_ms = arrivals.delay_ms(4000.0) + arrivals.to_stamps_ms
    true_ms = arrivals.pulls * 10 + pulled_at_ms - 4000.0 - 40.0
    assert delay_ms == pytest.approx(true_ms, abs=2.5)


def test_a_faster_route_is_believed_at_once_and_a_slower_one_within_ten_seconds() -> None:
    assert after([100.0] * 50 + [30.0]).delay_ms(1000.0) == 0
    slower = [30.0] * 300 + [100.0] * 500
    at_ms = 20.0 * (len(slower) - 1)
    assert after(slower[:350]).delay_ms(20.0 * 349) == 70
    assert after(slower).delay_ms(at_ms) == 0


@pytest.mark.parametrize("ppm", [-500, 500])
def test_drift_is_followed_to_some_milliseconds(ppm: int) -> None:
    arrivals = after([k * 0.02 * ppm / 1000 + 1000 for k in range(5000)])
    assert abs(arrivals.delay_ms(20.0 * 4999)) <= 10


def test_jitter_is_that_of_rfc_3550() -> None:
    assert after([20.0] * 100).jitter_ms == 0
    assert after([20.0, 36.0]).jitter_ms == pytest.approx(1.0)
    assert after([20.0, 30.0] * 200).jitter_ms == pytest.approx(10.0, abs=0.1)


def test_what_is_usual_is_what_most_packets_keep() -> None:
    assert after([0.0] * 500).usual_ms == 0
    assert 15 <= after([0.0, 30.0, 30.0] * 300).usual_ms <= 35
