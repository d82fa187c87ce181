"""How losses come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.media.bursts import Bursts


def after(pattern: str) -> Bursts:
    """`x` is a lost packet, everything else a received one."""
    bursts = Bursts()
    for packet in pattern:
        bursts.note(packet == "x")
    return bursts


def test_nothing_lost_is_one_long_gap() -> None:
    bursts = after("." * 500)
    assert bursts.burst_ratio == 1
    assert bursts.densities(20.0) == (0, 0, 0, 10000)


def test_single_losses_far_apart_are_no_burst() -> None:
    burst, gap, burst_ms, _ = after(("." * 49 + "x") * 20).densities(20.0)
    assert (burst, burst_ms) == (0, 0)
    assert gap == pytest.approx(0.02, abs=0.002)


def test_losses_that_come_together_are_a_burst() -> None:
    bursts = after(("." * 100 + "xx.xxx.x") * 20)
    burst, gap, burst_ms, gap_ms = bursts.densities(20.0)
    assert burst == pytest.approx(6 / 8, abs=0.1)
    assert gap < 0.01
    assert burst_ms == pytest.approx(8 * 20, abs=25)
    assert gap_ms == pytest.approx(100 * 20, rel=0.1)


def test_the_burst_ratio_of_pairs_is_nearly_two() -> None:
    assert after(("." * 98 + "xx") * 20).burst_ratio == pytest.approx(1.96)
    assert after(("." * 99 + "x") * 20).burst_ratio == 1


@given(st.text(".x", max_size=300))
def test_any_losses_have_sound_figures(pattern: str) -> None:
    bursts = after(pattern)
    burst, gap, burst_ms, gap_ms = bursts.densities(20.0)
    assert 0 <= burst <= 1
    assert 0 <= gap <= 1
    assert burst_ms >= 0
    assert gap_ms >= 0
    assert bursts.lost == pattern.count("x")
    assert bursts.burst_ratio >= 1
