"""A recorded arrival trace through the playout buffer, in no time.

    rows of (sequence, sent, arrived) ──▶ insert at its arrival ──▶ pull every 10 ms ──▶ sound, log, time series

The pulls begin 60 ms before the first packet and end 100 ms after the last. The log tells what a judge of playout
buffers needs, one line each:

    P,t_ms,kind,pos_end_ms      a pull: nothing yet (0), true sound (1), all made up (2); where in the stream it ended
    F,seq,t_ms,play_ms          a frame was decoded; when its first sample sounds
    C,t_ms,ms                   so much was made up, for lost packets and while waiting alike
    S,key,value                 totals: pull_ms, inserted_ms, removed_ms
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from imsphone.errors import ParseError
from imsphone.media.codecs.codec import Pcm
from imsphone.media.codecs.linear import Linear
from imsphone.media.playout import PULL_MS, Playout
from imsphone.rtp.packet import Packet

BEFORE_MS, AFTER_MS = 60.0, 100.0
DYNAMIC = 96
STEP_MS = 0.001
"""What happens within a pull has an order, though no duration."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet of a trace, and when it came (ms)."""

    packet: Packet
    at_ms: float


@dataclass(frozen=True, slots=True)
class Moment:
    """The state right after one pull; times in ms."""

    at_ms: float
    delay_ms: float
    target_ms: float
    fill_ms: float
    made_ms: float
    inserted_ms: float
    removed_ms: float


@dataclass(slots=True)
class Run:
    """What a replay left behind."""

    playout: Playout
    pcm: Pcm
    log: list[str]
    moments: list[Moment] = field(default_factory=list)


def trace_rows(text: str) -> list[tuple[int, float, float | None]]:
    """The rows of a trace: sequence, sent, arrived (ms; None for `lost`). Raises ParseError."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line[:1].isdigit():
            continue
        try:
            sequence, sent, arrived = line.split(",")
            rows.append((int(sequence), float(sent), None if arrived.strip() == "lost" else float(arrived)))
        except ValueError:
            raise ParseError(f"seq,send_ms,arrival_ms in line {number}", number) from None
    if not any(arrived is not None for _, _, arrived in rows):
        raise ParseError("at least one packet that arrived", 0)
    return rows


def arrivals_of(
    rows: Iterable[tuple[int, float, float | None]], speech: Pcm, clock_hz: int, frame_ms: float = 20.0
) -> list[Arrival]:
    """The packets of a trace as L16, filled with `speech` again and again, in the order of their arrival."""
    codec = Linear(clock_hz)
    samples = round(clock_hz * frame_ms / 1000)
    arrivals = []
    for sequence, _, arrived in rows:
        if arrived is not None:
            at = np.arange(sequence * samples, (sequence + 1) * samples) % speech.size
            packet = Packet(DYNAMIC, sequence & 0xFFFF, sequence * samples & 0xFFFFFFFF, 1, codec.encode(speech[at]))
            arrivals.append(Arrival(packet, arrived))
    return sorted(arrivals, key=lambda arrival: arrival.at_ms)


def replay(
    playout: Playout, arrivals: list[Arrival], phase_ms: float = 0.0, *, is_logged: bool = True, is_drawn: bool = False
) -> Run:
    """Runs the whole trace; the first pull is `phase_ms` later than it might be."""
    blocks: list[Pcm] = []
    run = Run(playout, np.zeros(0, np.int16), [])
    per_ms = playout.clock_hz / 1000
    before = (0, 0)
    waiting = iter(arrivals)
    arrival = next(waiting, None)
    for at_ms in _pulls(arrivals, phase_ms):
        while arrival is not None and arrival.at_ms <= at_ms:
            playout.insert(arrival.packet, round(arrival.at_ms * 1e6))
            arrival = next(waiting, None)
        blocks.append(playout.pull())
        if is_logged:
            run.log.extend(_lines(playout, at_ms))
        if is_drawn:
            counts = playout.counts
            run.moments.append(
                Moment(
                    at_ms,
                    playout.delay_ms,
                    playout.target_ms,
                    playout.fill_ms,
                    playout.made / per_ms,
                    (counts.inserted - before[0]) / per_ms,
                    (counts.removed - before[1]) / per_ms,
                )
            )
            before = counts.inserted, counts.removed
    run.pcm = np.concatenate(blocks)
    totals = {"pull_ms": PULL_MS}
    totals |= {"inserted_ms": playout.counts.inserted / per_ms, "removed_ms": playout.counts.removed / per_ms}
    run.log += [f"S,{key},{value:.3f}" for key, value in totals.items()]
    return run


def _pulls(arrivals: list[Arrival], phase_ms: float) -> Iterator[float]:
    at_ms = arrivals[0].at_ms - BEFORE_MS + phase_ms
    while at_ms < arrivals[-1].at_ms + AFTER_MS:
        yield at_ms
        at_ms += PULL_MS


def _lines(playout: Playout, at_ms: float) -> Iterator[str]:
    """What the last pull adds to the log."""
    per_ms = playout.clock_hz / 1000
    for order, (event, value) in enumerate(playout.events):
        when = at_ms + order * STEP_MS
        if event == "decoded":
            yield f"F,{value},{when:.3f},{at_ms + PULL_MS:.3f}"
        elif event == "made":
            yield f"C,{when:.3f},{value / per_ms:.4f}"
    if playout.position is None:
        yield f"P,{at_ms:.3f},0,0"
    else:
        kind = 2 if playout.made >= playout.clock_hz * PULL_MS / 1000 else 1
        yield f"P,{at_ms:.3f},{kind},{playout.position / per_ms:.4f}"
