"""A figure: what was measured, beside the thing on the same machine in the same minute that says what it is worth.

    what                       figure        target     reference                        ratio
    AKA registrations          1,790 /s      ≥ 1,500    the same datagrams, nothing else  14.1

Machines differ and are shared, so a figure alone says little: its target is for the machine that docs/bench.md names,
and the ratio is what should stay. Subject and reference take turns; medians of all turns are compared.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of `values` in `unit`, the median of `reference_values` in the same unit.

    `target` is the least where `is_rate`, else the most; None where nobody set one. `note` says what else was counted.
    """

    what: str
    unit: str
    values: tuple[float, ...]
    is_rate: bool
    target: float | None = None
    reference: str = ""
    reference_values: tuple[float, ...] = ()
    note: str = ""

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def worst(self) -> float:
        return min(self.values) if self.is_rate else max(self.values)

    @property
    def ratio(self) -> float | None:
        """How many times dearer than the reference."""
        if not self.reference_values:
            return None
        reference = median(self.reference_values)
        return reference / self.value if self.is_rate else self.value / reference

    @property
    def is_met(self) -> bool:
        """Whether the median meets the target."""
        return self.target is None or (self.value >= self.target if self.is_rate else self.value <= self.target)


def show(figures: Iterable[Figure]) -> int:
    """Prints a table, or one JSON object a line with `--json`. Gives the exit code: 1 where a target was missed."""
    figures = list(figures)
    if "--json" in sys.argv:
        for figure in figures:
            print(json.dumps(asdict(figure)), flush=True)
    else:
        print(machine())
        print_table(figures)
    return 0 if all(figure.is_met for figure in figures) else 1


def from_json(line: str) -> Figure:
    """What `show` printed."""
    fields = json.loads(line)
    fields |= {name: tuple(fields[name]) for name in ("values", "reference_values")}
    return Figure(**fields)


def print_table(figures: Iterable[Figure]) -> None:
    rows = [("what", "median", "worst", "target", "reference", "ratio")]
    for figure in figures:
        aim = "" if figure.target is None else f"{'≥' if figure.is_rate else '≤'} {number(figure.target)}"
        reference = f"{number(median(figure.reference_values))}, {figure.reference}" if figure.reference else ""
        ratio = "" if figure.ratio is None else number(figure.ratio)
        missed = "" if figure.is_met else "  MISSED"
        what = f"{figure.what}, {figure.unit}"
        rows.append((what, number(figure.value), number(figure.worst), aim + missed, reference, ratio))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for figure in figures:
        if figure.note:
            print(f"    {figure.what}: {figure.note}")


def number(value: float) -> str:
    """Three digits that count, thousands apart."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def machine() -> str:
    """The machine, what else it is doing, and the interpreter."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores{load}, {platform.system()} {platform.release()}, {python}"
