"""Transition tables, written as a grid that a person can read.

Rows are states, columns are inputs, a cell names the method (without its underscore) that answers the input in that
state; a dot means that nothing happens there, on purpose:

                register   deregister
    idle        discover   object
    registered  refresh    remove

`moves` makes a dict of (state, input) out of it, whole by construction: a grid with a hole does not load.
"""

from __future__ import annotations

from typing import Any

from imsphone.machine import Effect

Moves = dict[tuple[str, str], str]


def moves(grid: str) -> Moves:
    """The cells of `grid` by (state, input). Raises ValueError where a row is shorter or longer than the head."""
    head, *rows = [line.split() for line in grid.splitlines() if line.strip()]
    table: Moves = {}
    for state, *cells in rows:
        if len(cells) != len(head):
            raise ValueError(f"the row of {state} has {len(cells)} cells for {len(head)} inputs")
        table |= {(state, name): cell for name, cell in zip(head, cells, strict=True)}
    return table


def take(table: Moves, owner: object, state: str, name: str, *arguments: Any) -> list[Effect]:
    """What `owner` does with input `name` in `state`: the method of the cell, with `arguments`; nothing at a dot."""
    method = table[state, name]
    if method == ".":
        return []
    effects: list[Effect] = getattr(owner, f"_{method}")(*arguments)
    return effects
