"""`imsphone profile`: look at a profile, and put its secrets away.

A secret comes from the terminal without an echo, or from standard input where that is a pipe; never from the command
line, where the process list and the shell's history would keep it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imsphone.imported import Imported
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
    click.echo(effective.as_toml(), nl=False)
    if effective.sim:
        click.echo("\n# who it registers, the card says as far as this does not: imsphone card")
        return
    identity = Identity.of(effective)
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


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to write."
)
@click.option("--imsi", help="Only this subscriber of several.")
@click.option("--pcscf", help="The P-CSCF to write into the profiles, host or host:port.")
def import_(file: Path, folder: Path, imsi: str | None, pcscf: str | None) -> None:
    """Make profiles of the subscribers in FILE, their keys put away.

    FILE is a subscriber of open5gs or PyHSS (JSON), a UE of UERANSIM (YAML) or a list of cards by pySim (CSV). Each
    profile is IMSI.toml and refers to its keys; a file that is there already is left alone.
    """
    from imsphone.errors import ProfileError
    from imsphone.imported import read
    from imsphone.store import keep_secret

    try:
        found = [one for one in read(file.read_text(encoding="utf-8")) if imsi in (None, one.imsi)]
    except (UnicodeDecodeError, ProfileError) as error:
        sentence = "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
        raise ProfileError(f"{file}: {sentence}") from None
    if not found:
        raise ProfileError(f"{file}: there is no subscriber {imsi} in it")
    folder.mkdir(parents=True, exist_ok=True)
    for one in found:
        path = folder / f"{one.imsi}.toml"
        if path.exists():
            raise ProfileError(f"{path} is there already: move it away first")
        keys = profile_of(one, pcscf)
        keep_secret(f"{one.imsi}-k", one.k)
        place = keep_secret(f"{one.imsi}-{one.constant_name}", one.constant)
        path.write_text(keys, encoding="utf-8")
        click.echo(f"{path}: its keys are in {place}")


def profile_of(one: Imported, pcscf: str | None) -> str:
    """The TOML of an imported subscriber; raises ProfileError where `pcscf` is none."""
    from imsphone.profile import Profile

    keys = {"imsi": one.imsi, "mnc_digits": one.mnc_digits, "imei": one.imei or None, "pcscf": pcscf}
    keys |= {"k": f"keyring:{one.imsi}-k", one.constant_name: f"keyring:{one.imsi}-{one.constant_name}"}
    said = {name: value for name, value in keys.items() if value is not None}
    Profile(**said)  # type: ignore[arg-type]
    number = f"# its number is {one.number}; the network names it when the phone registers\n" if one.number else ""
    return number + "".join(f"{name} = {json.dumps(value)}\n" for name, value in said.items())


def _ask(name: str) -> Secret:
    from imsphone.profile import Secret

    if sys.stdin.isatty():
        from getpass import getpass

        return Secret(getpass(f"The secret {name} (not shown): ").encode())
    data = sys.stdin.buffer.read(_MOST_OCTETS + 1)
    if len(data) > _MOST_OCTETS:
        raise click.UsageError(f"standard input has more than {_MOST_OCTETS} octets; a secret is shorter")
    return Secret(data.rstrip(b"\r\n"))
