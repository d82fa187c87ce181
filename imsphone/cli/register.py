"""`imsphone register PROFILE`: does this subscription register, and what does the network say to it?"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imsphone.cli.outputs import TRACE_FILE
from imsphone.cli.run import run, signalled
from imsphone.cli.say import plain, say
from imsphone.events import (
    Deregistered,
    Event,
    Registered,
    RegistrationFailed,
    RegistrationSeen,
    RegistrationUnseen,
    TextReceived,
    Violated,
)

if TYPE_CHECKING:
    from imsphone.phone import Phone

_KEEP_ALIVE_S = 5  # who stays wants to know soon that the P-CSCF is gone


@click.command("register")
@click.argument("profile", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--stay", is_flag=True, help="Stay registered until Ctrl-C; where nothing answers, go on trying.")
@click.option("--watch", is_flag=True, help="Stay, and show what the network holds of you whenever that changes.")
@click.option("--ladder", "show_ladder", is_flag=True, help="Draw what crossed the network.")
@click.option("--trace", "trace_file", type=TRACE_FILE, help="Write it, .jsonl or .pcapng.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
def command(profile: Path, stay: bool, watch: bool, show_ladder: bool, trace_file: Path | None, as_json: bool) -> None:
    """Register with the network of PROFILE (a TOML file), show what it answered, and deregister again."""
    run(_register(profile, stay or watch, watch, show_ladder, trace_file, as_json))


async def _register(
    path: Path, stay: bool, watch: bool, show_ladder: bool, trace_file: Path | None, as_json: bool
) -> None:
    from imsphone.cli.show import look, save_trace
    from imsphone.phone import Phone
    from imsphone.profile import Profile

    profile = Profile.load(path)
    phone = Phone(
        replace(profile, keep_trying=True, keep_alive_s=profile.keep_alive_s or _KEEP_ALIVE_S) if stay else profile
    )
    try:
        async with phone:
            if as_json:
                phone.on(lambda event: say(json.dumps(event.as_json())))
            else:
                phone.on(_tell)
                if watch:
                    phone.on(_tell_seen)
            registered = await phone.register()
            if not as_json:
                _show(registered, phone)
            if stay:
                if not as_json:
                    click.echo("Staying registered; Ctrl-C deregisters.", err=True)
                await _stay(phone)
            phone.on(_tell_leaving)
    finally:
        if show_ladder and not as_json:
            say(phone.ladder(**look()))
        if trace_file is not None and phone.trace:
            save_trace(phone.trace, trace_file)


def _tell_seen(event: Event) -> None:
    """What the network holds of this phone, an identity and its contacts a line each."""
    match event:
        case RegistrationUnseen():
            click.echo(event.sentence, err=True)
        case RegistrationSeen():
            say("The network holds:")
            for one in event.identities:
                say(f"  {one['impu']}  {one['state']}")
                for contact in one["contacts"]:
                    left = "" if contact["expires_s"] is None else f", {contact['expires_s']} s"
                    ours = "  (this phone)" if contact["is_ours"] else ""
                    say(f"    {contact['uri']}  {contact['state']}: {contact['event']}{left}{ours}")
        case Deregistered(by="network"):
            say("The network took the registration away.")


async def _stay(phone: Phone) -> None:
    """Until Ctrl-C, or the registration is lost for good: then it raises why."""
    from imsphone.refusal import registration_error

    waits = over, lost = asyncio.ensure_future(signalled()), asyncio.ensure_future(phone.until(RegistrationFailed))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        over.cancel()
        lost.cancel()
    if lost.done():
        raise registration_error(lost.result())


def _show(registered: Registered, phone: Phone) -> None:
    say(f"Registered as {registered.impu} for {registered.expires_s} s.")
    if registered.protection:
        say(f"  Protected      by IPsec, {registered.protection}")
        for (spi, source, target), _, packets, *_ in phone.associations:
            say(f"    {source} → {target}  spi {spi:08x}, {packets} packet{'s' if packets != 1 else ''}")
    if phone.profile.transport == "TLS":
        say("  Protected      by TLS")
    say("  Identities     " + ", ".join(registered.impus))
    say("  Service-Route  " + (", ".join(registered.service_route) or "none"))


def _tell_leaving(event: Event) -> None:
    if isinstance(event, RegistrationFailed):
        click.echo(f"Not deregistered: {event.sentence}", err=True)


def _tell(event: Event) -> None:
    match event:
        case Registered(is_refresh=True):
            say(f"Refreshed for {event.expires_s} s.")
        case RegistrationFailed(is_final=False):
            click.echo(event.sentence, err=True)
        case TextReceived():
            say(f"Text from {plain(event.remote)}: {plain(event.body)}")
        case Violated():
            click.echo(f"The network broke {event.clause}: {event.what} ({event.did}).", err=True)
