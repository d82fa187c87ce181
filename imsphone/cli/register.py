"""`imsphone register PROFILE`: does this subscription register, and what does the network say to it?"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from imsphone.events import Event, Registered, RegistrationFailed, Violated


@click.command("register")
@click.argument("profile", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--stay", is_flag=True, help="Stay registered until Ctrl-C instead of deregistering at once.")
@click.option("--ladder", "show_ladder", is_flag=True, help="Draw what crossed the network.")
@click.option(
    "--trace", "trace_file", type=click.Path(dir_okay=False, path_type=Path), help="Write it, .jsonl or .pcapng."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
def command(profile: Path, stay: bool, show_ladder: bool, trace_file: Path | None, as_json: bool) -> None:
    """Register with the network of PROFILE (a TOML file), show what it answered, and deregister again."""
    asyncio.run(_register(profile, stay, show_ladder, trace_file, as_json))


async def _register(path: Path, stay: bool, show_ladder: bool, trace_file: Path | None, as_json: bool) -> None:
    from imsphone.cli.show import save_trace
    from imsphone.phone import Phone
    from imsphone.profile import Profile

    phone = Phone(Profile.load(path))
    try:
        async with phone:
            if as_json:
                phone.on(lambda event: click.echo(json.dumps(event.as_json())))
            elif stay:
                phone.on(_tell)
            registered = await phone.register()
            if not as_json:
                _show(registered)
            if stay:
                if not as_json:
                    click.echo("Staying registered; Ctrl-C deregisters.", err=True)
                await _forever()
    finally:
        if show_ladder and not as_json:
            click.echo(phone.ladder())
        if trace_file is not None:
            save_trace(phone.trace, trace_file)


async def _forever() -> None:
    """Until Ctrl-C or SIGTERM."""
    import signal

    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    await over.wait()


def _show(registered: Registered) -> None:
    click.echo(f"Registered as {registered.impu} for {registered.expires_s} s.")
    click.echo("  Identities     " + ", ".join(registered.impus))
    click.echo("  Service-Route  " + (", ".join(registered.service_route) or "none"))


def _tell(event: Event) -> None:
    match event:
        case Registered(is_refresh=True):
            click.echo(f"Refreshed for {event.expires_s} s.")
        case RegistrationFailed():
            click.echo(event.sentence, err=True)
        case Violated():
            click.echo(f"The network broke {event.clause}: {event.what} ({event.did}).", err=True)
