"""`imsphone call PROFILE TARGET`: registers, calls, talks, hangs up, deregisters."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imsphone.cli.outputs import TRACE_FILE, OutFile, expect_apart
from imsphone.cli.run import run, signalled
from imsphone.cli.say import say
from imsphone.errors import ImsPhoneError, ParseError

if TYPE_CHECKING:
    from imsphone.call import Call
    from imsphone.phone import Phone

AT_LEAST_S = click.FloatRange(min=0, min_open=True)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    target: str
    play_file: Path | None
    record_file: Path | None
    seconds: float | None
    ring_timeout_s: float
    is_json: bool

    def say(self, text: str) -> None:
        """For people only."""
        if not self.is_json:
            say(text)


@click.command("call")
@click.argument("profile", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target")
@click.option(
    "--play", "play_file", type=click.Path(dir_okay=False, path_type=Path), help="Say this WAV file, then hang up."
)
@click.option("--record", "record_file", type=OutFile(), help="Keep the far end's sound in this WAV file.")
@click.option("--seconds", type=AT_LEAST_S, help="Hang up after so long, whatever is left of the file.")
@click.option(
    "--ring-timeout", type=AT_LEAST_S, default=60.0, show_default=True, help="How long to let it ring, in seconds."
)
@click.option("--ladder", "show_ladder", is_flag=True, help="Draw what crossed the network.")
@click.option("--trace", "trace_file", type=TRACE_FILE, help="Write it, .jsonl or .pcapng.")
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
    expect_apart(play=play_file, record=record_file, trace=trace_file)
    options = Options(target, play_file, record_file, seconds, ring_timeout, as_json)
    run(_call(profile, options, show_ladder, trace_file))


async def _call(path: Path, options: Options, show_ladder: bool, trace_file: Path | None) -> None:
    from imsphone.audio.files import expect_wav
    from imsphone.audio.null import silence
    from imsphone.cli.show import card, look, save_trace
    from imsphone.ims.identity import Identity
    from imsphone.ims.target import target_of
    from imsphone.phone import Phone
    from imsphone.profile import Profile

    profile = Profile.load(path)
    try:
        target_of(options.target, "card.invalid" if profile.sim else Identity.of(profile).home_domain)
    except ParseError as error:
        sentence = f'"{options.target}" cannot be called; expected {error.expected}'
        raise click.BadParameter(sentence, param_hint="TARGET") from None
    if options.play_file is not None:
        expect_wav(options.play_file)  # before anything rings
    phone = Phone(profile, audio=silence if options.play_file is not None else card())
    try:
        async with phone:
            if options.is_json:
                phone.on(lambda event: say(json.dumps(event.as_json())))
            await phone.register()
            await _converse(phone, options)
    finally:
        if show_ladder:
            options.say(phone.ladder(**look()))
        if trace_file is not None and phone.trace:
            save_trace(phone.trace, trace_file)


async def _converse(phone: Phone, options: Options) -> None:
    from imsphone.cli.report import media_lines

    async with await phone.call(options.target) as call:
        options.say(f"Calling {options.target} ...")
        await call.answered(timeout=options.ring_timeout_s)
        options.say(f"Answered, {call.codec}.")
        if options.record_file is not None:
            await call.record(options.record_file)
        is_through = await _talk(call, options)
    assert call.end is not None
    options.say(f"Ended by the {call.end.by} side.")
    options.say("\n".join(media_lines(call.figures)))
    if call.end.by != "local" and options.play_file is not None and not is_through:
        raise ImsPhoneError(f"the call ended before {options.play_file.name} was through")


async def _talk(call: Call, options: Options) -> bool:
    """Until the file is through, the far end hangs up or the time is over; whether the file is through.

    Without a file Ctrl-C is the way to hang up, and no interruption.
    """
    saying = signalled() if options.play_file is None else call.play(options.play_file)
    waits = said, over = asyncio.ensure_future(saying), asyncio.ensure_future(call.ended())
    try:
        await asyncio.wait(waits, timeout=options.seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        said.cancel()
        over.cancel()
    return said.done() and said.exception() is None
