"""`imsphone text PROFILE TARGET TEXT`: registers, sends a text, shows what comes back, deregisters."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import click

from imsphone.cli.outputs import TRACE_FILE
from imsphone.cli.run import run
from imsphone.cli.say import plain, say
from imsphone.errors import ParseError


@click.command("text")
@click.argument("profile", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target")
@click.argument("text")
@click.option("--wait", default=2.0, show_default=True, type=click.FloatRange(min=0), help="Seconds for an answer.")
@click.option("--ladder", "show_ladder", is_flag=True, help="Draw what crossed the network.")
@click.option("--trace", "trace_file", type=TRACE_FILE, help="Write it, .jsonl or .pcapng.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
def command(
    profile: Path, target: str, text: str, wait: float, show_ladder: bool, trace_file: Path | None, as_json: bool
) -> None:
    """Send TEXT to TARGET (a number, a user of the home domain, a SIP address) with the subscription of PROFILE."""
    run(_text(profile, target, text, wait, show_ladder, trace_file, as_json))


async def _text(
    path: Path, target: str, text: str, wait_s: float, show_ladder: bool, trace_file: Path | None, as_json: bool
) -> None:
    from imsphone.cli.show import look, save_trace
    from imsphone.ims.identity import Identity
    from imsphone.ims.target import target_of
    from imsphone.phone import Phone
    from imsphone.profile import Profile

    profile = Profile.load(path)
    try:
        target_of(target, Identity.of(profile).home_domain)
    except ParseError as error:
        sentence = f'"{target}" cannot be written to; expected {error.expected}'
        raise click.BadParameter(sentence, param_hint="TARGET") from None
    phone = Phone(profile)
    try:
        async with phone:
            if as_json:
                phone.on(lambda event: say(json.dumps(event.as_json())))
            await phone.register()
            delivered = await phone.text(target, text)
            if not as_json:
                say("Delivered." if delivered.status != 202 else "Taken by the network, which will deliver it.")
            with contextlib.suppress(TimeoutError):
                answer = await phone.incoming_text(wait_s)
                if not as_json:
                    say(f"{plain(answer.remote)}: {plain(answer.body)}")
    finally:
        if show_ladder and not as_json:
            say(phone.ladder(**look()))
        if trace_file is not None and phone.trace:
            save_trace(phone.trace, trace_file)
