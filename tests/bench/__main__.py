"""All figures in one table.

    python tests/bench          everything; each file can also be run by itself

Each file runs in a process of its own, one after the other, so that none warms or crowds the next.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from figure import Figure, from_json, machine, print_table

HERE = Path(__file__).parent
FILES = ("sip", "registrations", "day", "startup", "whole")


def run(name: str) -> list[Figure]:
    """The figures of one file."""
    print(f"{name} …", file=sys.stderr, flush=True)
    command = [sys.executable, str(HERE / f"{name}.py"), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    if not lines:
        raise SystemExit(f"{name}.py measured nothing and ended with {done.returncode}")
    return [from_json(line) for line in lines]


def main() -> int:
    """Runs them and prints the table; 1 where a target was missed."""
    before = machine()
    figures = [figure for name in FILES for figure in run(name)]
    print(before)
    print_table(figures)
    return 0 if all(figure.is_met for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
