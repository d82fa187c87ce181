"""Behaviour as a call flow: what a test expects to have crossed the network, and a diff where it did not.

    assert_ladder(world, '''
        alice -> p-cscf  REGISTER
        p-cscf -> alice  401 Unauthorized
        ...
        p-cscf -> alice  200 OK
    ''')

`...` stands for anything in between. Blanks do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from imsphone.comparison import compare
from imsphone.ladder import Names
from imsphone.trace import Trace


class Traced(Protocol):
    """Something that keeps a trace: a `World`, a `Phone`, a served lab."""

    @property
    def trace(self) -> Trace | None: ...


def assert_ladder(
    traced: Traced | Trace, expected: str, *, nodes: Sequence[str] | None = None, names: Names | None = None
) -> None:
    """Fails with a diff unless `expected` is what crossed between `nodes` (all, without them).

    `names` maps addresses or hosts to names, for nodes that are not traced themselves.
    """
    __tracebackhide__ = True
    trace = traced if isinstance(traced, Trace) else traced.trace
    if trace is None:
        raise AssertionError("nothing was traced: make the World with a trace")
    difference = compare(expected, trace, nodes, names)
    if difference is not None:
        raise AssertionError(f"another ladder than expected:\n{difference}")
