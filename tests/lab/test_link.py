"""A link does in the long run what its figures say, and the same again in the next run."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.lab.link import Link

PACKETS = 20_000
SPACING_S = 0.02


def send(link: Link, packets: int = PACKETS) -> list[list[float]]:
    return [link.carry(number * SPACING_S) for number in range(packets)]


def test_a_plain_link_only_delays() -> None:
    assert Link(delay_ms=40).carry(10.0) == [pytest.approx(10.040)]


def test_the_same_seed_repeats_and_another_does_not() -> None:
    bad = {"loss": 0.1, "jitter_ms": 20, "reorder": 0.05, "duplicate": 0.02}
    assert send(Link(**bad, seed=7)) == send(Link(**bad, seed=7))
    assert send(Link(**bad, seed=7)) != send(Link(**bad, seed=8))
    assert send(Link(**bad, seed=7)) != send(Link(**bad, seed=7).twin())


@pytest.mark.parametrize("burst", [1.0, 4.0])
def test_loss_is_the_share_asked_for(burst: float) -> None:
    arrivals = send(Link(loss=0.03, burst=burst, seed=1))
    assert sum(not copies for copies in arrivals) / PACKETS == pytest.approx(0.03, abs=0.008)


def test_burst_is_the_mean_length_of_a_loss() -> None:
    lost = [not copies for copies in send(Link(loss=0.05, burst=4, seed=3))]
    bursts = sum(is_lost and not before for before, is_lost in zip([False, *lost], lost, strict=False))
    assert sum(lost) / bursts == pytest.approx(4, rel=0.15)


def test_jitter_is_the_mean_difference_of_transit_times_of_packets_far_apart() -> None:
    link = Link(jitter_ms=30, delay_ms=50, seed=1)
    transit_ms = [(link.carry(float(second))[0] - second) * 1000 for second in range(PACKETS)]
    differences = [abs(a - b) for a, b in pairwise(transit_ms)]
    assert sum(differences) / len(differences) == pytest.approx(30, rel=0.05)
    assert min(transit_ms) >= 50
    assert max(transit_ms) <= 50 + 5 * 30 + 1e-6


def test_order_is_kept_under_jitter_and_broken_by_reorder() -> None:
    arrivals = [copies[0] for copies in send(Link(jitter_ms=60, seed=2))]
    assert arrivals == sorted(arrivals)
    arrivals = [copies[0] for copies in send(Link(reorder=0.05, seed=2))]
    overtaken = sum(later < earlier for earlier, later in pairwise(arrivals))
    assert overtaken / PACKETS == pytest.approx(0.05, abs=0.01)


def test_duplicates_arrive_one_behind_the_other() -> None:
    doubled = [copies for copies in send(Link(duplicate=0.1, seed=5)) if len(copies) == 2]
    assert len(doubled) / PACKETS == pytest.approx(0.1, abs=0.01)
    assert all(first < second for first, second in doubled)


def test_the_ends_of_the_scale() -> None:
    assert not any(send(Link(loss=1.0), 100))
    assert not any(send(Link(loss=1.0, burst=5), 100)[1:])
    assert all(len(copies) == 2 for copies in send(Link(duplicate=1.0), 100))


@pytest.mark.parametrize(
    ("figures", "name"),
    [({"loss": 3}, "loss"), ({"duplicate": -0.1}, "duplicate"), ({"burst": 0}, "burst"), ({"jitter_ms": -1}, "jitter")],
)
def test_a_figure_out_of_range_is_named(figures: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Link(**figures)


@given(
    loss=st.floats(0, 1),
    burst=st.floats(1, 50),
    jitter_ms=st.floats(0, 500),
    reorder=st.floats(0, 1),
    seed=st.integers(),
)
def test_no_packet_arrives_before_it_was_sent(
    loss: float, burst: float, jitter_ms: float, reorder: float, seed: int
) -> None:
    link = Link(loss=loss, burst=burst, jitter_ms=jitter_ms, reorder=reorder, duplicate=0.5, delay_ms=0, seed=seed)
    for number in range(50):
        assert all(at >= number * SPACING_S for at in link.carry(number * SPACING_S))
