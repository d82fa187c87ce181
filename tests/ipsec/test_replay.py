"""Each packet comes in once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imsphone.ipsec.replay import WINDOW, ReplayWindow

LAST = (1 << 32) - 1


def test_the_window_of_rfc_4303_3_4_3() -> None:
    window = ReplayWindow()
    for sequence in (1, 3, 100):
        assert window.admits(sequence)
        window.mark(sequence)
    assert not window.admits(100)
    assert not window.admits(100 - WINDOW)  # left of the window
    assert window.admits(100 - WINDOW + 1)
    assert window.admits(LAST)
    assert not window.admits(0)
    assert not window.admits(LAST + 1)


def test_what_is_not_marked_moves_nothing() -> None:
    window = ReplayWindow()
    assert window.admits(LAST)  # and then it turns out to be forged
    assert window.admits(1)


@given(st.lists(st.one_of(st.integers(0, 300), st.integers(0, LAST)), max_size=200), st.integers(1, 100))
def test_it_agrees_with_a_set_of_numbers(sequences: list[int], size: int) -> None:
    window, seen = ReplayWindow(size), set[int]()
    for sequence in sequences:
        expected = sequence > 0 and sequence not in seen and sequence > max(seen, default=0) - size
        assert window.admits(sequence) == expected
        if expected:
            window.mark(sequence)
            seen.add(sequence)
