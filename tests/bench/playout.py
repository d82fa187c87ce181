"""The playout buffer on recorded and made-up arrivals, set beside the buffers of others.

    python tests/bench/playout.py [DIRECTORY] [--phases 6.3] [--logs DIRECTORY]
    python tests/bench/playout.py --own [--seed 1]      channels of the project's own (see channels.py)
    python tests/bench/playout.py --speech              PESQ, wide band, besides
    python tests/bench/playout.py --curve w_wifi_far    what one trace costs at fixed delays, and adaptively

DIRECTORY holds `traces/*.csv` (when each packet of 20 ms was sent and came), a recording and `score.py`, which defines
the figures; without one, `../shared/playout` beside the checkout, and where that is not there either, own channels.
Each trace is run with real speech at 16 kHz in virtual time, pulled at four phases to the packets.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import numpy as np
from channels import channels

from imsphone.audio.files import read_wav
from imsphone.media.codecs.codec import Pcm
from imsphone.media.codecs.linear import Linear
from imsphone.media.playout import Playout
from imsphone.media.quality import pesq_mean, rating
from imsphone.media.replay import DYNAMIC, Run, arrivals_of, replay, trace_rows
from imsphone.media.resample import resample

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "playout"
CLOCK_HZ, FRAME = 16000, 320
PHASES = (1.3, 6.3, 11.3, 16.3)

Rows = list[tuple[int, float, float | None]]


def speech(directory: Path) -> Pcm:
    """The recording beside the traces, or our own."""
    recording = directory / "speech_16k_s16le.raw"
    if recording.exists():
        return np.fromfile(recording, "<i2").astype(np.int16)
    return resample(*read_wav(ROOT / "assets" / "sounds" / "speech.wav"), CLOCK_HZ)


def run(rows: Rows, pcm: Pcm, phase_ms: float, **limits: float) -> Run:
    playout = Playout({DYNAMIC: Linear(CLOCK_HZ)}, **limits)
    return replay(playout, arrivals_of(rows, pcm, CLOCK_HZ), phase_ms)


def traces(directory: Path) -> Iterator[tuple[str, Rows]]:
    for path in sorted((directory / "traces").glob("*.csv")):
        yield path.stem, trace_rows(path.read_text())


def own(seed: int) -> Iterator[tuple[str, Rows]]:
    for name, rows in channels(seed, of_each=3):
        yield name, [(k, *row) for k, row in enumerate(rows)]


def scored(rows: Rows, done: Run) -> tuple[float, float, float, float, float]:
    """Mean and p95 delay above the fastest packet, made-up share, jitter-made share (both %), R, from the log alone."""
    send = np.array([sent for _, sent, _ in rows])
    least = min(came - sent for _, sent, came in rows if came is not None)
    pulls = np.array([[float(x) for x in line.split(",")[1:]] for line in done.log if line[0] == "P"])
    heard = np.flatnonzero(pulls[:, 1] == 1)
    pulls = pulls[heard[0] : heard[-1] + 1]
    sent_at = np.interp(pulls[:, 2], 20.0 * np.arange(len(rows)), send)
    delay = (pulls[:, 0] + 10 - sent_at - least)[(pulls[:, 1] == 1) & (pulls[:, 0] > pulls[0, 0] + 1000)]
    played_ms = 10 * len(pulls)
    made = 100 * sum(float(line.split(",")[2]) for line in done.log if line[0] == "C") / played_ms
    lost = 100 * sum(came is None for _, _, came in rows) / len(rows)
    return delay.mean(), float(np.percentile(delay, 95)), made, max(0.0, made - lost), rating(120 + delay.mean(), made)


def table(named: Iterator[tuple[str, Rows]], pcm: Pcm, phases: list[float]) -> None:
    """Own channels, by our own arithmetic."""
    print(f"{'channel':16s} {'mean ms':>8s} {'p95':>6s} {'made %':>7s} {'jitter %':>8s} {'R':>6s}")
    rows_of_figures = []
    for name, rows in named:
        figures = [mean(column) for column in zip(*(scored(rows, run(rows, pcm, p)) for p in phases), strict=True)]
        rows_of_figures.append(figures)
        print("{:16s} {:8.1f} {:6.0f} {:7.2f} {:8.2f} {:6.1f}".format(name, *figures), flush=True)
    print(
        "{:16s} {:8.1f} {:6.0f} {:7.2f} {:8.2f} {:6.1f}".format("mean", *map(mean, zip(*rows_of_figures, strict=True)))
    )


def curve(directory: Path, trace: str, pcm: Pcm, phases: list[float]) -> None:
    """Delay against made-up sound at fixed targets, and what the adaptive target makes of it."""
    rows = dict(traces(directory))[trace]
    print(f"{'target':>9s} {'mean ms':>8s} {'p95':>6s} {'made %':>7s} {'jitter %':>8s} {'R':>6s}")
    for target in (20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 800, None):
        limits = {} if target is None else {"minimum_ms": float(target), "maximum_ms": float(target)}
        figures = [mean(c) for c in zip(*(scored(rows, run(rows, pcm, p, **limits)) for p in phases), strict=True)]
        print("{:>9} {:8.1f} {:6.0f} {:7.2f} {:8.2f} {:6.1f}".format(target or "adaptive", *figures), flush=True)


# Sound --------------------------------------------------------------------------------------------------------------


def lossy(percent: float, burst: int, pcm: Pcm, seed: int) -> Rows:
    """The recording once, with losses alone."""
    chance = np.random.default_rng(seed)
    count = pcm.size // FRAME
    gone = np.repeat(chance.random(count // burst + 1) < percent / 100, burst)[:count]
    gone[:25] = False
    return [(k, 20.0 * k, None if gone[k] else 20.0 * k + 50) for k in range(count)]


def repeated(rows: Rows, pcm: Pcm) -> Pcm:
    """The simplest concealment: the last frame again, then half as loud, then silence."""
    frames = pcm[: len(rows) * FRAME].reshape(-1, FRAME).copy()
    missing = 0
    for k, (_, _, came) in enumerate(rows):
        missing = missing + 1 if came is None else 0
        if missing:
            frames[k] = frames[k - 1] // (1 if missing == 1 else 2) * (missing < 4)
    return frames.ravel()


def stretched(pcm: Pcm, span_ms: float) -> float:
    """No loss; the target jumps up and down by `span_ms` every 4 s, against the same without."""
    playout = Playout({DYNAMIC: Linear(CLOCK_HZ)}, minimum_ms=60.0, maximum_ms=60.0)
    rows: Rows = [(k, 20.0 * k, 20.0 * k + 50) for k in range(pcm.size // FRAME)]
    arrivals = arrivals_of(rows, pcm, CLOCK_HZ)
    heard, taken = [], 0
    for pull in range(2 * len(arrivals)):
        while taken < len(arrivals) and arrivals[taken].at_ms <= 10 * pull + 3:
            playout.insert(arrivals[taken].packet, round(arrivals[taken].at_ms * 1e6))
            taken += 1
        playout.minimum_ms = playout.maximum_ms = 60.0 + span_ms * (pull // 400 % 2)
        heard.append(playout.pull())
    return pesq_mean(pcm, np.concatenate(heard), CLOCK_HZ)


def sound(directory: Path, pcm: Pcm) -> None:
    """PESQ (P.862.2, wide band), means over pieces of 8 s that begin and end in silence."""
    print("\nstretching alone, target moving every 4 s")
    for span in (0.0, 40.0, 80.0):
        print(f"  by {span:3.0f} ms   {stretched(pcm, span):.2f}")
    print("losses alone, mean of 5 seeds      heard   last frame repeated and muted")
    for burst, words in ((1, "one by one"), (3, "in threes")):
        for percent in (1, 3, 5, 10):
            sets = [lossy(percent, burst, pcm, seed) for seed in range(5)]
            ours = mean(pesq_mean(pcm, run(rows, pcm, 6.3).pcm, CLOCK_HZ) for rows in sets)
            theirs = mean(pesq_mean(pcm, repeated(rows, pcm), CLOCK_HZ) for rows in sets)
            print(f"  {percent:2d} % {words:12s}              {ours:.2f}    {theirs:.2f}", flush=True)
    if (directory / "traces").exists():
        print("through each trace")
        for name, rows in traces(directory):
            whole = pcm[np.arange(len(rows) * FRAME) % pcm.size]
            print(f"  {name:24s} {pesq_mean(whole, run(rows, pcm, 6.3).pcm, CLOCK_HZ):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, nargs="?", default=SHARED)
    parser.add_argument("--phases", type=float, nargs="+", default=list(PHASES))
    parser.add_argument("--logs", type=Path)
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speech", action="store_true")
    parser.add_argument("--curve")
    given = parser.parse_args()
    pcm = speech(given.directory)
    if given.curve:
        curve(given.directory, given.curve, pcm, given.phases)
    elif given.own or not (given.directory / "score.py").exists():
        table(own(given.seed), pcm, given.phases)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            logs = given.logs or Path(temporary)
            logs.mkdir(exist_ok=True)
            for name, rows in traces(given.directory):
                for phase_ms in given.phases:
                    log = run(rows, pcm, phase_ms).log
                    (logs / f"{name}.{phase_ms}.log").write_text("\n".join(log) + "\n")
            subprocess.run([sys.executable, str(given.directory / "score.py"), str(logs)], check=True)
    if given.speech:
        sound(given.directory, pcm)


if __name__ == "__main__":
    main()
