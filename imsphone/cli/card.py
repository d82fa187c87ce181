"""`imsphone card`: which readers there are, and who the card in one says that its holder is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from imsphone.cli.say import say

if TYPE_CHECKING:
    from imsphone.net.card import Card


@click.command("card")
@click.argument("reader", required=False, default="")
@click.option("--pin", help="Where the PIN is: keyring:NAME, file:PATH or env:VARIABLE; never the PIN itself.")
@click.option("--retry", is_flag=True, help="Give the PIN although a wrong one was given before; three block the card.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(reader: str, pin: str | None, retry: bool, as_json: bool) -> None:
    """Read the card in READER (a part of its name; without it the only reader with a card).

    It shows the application that would be used, who it says you are, its P-CSCFs, and how its PIN stands. The PIN is
    given where the card asks for it, and never twice.
    """
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
