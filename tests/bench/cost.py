"""What the playout buffer costs: nanoseconds and instructions a packet, the longest pull, counting streams on one core.

    python tests/bench/cost.py
    python tests/bench/cost.py --instructions     under valgrind's callgrind (a minute): its counts repeat exactly

One stream of 20 ms packets at 16 kHz with jitter and 2 % loss: an insert and two pulls a packet, L16, no log. The empty
loop is measured too and taken off.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import numpy as np
from figure import Figure, machine, print_table

from imsphone.media.codecs.linear import Linear
from imsphone.media.playout import Playout
from imsphone.rtp.packet import Packet

CLOCK_HZ, FRAME = 16000, 320
STREAMS = 1000


def steps(packets: int) -> list[list[tuple[Packet, int]]]:
    """What comes before each pull: jitter of 15 ms on average, 2 % lost, a voice of 140 Hz that comes and goes."""
    random = Random(3)
    at = np.arange(packets * FRAME)
    voice = sum(np.sin(2 * np.pi * 140 * k * at / CLOCK_HZ) / k for k in (1, 2, 3, 5))
    noise = np.random.default_rng(3).normal(0, 30, at.size)
    pcm = (3000 * voice * (np.sin(2 * np.pi * at / CLOCK_HZ / 3) > -0.3) + noise).astype(np.int16)
    codec = Linear(CLOCK_HZ)
    coming: list[list[tuple[Packet, int]]] = [[] for _ in range(2 * packets + 60)]
    for k in range(packets):
        if random.random() < 0.02:
            continue
        at_ms = 20 * k + random.gammavariate(2, 7.5)
        packet = Packet(96, k & 0xFFFF, k * FRAME, 1, codec.encode(pcm[k * FRAME : (k + 1) * FRAME]))
        coming[int(at_ms / 10) + 1].append((packet, int(at_ms * 1e6)))
    return coming


def run(coming: list[list[tuple[Packet, int]]], playout: Playout | None) -> None:
    """Everything in turn; without a playout only the loop."""
    out = np.zeros(FRAME // 2, np.int16)
    if playout is None:
        for due in coming:
            for _packet, _at_ns in due:
                pass
        return
    insert, pull = playout.insert, playout.pull_into
    for due in coming:
        for packet, at_ns in due:
            insert(packet, at_ns)
        pull(out)


def nanoseconds(packets: int = 20000, turns: int = 7) -> Figure:
    """A packet: one insert and two pulls, Python's call included, in CPU time."""
    coming = steps(packets)
    values = []
    for _ in range(turns):
        playout = Playout({96: Linear(CLOCK_HZ)})
        start = time.process_time()
        run(coming, playout)
        middle = time.process_time()
        run(coming, None)
        values.append((middle - start - (time.process_time() - middle)) / packets * 1e9)
    return Figure("insert and pulls", "ns a packet", tuple(values), is_rate=False, target=1600)


def longest_pull(packets: int = 20000) -> Figure:
    """p99.9 of `pull` alone."""
    playout, out = Playout({96: Linear(CLOCK_HZ)}), np.zeros(FRAME // 2, np.int16)
    spent = []
    for due in steps(packets):
        for packet, at_ns in due:
            playout.insert(packet, at_ns)
        start = time.perf_counter_ns()
        playout.pull_into(out)
        spent.append((time.perf_counter_ns() - start) / 1000)
    return Figure("longest pull, p99.9", "µs", (float(np.percentile(spent, 99.9)),), is_rate=False, target=100)


def counting_streams(seconds: float = 3) -> Figure:
    """How many counting streams one core keeps up with."""
    coming = steps(int(50 * seconds))
    playouts = [Playout({96: Linear(CLOCK_HZ)}, is_counting=True) for _ in range(STREAMS)]
    out = np.zeros(FRAME // 2, np.int16)
    start = time.process_time()
    for due in coming:
        for playout in playouts:
            for packet, at_ns in due:
                playout.insert(packet, at_ns)
            playout.pull_into(out)
    spent_s = time.process_time() - start
    return Figure(
        "counting streams in real time", "streams a core", (STREAMS * seconds / spent_s,), is_rate=True, target=1000
    )


def instructions(packets: int = 10000) -> Figure:
    """Callgrind's count of what `insert` and `pull_into` execute, everything below them included."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        subprocess.run(
            [*command, sys.executable, __file__, "--only-run", str(packets)], check=True, capture_output=True
        )
        table = subprocess.run(
            ["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(out)],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    counts = []
    for name in ("insert", "pull_into"):
        found = re.findall(rf"^ *([\d,]+) .*Playout_\d+{name}\b", table, re.MULTILINE)
        counts.append(max(int(count.replace(",", "")) for count in found))
    return Figure("insert and pulls", "instructions a packet", (sum(counts) / packets,), is_rate=False, target=15000)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--only-run", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only_run:
        run(steps(given.only_run), Playout({96: Linear(CLOCK_HZ)}))
        return
    figures = [nanoseconds(), longest_pull(), counting_streams()]
    if given.instructions:
        if shutil.which("valgrind") is None:
            raise SystemExit("valgrind is not here: sudo apt-get install -y valgrind")
        figures.append(instructions())
    print(machine())
    print_table(figures)


if __name__ == "__main__":
    main()
