"""`imsphone card`: which readers there are, and who the card in one says that its holder is.

Who has no card may put one in software into the virtual reader of PC/SC: `--insert`.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imsphone.cli.run import run, signalled
from imsphone.cli.say import say
from imsphone.errors import CardError

if TYPE_CHECKING:
    from imsphone.net.card import Card


@click.command("card")
@click.argument("reader", required=False, default="")
@click.option("--pin", help="Where the PIN is: keyring:NAME, file:PATH or env:VARIABLE; never the PIN itself.")
@click.option("--retry", is_flag=True, help="Give the PIN although a wrong one was given before; three block the card.")
@click.option(
    "--insert",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PROFILE",
    help="Put the software SIM of PROFILE into the virtual reader (Debian: vsmartcard-vpcd), until Ctrl-C.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(reader: str, pin: str | None, retry: bool, insert: Path | None, as_json: bool) -> None:
    """Read the card in READER (a part of its name; without it the only reader with a card).

    It shows the application that would be used, who it says you are, its P-CSCFs, and how its PIN stands. The PIN is
    given where the card asks for it, and never twice.
    """
    if insert is not None:
        _insert(insert)
        return
    from imsphone.net.card import Card, readers
    from imsphone.store import open_secret

    secret = open_secret(pin) if pin else None
    found = readers()
    if not as_json:
        for one in found:
            say(f"{one.name}: {'a card' if one.has_card else 'empty'}")
    with Card(reader, secret, may_retry=retry) as card:
        if as_json:
            listed = [{"name": one.name, "has_card": one.has_card} for one in found]
            said = {"reader": card.reader, **card.subscription.as_json()}
            say(json.dumps({"readers": listed, "card": said}))
        else:
            _show(card)


def _show(card: Card) -> None:
    who = card.subscription
    say(f"\nThe card in {card.reader}")
    for name, value in (
        ("Number", who.iccid),
        ("Application", who.application),
        ("IMSI", who.imsi),
        ("Private identity", who.impi),
        ("Public identities", ", ".join(who.impus)),
        ("Home domain", who.home_domain),
        ("P-CSCF", ", ".join(who.pcscfs)),
        ("PIN", who.pin),
    ):
        if value:
            say(f"  {name:19s}{value}")


def _insert(path: Path) -> None:
    from imsphone.ims.identity import Identity
    from imsphone.profile import Profile, endpoint
    from imsphone.store import open_isim, open_secret
    from imsphone.testing.uicc import SoftUicc
    from imsphone.testing.vpcd import PORT, Inserted

    profile = Profile.load(path)
    named = [profile.pcscf, *profile.other_pcscfs] if profile.pcscf else []
    with open_isim(profile) as isim:
        identity = Identity.of(profile)
        card = SoftUicc(
            isim,
            imsi=profile.imsi,
            mnc_digits=profile.mnc_digits or 0,
            impi=identity.impi,
            impus=[identity.impu],
            home_domain=identity.home_domain,
            pcscfs=[endpoint(one).host for one in named],
            pin=open_secret(profile.pin).reveal().decode() if profile.pin else "",
        )
        with ExitStack() as stack:
            try:
                stack.enter_context(Inserted(card))
            except OSError as error:
                raise CardError(
                    f"no virtual reader listens at 127.0.0.1:{PORT} ({error.strerror}): install pcscd and "
                    "vsmartcard-vpcd, and start pcscd"
                ) from None
            say(f"The card of {identity.impi} is in the virtual reader; Ctrl-C takes it out.")
            run(signalled())
