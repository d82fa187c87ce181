"""Counters that wrap are unrolled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.rtp.sequence import Unrolled


def test_numbers_go_on_through_the_wrap() -> None:
    sequence = Unrolled(16)
    assert [sequence.unroll(n & 0xFFFF) for n in range(65534, 65540)] == list(range(65534, 65540))


def test_reordering_around_the_wrap_does_no_harm() -> None:
    sequence = Unrolled(16)
    assert [sequence.unroll(n) for n in (65534, 1, 65535, 0, 2)] == [65534, 65537, 65535, 65536, 65538]
    assert sequence.highest == 65538


def test_what_overtook_the_first_unrolls_below_it() -> None:
    sequence = Unrolled(16)
    assert [sequence.unroll(n) for n in (0, 65535, 1)] == [0, -1, 1]


def test_timestamps_wrap_after_two_to_the_thirty_second() -> None:
    timestamps = Unrolled(32)
    assert [timestamps.unroll(t) for t in (0xFFFF_FF60, 0, 160)] == [0xFFFF_FF60, 0x1_0000_0000, 0x1_0000_00A0]


def test_a_restart_goes_on_upwards() -> None:
    sequence = Unrolled(16)
    assert sequence.restart(7) == 7
    assert sequence.unroll(50000 & 0xFFFF) == 50000 - 65536  # nearer below than above
    assert sequence.restart(50000) == 50000
    assert sequence.restart(50000) == 50000 + 65536
    assert sequence.unroll(50001) == 50001 + 65536


@given(st.sampled_from([16, 32]), st.integers(0, 2**32 - 1), st.lists(st.integers(-32000, 32000)))
def test_any_walk_in_small_steps_is_followed(bits: int, start: int, steps: list[int]) -> None:
    counter = Unrolled(bits)
    mask = (1 << bits) - 1
    here = start & mask
    assert counter.unroll(here) == here
    for step in steps:
        there = max(counter.highest or 0, here) + step
        assert counter.unroll(there & mask) == there
        here = there


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 0xFFFF))))
def test_the_low_end_is_always_the_number_on_the_wire(calls: list[tuple[bool, int]]) -> None:
    sequence = Unrolled(16)
    for is_restart, number in calls:
        before = sequence.highest
        long = sequence.restart(number) if is_restart else sequence.unroll(number)
        assert long & 0xFFFF == number
        if before is not None and is_restart:
            assert long > before
        assert sequence.highest is not None
        assert sequence.highest >= (before if before is not None else number)


@pytest.mark.parametrize("bits", [16, 32])
def test_a_counter_is_empty_at_first(bits: int) -> None:
    assert Unrolled(bits).highest is None
