"""`imsphone profile`: look at a profile, and put its secrets away.

A secret comes from the terminal without an echo, or from standard input where that is a pipe; never from the command
line, where the process list and the shell's history would keep it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imsphone.profile import Secret

_MOST_OCTETS = 4096


@click.group("profile")
def command() -> None:
    """Profiles, and the secrets that they refer to."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
def show(file: Path) -> None:
    """Print FILE with its base and the defaults.

    Secrets stay references. What follows from it (the identities) stands below, as comments.
    """
    from imsphone.ims.identity import Identity
    from imsphone.profile import Profile

    effective = Profile.load(file)
    identity = Identity.of(effective)
    click.echo(effective.as_toml(), nl=False)
    click.echo(f"\n# registers {identity.impu}\n# as        {identity.impi}\n# with      {identity.home_domain}")
    click.echo(f"# instance  {identity.instance_id}")


@command.command("set-secret")
@click.argument("name")
@click.option("--key", is_flag=True, help="It is a K, OP or OPc: refuse what has not 32 hex digits.")
def set_secret(name: str, key: bool) -> None:
    """Keep a secret, for profiles to name.

    A profile names it keyring:NAME. It is asked for on the terminal, or read from standard input:

        imsphone profile set-secret alice-k < key.txt
    """
    from imsphone.store import keep_secret

    secret = _ask(name)
    if key:
        secret.key(name)
    place = keep_secret(name, secret)
    click.echo(f'Kept in {place}. A profile says: "keyring:{name}"')


def _ask(name: str) -> Secret:
    from imsphone.profile import Secret

    if sys.stdin.isatty():
        from getpass import getpass

        return Secret(getpass(f"The secret {name} (not shown): ").encode())
    data = sys.stdin.buffer.read(_MOST_OCTETS + 1)
    if len(data) > _MOST_OCTETS:
        raise click.UsageError(f"standard input has more than {_MOST_OCTETS} octets; a secret is shorter")
    return Secret(data.rstrip(b"\r\n"))
