"""Numbers that wrap, and packets that come twice or from elsewhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imsphone.media.numbers import Numbers


@given(st.integers(0, 65535), st.integers(0, 2**32 - 1), st.lists(st.integers(-5, 30), max_size=200))
def test_unrolled_they_differ_as_the_true_ones_do(sequence: int, timestamp: int, steps: list[int]) -> None:
    numbers = Numbers(8000)
    assert numbers.is_ours(1, timestamp, sequence)
    numbers.came(timestamp, sequence)
    true = highest = 0
    first = numbers.sequence, numbers.timestamp
    for step in steps:
        true = highest + step
        highest = max(highest, true)
        wire = (timestamp + 160 * true) & 0xFFFFFFFF, (sequence + true) & 0xFFFF
        assert numbers.is_ours(1, *wire)
        numbers.came(*wire)
        assert (numbers.sequence - first[0], numbers.timestamp - first[1]) == (true, 160 * true)


def test_a_packet_that_was_here_is_known() -> None:
    numbers = Numbers(8000)
    assert numbers.is_ours(1, 0, 65535)
    assert [numbers.came(160 * k, (65535 + k) & 0xFFFF) for k in (0, 1, 2, 1, 4)] == [True, True, True, False, True]
    assert numbers.missing_between(65535, 65535 + 4) == 1


def test_another_stream_is_none_of_ours() -> None:
    numbers = Numbers(8000)
    assert numbers.is_ours(1, 1000, 10)
    assert not numbers.is_ours(2, 1160, 11)
    assert not numbers.is_ours(1, 1000 + 16000, 11)
    assert not numbers.is_ours(1, 1160, 10 + 1024)
    assert numbers.is_ours(1, 1000 + 2**31 - 1, 11, was_silent=True), "after a silence time has run on"
