"""What a test expected of a trace against what happened, line by line: a diff for whoever reads why the test failed.

expected (-) and happened (+):
    0.000   alice -> p-cscf          INVITE
          - p-cscf -> alice          180 Ringing
    0.024 + p-cscf -> alice          486 Busy Here
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from imsphone.ladder import Names, line, rungs
from imsphone.trace import Crossing, Trace

_ANYTHING = "..."
_SHOWN_OF_ANYTHING = 3  # messages at either end of what a `...` took
_ARROW = re.compile(r"\s*(<)?(?:-+>|→)\s*")


def compare(
    expected: str, trace: Trace | Iterable[Crossing], nodes: Sequence[str] | None = None, names: Names | None = None
) -> str | None:
    """None where `trace` went as `expected`, lines as `lines` gives them, else a diff to be read by people.

    White space does not count, nor do empty lines and those that start with `#`; a line `...` stands for any number of
    messages. RTP is looked at only where `expected` has a line of it.
    """
    wanted = [_normal(line) for line in expected.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    wants_media = any(line.endswith(" RTP") for line in wanted)
    steps = [rung for rung in rungs(trace, nodes, names) if wants_media or rung.kind != "RTP"]
    happened = [_normal(line(rung)) for rung in steps]
    edits = _align(wanted, happened)
    if all(sign in " ~" for sign, _, _ in edits):
        return None
    start = steps[0].at if steps else 0.0
    text = ["expected (-) and happened (+):"]
    for sign, run in groupby(edits, key=lambda edit: edit[0]):
        entries = list(run)
        if sign == "~" and len(entries) > 2 * _SHOWN_OF_ANYTHING + 1:
            left_out = len(entries) - 2 * _SHOWN_OF_ANYTHING
            entries[_SHOWN_OF_ANYTHING:-_SHOWN_OF_ANYTHING] = [(f"{left_out} more", -1, -1)]
        for mark, want, number in entries:
            at = f"{steps[number].at - start:.3f}" if number >= 0 else ""
            shown = happened[number] if number >= 0 else wanted[want] if want >= 0 else f"({mark})"
            text.append(f"{at:>9} {mark if mark in '+-' else ' '} {_aligned(shown)}")
    return "\n".join(text)


def _normal(line: str) -> str:
    line = " ".join(_ARROW.sub(lambda arrow: f" {arrow[1] or ''}-> ", line).split())
    return _ANYTHING if line == "…" else line


def _aligned(line: str) -> str:
    ends = re.match(r"(\S+ \S+ \S+) (.*)", line)
    return f"{ends[1]:<24} {ends[2]}" if ends else line


def _align(wanted: Sequence[str], happened: Sequence[str]) -> list[tuple[str, int, int]]:
    """(sign, position in wanted, position in happened) with the fewest differences: ' ' as wanted, '-' missing, '+' not
    wanted, '~' taken by a `...`."""
    rows, columns = len(wanted), len(happened)
    cost = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            if i == rows:
                cost[i][j] = columns - j
            elif wanted[i] == _ANYTHING:
                cost[i][j] = min(cost[i + 1][j], cost[i][j + 1] if j < columns else cost[i + 1][j])
            else:
                cost[i][j] = 1 + min(cost[i + 1][j], cost[i][j + 1] if j < columns else rows + columns)
                if j < columns and wanted[i] == happened[j]:
                    cost[i][j] = min(cost[i][j], cost[i + 1][j + 1])
    edits = []
    i = j = 0
    while i < rows or j < columns:
        if i == rows:
            edits.append(("+", i, j))
            j += 1
        elif wanted[i] == _ANYTHING:
            if cost[i][j] == cost[i + 1][j]:
                i += 1
            else:
                edits.append(("~", i, j))
                j += 1
        elif j < columns and wanted[i] == happened[j] and cost[i][j] == cost[i + 1][j + 1]:
            edits.append((" ", i, j))
            i, j = i + 1, j + 1
        elif cost[i][j] == 1 + cost[i + 1][j]:
            edits.append(("-", i, -1))
            i += 1
        else:
            edits.append(("+", i, j))
            j += 1
    return edits
