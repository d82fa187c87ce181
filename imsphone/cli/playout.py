"""`imsphone playout FILE...`: recorded arrivals through the playout buffer, in virtual time.

TRACE.csv, CAPTURE.pcap ──▶ four replays, pulled at four phases to the packets ──▶ figures: the mean of the four
                            └▶ of the first: sound (-o), picture (--plot)         └▶ a log of each (--log)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imsphone.errors import ProfileError

if TYPE_CHECKING:
    from imsphone.cli.recording import Recording
    from imsphone.cli.score import Score
    from imsphone.media.replay import Run

PHASES_MS = (1.3, 6.3, 11.3, 16.3)
MOST_MS = 1000.0

# figure of `cli.score.Score` → heading of its column, decimals, and what it is where there is room to say so
_COLUMNS = {
    "mean_ms": ("mean ms", 1, "delay in the buffer, mean (ms above the fastest packet)"),
    "p95_ms": ("p95", 0, "delay in the buffer, p95 (ms)"),
    "concealed_percent": ("conc %", 2, "sound made up (%)"),
    "lost": ("lost", 0, "packets that never came"),
    "late": ("late", 0, "packets that came too late"),
    "jlr_percent": ("JLR %", 2, "jitter-induced operations, TS 26.114 (% of packets)"),
    "stretched_percent": ("str %", 2, "sound stretched (%)"),
    "jitter_ms": ("jitter", 1, "jitter, RFC 3550, at the end (ms)"),
    "r": ("R", 1, "R (E-model, 120 ms on top)"),
    "mos": ("MOS", 2, "MOS (E-model)"),
}
_MORE = {
    "duplicated": ("", 0, "packets that came twice"),
    "burst_density": ("", 3, "burst density, RFC 3611 (share lost)"),
    "burst_ms": ("", 0, "burst duration (ms)"),
    "gap_density": ("", 3, "gap density (share lost)"),
    "gap_ms": ("", 0, "gap duration (ms)"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    minimum_ms: float
    maximum_ms: float
    offset_ms: float
    wav: Path | None
    log: Path | None
    plot: Path | None
    between_s: tuple[float, float] | None


_file = click.Path(dir_okay=False, path_type=Path)


@click.command("playout")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=_file)
@click.option("-o", "--out", type=_file, help="Write what was heard to this WAV file.")
@click.option("--log", type=click.Path(file_okay=False, path_type=Path), help="Write TRACE.PHASE.log to this folder.")
@click.option("--plot", type=_file, help='Draw it into this PNG file (needs pip install "imsphone[plot]").')
@click.option("--between", nargs=2, type=float, metavar="FROM TO", help="Draw only these seconds.")
@click.option("--mode", type=click.Choice(["adaptive", "fixed"]), default="adaptive", show_default=True)
@click.option("--min", "minimum", type=click.FloatRange(0, MOST_MS), help="Delay at least so many ms.")
@click.option("--max", "maximum", type=click.FloatRange(0, MOST_MS), help="Delay at most so many ms.")
@click.option("--delay", type=click.FloatRange(0, MOST_MS), help="The delay of --mode fixed, in ms.")
@click.option("--offset", default=0.0, type=click.FloatRange(0, MOST_MS), help="Wait so much more (lip-sync), in ms.")
@click.option(
    "--ssrc", help="The stream of a capture, as 0x1234ABCD or decimal; default: the longest that can be decoded."
)
@click.option("--speech", "is_spoken", is_flag=True, help="Play a recording in place of a capture's payload.")
@click.option("--json", "as_json", is_flag=True, help="The figures as one JSON object.")
def command(
    paths: tuple[Path, ...],
    out: Path | None,
    log: Path | None,
    plot: Path | None,
    between: tuple[float, float] | None,
    mode: str,
    minimum: float | None,
    maximum: float | None,
    delay: float | None,
    offset: float,
    ssrc: str | None,
    is_spoken: bool,
    as_json: bool,
) -> None:
    """Replay arrivals through the playout buffer, in no time, and measure what it did.

    FILE is a trace (lines of seq,send_ms,arrival_ms, the last one "lost" for a packet that never came), which carries
    speech, or a capture (pcap, pcapng), whose own PCMA or PCMU is played. All figures are means over four replays that
    pull at four phases to the packets; sound and picture are of the first.
    """
    from imsphone.cli import chart
    from imsphone.cli.recording import recording

    least, most = _limits(mode, minimum, maximum, delay)
    if between is not None and not between[0] < between[1]:
        raise click.UsageError("--between wants the earlier second first.")
    if plot is not None:
        chart.expect_library()
    stems = [path.stem for path in paths]
    if (out or log or plot) and len(set(stems)) < len(stems):
        raise ProfileError(
            "two files have the same name, and so would what is written of them; replay them one by one."
        )
    number = _ssrc(ssrc)
    rows: dict[Path, tuple[Recording, Score]] = {}
    for path in paths:
        one = recording(path, number, is_spoken=is_spoken)
        options = Options(least, most, offset, _named(out, path, paths), log, _named(plot, path, paths), between)
        rows[path] = one, _replayed(one, options)
    if as_json:
        click.echo(
            json.dumps({str(path): {"stream": one.note} | score.as_json() for path, (one, score) in rows.items()})
        )
    else:
        click.echo(_table([(one, score) for one, score in rows.values()]))


def _limits(mode: str, minimum: float | None, maximum: float | None, delay: float | None) -> tuple[float, float]:
    if mode == "fixed":
        if delay is None or minimum is not None or maximum is not None:
            raise click.UsageError("--mode fixed goes with --delay MS, and without --min and --max.")
        return delay, delay
    if delay is not None:
        raise click.UsageError("--delay goes with --mode fixed; an adaptive delay has --min and --max.")
    least, most = minimum or 0.0, MOST_MS if maximum is None else maximum
    if least > most:
        raise click.UsageError(f"--min {least:g} is above --max {most:g}.")
    return least, most


def _ssrc(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number < 2**32:
        raise click.UsageError(f"--ssrc {text} is no 32-bit number; write it as 0x1234ABCD or in decimal.")
    return number


def _named(path: Path | None, file: Path, files: tuple[Path, ...]) -> Path | None:
    """Where something of one of several files goes: out.png → out-TRACE.png."""
    if path is None or len(files) == 1:
        return path
    return path.with_name(f"{path.stem}-{file.stem}{path.suffix}")


def _replayed(one: Recording, options: Options) -> Score:
    """Four replays; writes what was asked for."""
    from imsphone.audio.files import WavSink
    from imsphone.cli import chart
    from imsphone.cli.score import mean_of, score
    from imsphone.media.playout import Playout
    from imsphone.media.replay import replay

    runs: list[Run] = []
    for phase_ms in PHASES_MS:
        playout = Playout(
            one.codecs,
            minimum_ms=options.minimum_ms,
            maximum_ms=options.maximum_ms,
            offset_ms=options.offset_ms,
        )
        is_drawn = options.plot is not None and not runs
        runs.append(replay(playout, one.arrivals, phase_ms, is_drawn=is_drawn))
    scores = [score(one, run) for run in runs]
    if options.wav is not None:
        sink = WavSink(options.wav, runs[0].playout.clock_hz)
        sink.write(runs[0].pcm)
        sink.close()
    if options.log is not None:
        try:
            options.log.mkdir(parents=True, exist_ok=True)
            for phase_ms, run in zip(PHASES_MS, runs, strict=True):
                (options.log / f"{one.name}.{phase_ms}.log").write_text("\n".join(run.log) + "\n")
        except OSError as error:
            raise ProfileError(f"cannot write logs to {options.log}: {error.strerror}") from None
    if options.plot is not None:
        chart.draw(options.plot, one, runs[0], scores[0], options.between_s)
    return mean_of(scores)


def _table(rows: list[tuple[Recording, Score]]) -> str:
    """One row for each of several recordings and their means; of a single one, one line for each figure."""
    from imsphone.cli.score import mean_of

    if len(rows) == 1:
        ((one, score),) = rows
        shown = (_COLUMNS | _MORE).items()
        lines = [f"  {what:58}{getattr(score, name):>9,.{digits}f}" for name, (_, digits, what) in shown]
        return "\n".join([one.name + (f": {one.note}" if one.note else ""), *lines])
    width = max(len(one.name) for one, _ in rows)
    lines = [" " * width + "".join(f"{heading:>9}" for heading, _, _ in _COLUMNS.values())]
    for name, score in [*((one.name, score) for one, score in rows), ("mean", mean_of([score for _, score in rows]))]:
        cells = (f"{getattr(score, figure):>9,.{digits}f}" for figure, (_, digits, _) in _COLUMNS.items())
        lines.append(f"{name:{width}}" + "".join(cells))
    return "\n".join(lines)
