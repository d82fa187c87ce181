"""When packets came, counted in pulls and in nanoseconds."""

from __future__ import annotations

import pytest

from imsphone.media.arrival import WINDOW, Arrivals

MS = 1_000_000


def test_a_packet_waits_for_the_pull_after_it() -> None:
    arrivals = Arrivals()
    arrivals.note(0.0, 7 * MS)
    arrivals.pulls += 3
    arrivals.note(20.0, 40 * MS)
    assert arrivals.waited_ms.tolist() == [0.0, 10.0]
    assert arrivals.delay_ms(20.0) == 10.0


def test_only_the_last_packets_are_remembered_in_order() -> None:
    arrivals = Arrivals()
    for k in range(WINDOW + 5):
        arrivals.pulls = 2 * k
        arrivals.note(20.0 * k - k, 0)
    assert arrivals.waited_ms.tolist() == [float(k) for k in range(5, WINDOW + 5)]


@pytest.mark.parametrize("pulled_at_ms", [0.5, 3.0, 9.5])
def test_the_stamps_tell_when_pulls_happen(pulled_at_ms: float) -> None:
    """Packets are sent every 20 ms and take 40 to 48 ms; nobody tells the buffer when it is pulled."""
    arrivals = Arrivals()
    for k in range(200):
        came_ms = 20.0 * k + 40.0 + k * 7 % 9
        arrivals.pulls = int((came_ms - pulled_at_ms) // 10) + 1
        arrivals.note(20.0 * k, int(came_ms * MS))
    delay_ms = arrivals.delay_ms(4000.0) + arrivals.least_to_pulls_ms
    true_ms = arrivals.pulls * 10 + pulled_at_ms - 4000.0 - 40.0
    assert delay_ms == pytest.approx(true_ms, abs=1.5)
