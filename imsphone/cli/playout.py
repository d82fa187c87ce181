"""`imsphone playout TRACE...`: recorded arrivals through the playout buffer, in virtual time."""

from __future__ import annotations

from pathlib import Path

import click

from imsphone.errors import ProfileError
from imsphone.media.codecs.linear import Linear
from imsphone.media.playout import Playout
from imsphone.media.quality import mos_of, rating
from imsphone.media.replay import DYNAMIC, arrivals_of, replay, trace_rows

CLOCK_HZ = 16_000


@click.command("playout")
@click.argument("traces", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
def command(traces: tuple[Path, ...]) -> None:
    """Replay arrivals (TRACE.csv: seq,send_ms,arrival_ms) through the playout buffer and print what it did."""
    from importlib.resources import as_file, files

    from imsphone.audio.files import read_wav
    from imsphone.media.resample import Resampler

    with as_file(files("imsphone.assets") / "sounds" / "speech.wav") as path:
        said, said_hz = read_wav(path)
    speech = Resampler(said_hz, CLOCK_HZ).feed(said)
    for trace in traces:
        try:
            rows = trace_rows(trace.read_text())
        except (OSError, ValueError) as error:
            raise ProfileError(f"{trace}: cannot be read as a trace ({error}).") from None
        playout = Playout({DYNAMIC: Linear(CLOCK_HZ)})
        replay(playout, arrivals_of(rows, speech, CLOCK_HZ), is_logged=False)
        mean_ms, made_percent = playout.delays.mean_ms, playout.concealed_percent
        r = rating(mean_ms, made_percent)
        click.echo(f"{trace.stem:24} {mean_ms:6.1f} ms  {made_percent:5.2f} %  R {r:.1f}  MOS {mos_of(r):.2f}")
