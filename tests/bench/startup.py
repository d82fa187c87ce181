"""How long somebody at a terminal waits for `imsphone --help`: a whole process, from its start to its end.

    python tests/bench/startup.py [--json]

Beside it, in turn: an interpreter that does nothing, and one that imports click, which every command must.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from figure import Figure, show

TURNS = 15
IMSPHONE = Path(sys.executable).with_name("imsphone")
COMMANDS = {
    "help": [str(IMSPHONE), "--help"],
    "click": [sys.executable, "-c", "import click"],
    "nothing": [sys.executable, "-c", "pass"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one process. Raises CalledProcessError where it fails."""
    start_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start_s


def measure(turns: int = TURNS) -> list[Figure]:
    """Takes turns, after one that fills the caches."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(turns + 1):
        for name, command in COMMANDS.items():
            spent_s = seconds(command)
            if turn:
                times[name].append(spent_s)
    shown, note = tuple(times["help"]), f"whole processes, {turns} turns"
    return [
        Figure("imsphone --help", "s", shown, False, 0.25, "python -c pass", tuple(times["nothing"]), note),
        Figure("imsphone --help", "s", shown, False, 0.25, 'python -c "import click"', tuple(times["click"])),
    ]


if __name__ == "__main__":
    raise SystemExit(show(measure()))
