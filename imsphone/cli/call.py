"""`imsphone call PROFILE TARGET`: registers, calls, talks, hangs up, deregisters."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click


@click.command("call")
@click.argument("profile", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target")
@click.option(
    "--play", "play_file", type=click.Path(dir_okay=False, path_type=Path), help="Say this WAV file, then hang up."
)
@click.option(
    "--record", "record_file", type=click.Path(dir_okay=False, path_type=Path), help="Keep the far end's sound here."
)
@click.option("--seconds", type=float, help="Hang up after so long.")
@click.option(
    "--ring-timeout", type=float, default=60.0, show_default=True, help="How long to let it ring, in seconds."
)
@click.option("--ladder", "show_ladder", is_flag=True, help="Draw what crossed the network.")
@click.option(
    "--trace", "trace_file", type=click.Path(dir_okay=False, path_type=Path), help="Write it, .jsonl or .pcapng."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
def command(
    profile: Path,
    target: str,
    play_file: Path | None,
    record_file: Path | None,
    seconds: float | None,
    ring_timeout: float,
    show_ladder: bool,
    trace_file: Path | None,
    as_json: bool,
) -> None:
    """Call TARGET (a number, a user of the home domain, a SIP address) with the subscription of PROFILE.

    Without --play the default microphone and loudspeaker are the call's sound, until Ctrl-C or the far end hangs up.
    """
    asyncio.run(_call(profile, target, play_file, record_file, seconds, ring_timeout, show_ladder, trace_file, as_json))


async def _call(
    path: Path,
    target: str,
    play_file: Path | None,
    record_file: Path | None,
    seconds: float | None,
    ring_timeout: float,
    show_ladder: bool,
    trace_file: Path | None,
    as_json: bool,
) -> None:
    from imsphone.audio.files import read_wav
    from imsphone.audio.null import silence
    from imsphone.cli.show import card, save_trace
    from imsphone.phone import Phone
    from imsphone.profile import Profile

    loaded = Profile.load(path)
    if play_file is not None:
        read_wav(play_file)  # before anything rings
    phone = Phone(loaded, audio=silence if play_file is not None else card())
    try:
        async with phone:
            if as_json:
                phone.on(lambda event: click.echo(json.dumps(event.as_json())))
            await phone.register()
            async with await phone.call(target) as call:
                say = (lambda text: None) if as_json else click.echo
                say(f"Calling {target} ...")
                await call.answered(timeout=ring_timeout)
                say(f"Answered, {call.codec}.")
                if record_file is not None:
                    await call.record(record_file)
                if play_file is not None:
                    await call.play(play_file)
                else:
                    await _until_over(call.ended(), seconds)
            if call.end is not None and not as_json:
                click.echo(f"Ended by the {call.end.by} side.")
            if not as_json:
                from imsphone.cli.report import media_lines

                click.echo("\n".join(media_lines(call.figures)))
    finally:
        if show_ladder and not as_json:
            click.echo(phone.ladder())
        if trace_file is not None:
            save_trace(phone.trace, trace_file)


async def _until_over(ended: Coroutine[Any, Any, object], seconds: float | None) -> None:
    """Until the far end hangs up, `seconds` have gone by, or Ctrl-C."""
    over = asyncio.ensure_future(ended)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.cancel)
    with contextlib.suppress(asyncio.CancelledError, TimeoutError):
        await asyncio.wait_for(over, seconds)
