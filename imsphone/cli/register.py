"""`imsphone register PROFILE`: does this subscription register, and what does the network say to it?"""

from __future__ import annotations

import asyncio
import json
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imsphone.cli.esp_keys import KeyFile
from imsphone.cli.outputs import TRACE_FILE, expect_apart
from imsphone.cli.run import run, signalled
from imsphone.cli.say import plain, say
from imsphone.events import (
    Deregistered,
    Event,
    FlowLost,
    FlowOpened,
    NetworkChanged,
    Registered,
    RegistrationFailed,
    RegistrationSeen,
    RegistrationUnseen,
    TextReceived,
    Violated,
)

if TYPE_CHECKING:
    from imsphone.phone import Phone


@click.command("register")
@click.argument("profile", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--stay", is_flag=True, help="Stay registered until Ctrl-C; where nothing answers, go on trying.")
@click.option("--watch", is_flag=True, help="Stay, and show what the network holds of you whenever that changes.")
@click.option("--ladder", "show_ladder", is_flag=True, help="Draw what crossed the network.")
@click.option("--trace", "trace_file", type=TRACE_FILE, help="Write it, .jsonl or .pcapng.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event.")
@click.option(
    "--esp-keys",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the KEYS of IPsec here, for Wireshark (its file esp_sa); only you may read that file.",
)
def command(
    profile: Path,
    stay: bool,
    watch: bool,
    show_ladder: bool,
    trace_file: Path | None,
    as_json: bool,
    esp_keys: Path | None,
) -> None:
    """Register with the network of PROFILE (a TOML file), show what it answered, and deregister again."""
    expect_apart(trace=trace_file, **{"esp-keys": esp_keys})
    with closing(KeyFile(esp_keys)) if esp_keys else nullcontext() as keys:
        run(_register(profile, stay or watch, watch, show_ladder, trace_file, as_json, keys))


async def _register(
    path: Path,
    stay: bool,
    watch: bool,
    show_ladder: bool,
    trace_file: Path | None,
    as_json: bool,
    keys: KeyFile | None,
) -> None:
    from imsphone.cli.show import look, save_trace
    from imsphone.phone import Phone
    from imsphone.profile import Profile

    profile = Profile.load(path)
    phone = Phone(
        replace(profile, keep_trying=True) if stay else profile,
        on_protected=keys.add if keys else None,
    )
    try:
        async with phone:
            if as_json:
                phone.on(lambda event: say(json.dumps(event.as_json())))
            else:
                phone.on(partial(_tell, phone))
                if watch:
                    phone.on(_tell_seen)
            registered = await phone.register()
            if not as_json:
                _show(registered, phone)
                _show_associations(phone)
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
            say(event.sentence, err=True)
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
    if phone.profile.transport == "TLS":
        say("  Protected      by TLS")
    say("  Identities     " + ", ".join(registered.impus))
    say("  Service-Route  " + (", ".join(registered.service_route) or "none"))


def _show_associations(phone: Phone) -> None:
    """Those that are there: what came since is below what was there before."""
    from imsphone.lifespan import table

    if living := phone.associations:
        say(table(living, start=living[0].since, now=phone.now()))


def _tell_leaving(event: Event) -> None:
    if isinstance(event, RegistrationFailed):
        say(f"Not deregistered: {event.sentence}", err=True)


def _tell(phone: Phone, event: Event) -> None:
    match event:
        case Registered(is_refresh=True):
            say(f"Refreshed for {event.expires_s} s.")
            _show_associations(phone)
        case NetworkChanged():
            say("The own address has changed: registering from the new one.")
        case FlowOpened():
            say(f"Registered by {event.pcscf} too.")
        case FlowLost():
            say(f"One of the flows is lost: {event.sentence}", err=True)
        case RegistrationFailed(is_final=False):
            say(event.sentence, err=True)
        case TextReceived():
            say(f"Text from {plain(event.remote)}: {plain(event.body)}")
        case Violated():
            say(f"The network broke {event.clause}: {event.what} ({event.did}).", err=True)
