"""A grid becomes a whole table, or does not load."""

from __future__ import annotations

import pytest

from imsphone.ims.moves import moves, take


def test_a_grid_is_read_by_row_and_column() -> None:
    table = moves("""
               knock   leave
        shut   open    .
        open   .       shut
    """)
    assert table == {
        ("shut", "knock"): "open",
        ("shut", "leave"): ".",
        ("open", "knock"): ".",
        ("open", "leave"): "shut",
    }


def test_a_hole_is_found_at_once() -> None:
    with pytest.raises(ValueError, match="the row of shut has 1 cells for 2 inputs"):
        moves("""
                   knock   leave
            shut   open
        """)


def test_a_cell_is_done_and_a_dot_is_nothing() -> None:
    class Door:
        def _open(self, hand: str) -> list[str]:
            return [hand]

    table = moves("""
               knock   leave
        shut   open    .
    """)
    assert take(table, Door(), "shut", "knock", "left") == ["left"]
    assert take(table, Door(), "shut", "leave") == []
