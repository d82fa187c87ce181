"""What a replay was worth: how long sound waited, and how much of it was made up.

    delay   time of playout − time of sending − the least of all packets     ← what the buffer adds, mouth to ear
    made up sound that nobody sent, over sound played                        ← losses of the network included
    JLR     frames late or cut, and frames inserted, over frames sent        ← TS 26.114 8.2.3: less than 1 %

All three come from the log, that is from outside: what the buffer believes of itself does not count. R is the E-model's
with `ELSEWHERE_MS` on top of the buffer. The first second is left out of the delay: every buffer begins somehow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from imsphone.cli.recording import Recording, Series
from imsphone.errors import StateError
from imsphone.media.quality import mos_of, rating
from imsphone.media.replay import Run

ELSEWHERE_MS = 120.0
"""Codec, framing, the radio's least, devices."""
WARM_UP_MS = 1000.0
HEARD = 1
"""The kind of a pull of true sound."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The figures of one replay, or the means of several."""

    mean_ms: float
    p95_ms: float
    concealed_percent: float
    lost: float
    """Packets that never came."""
    late: float
    """Packets that came too late to be heard."""
    duplicated: float
    jlr_percent: float
    stretched_percent: float
    """Sound inserted and removed by stretching, over sound played."""
    jitter_ms: float
    """RFC 3550 6.4.1, at the end."""
    burst_density: float
    """RFC 3611 4.7.2: the share of packets lost within bursts ..."""
    gap_density: float
    """... and between them; then the mean length of both."""
    burst_ms: float
    gap_ms: float
    r: float
    mos: float

    def as_json(self) -> dict[str, float]:
        """The figures, rounded to what they are worth."""
        return {f.name: round(float(getattr(self, f.name)), 4 if "density" in f.name else 2) for f in fields(self)}


def score(recording: Recording, run: Run) -> Score:
    """Judges one replay by its log. Raises StateError where nothing was heard."""
    log = Log(run.log)
    heard = np.flatnonzero(log.kind == HEARD)
    if not heard.size:
        raise StateError(f"nothing of {recording.name} was heard: it is shorter than the delay that was asked for.")
    within = slice(heard[0], heard[-1] + 1)
    at_ms, position_ms = log.at_ms[within], log.position_ms[within]
    is_told = (log.kind[within] == HEARD) & ~is_silence(recording, log)[within]
    delay_ms = playout_delay(recording, at_ms, position_ms)[is_told]
    after = delay_ms[at_ms[is_told] > at_ms[0] + WARM_UP_MS]
    delay_ms = after if after.size else delay_ms
    played_ms = log.pull_ms * at_ms.size
    concealed = 100 * float(log.made_ms.sum()) / played_ms
    mean_ms = float(delay_ms.mean())
    r = rating(ELSEWHERE_MS + mean_ms, concealed)
    return _with_counts(
        run,
        recording.frame_ms,
        mean_ms=mean_ms,
        p95_ms=float(np.percentile(delay_ms, 95)),
        concealed_percent=concealed,
        jlr_percent=_jlr_percent(recording, log),
        stretched_percent=100 * log.stretched_ms / played_ms,
        r=r,
        mos=mos_of(r),
    )


def mean_of(scores: Sequence[Score]) -> Score:
    """Each figure's mean."""
    return Score(**{f.name: float(np.mean([getattr(one, f.name) for one in scores])) for f in fields(Score)})


class Log:
    """The lines of a run as columns."""

    def __init__(self, lines: Sequence[str]) -> None:
        rows: dict[str, list[list[str]]] = {"P": [], "F": [], "C": [], "S": []}
        for line in lines:
            letter, *values = line.split(",")
            rows[letter].append(values)
        pulls = np.array(rows["P"], np.float64).reshape(-1, 3)
        self.at_ms, self.kind, self.position_ms = pulls.T
        frames = np.array([row[:2] for row in rows["F"]], np.float64).reshape(-1, 2)
        self.frame, self.decoded_at_ms = frames.T
        made = np.array(rows["C"], np.float64).reshape(-1, 2)
        self.made_at_ms, self.made_ms = made.T
        totals = {key: float(value) for key, value in rows["S"]}
        self.pull_ms = totals["pull_ms"]
        self.stretched_ms = totals["inserted_ms"] + totals["removed_ms"]


def is_silence(recording: Recording, log: Log) -> Flags:
    """Which pulls gave the comfort noise of a sender that fell silent: it said so last, and the stream stands still."""
    last = np.searchsorted(log.decoded_at_ms, log.at_ms, "right") - 1
    said = np.isin(log.frame, recording.silent)
    stands = np.concatenate(([False], np.diff(log.position_ms) == 0))
    return np.asarray(stands & (last >= 0) & np.append(said, False)[last], np.bool_)


def playout_delay(recording: Recording, at_ms: Series, position_ms: Series) -> Series:
    """How long after it was sent, above the least, the last sample of each pull sounds."""
    return at_ms + 10.0 - recording.sent_at(position_ms)


def _jlr_percent(recording: Recording, log: Log) -> float:
    """What jitter did: frames that came and were not played, frames' worth of waiting, frames cut short."""
    if log.frame.size < 2:
        return 0.0
    made_ms = np.concatenate(([0.0], np.cumsum(log.made_ms)))[np.searchsorted(log.made_at_ms, log.decoded_at_ms)]
    concealed = np.diff(made_ms) / recording.frame_ms
    before, after = log.frame[:-1], log.frame[1:]
    gap = after - before - 1
    came = recording.sequence[~np.isnan(recording.arrived_ms)]
    late = np.searchsorted(came, after, "left") - np.searchsorted(came, before, "right")
    inserted = np.maximum(0.0, concealed - gap)
    cut = np.maximum(0.0, np.floor(gap - concealed - late + 1e-6))
    operations = (late + inserted + cut)[gap >= 0]
    return 100 * float(operations.sum()) / float(log.frame[-1] - log.frame[0] + 1)


def _with_counts(run: Run, frame_ms: float, **figures: float) -> Score:
    playout, counts = run.playout, run.playout.counts
    burst_density, gap_density, burst_ms, gap_ms = playout.bursts.densities(frame_ms)
    return Score(
        **figures,
        lost=counts.lost,
        late=counts.late,
        duplicated=counts.duplicated,
        jitter_ms=playout.arrivals.jitter_ms,
        burst_density=burst_density,
        gap_density=gap_density,
        burst_ms=burst_ms,
        gap_ms=gap_ms,
    )
