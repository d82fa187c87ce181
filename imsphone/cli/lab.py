"""`imsphone lab`: the built-in IMS network on loopback sockets, for phones of any make."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imsphone.cli.octets import Base
from imsphone.cli.outputs import TRACE_FILE, OutFolder
from imsphone.cli.run import run, signalled
from imsphone.cli.say import say
from imsphone.errors import ImsPhoneError

if TYPE_CHECKING:
    from imsphone.lab.network import Network
    from imsphone.net.tls import Tls


@click.command("lab")
@click.option(
    "--base",
    type=Base(),
    default="127.0.10",
    show_default=True,
    help="First octets of the nodes' addresses; or fd93:: and the like, where this host has those addresses.",
)
@click.option(
    "--seed", type=int, help="Draw the subscribers' keys from this number; without it they are new each time."
)
@click.option(
    "--profiles",
    type=OutFolder(),
    help="Write a profile and its key files for each subscriber to this folder.",
)
@click.option("--trace", "trace_file", type=TRACE_FILE, help="Write what crosses the network, .jsonl or .pcapng.")
@click.option("--json", "as_json", is_flag=True, help="The addresses and subscribers as one JSON object.")
def command(base: str, seed: int | None, profiles: Path | None, trace_file: Path | None, as_json: bool) -> None:
    """Run P-, I-, S-CSCF, HSS, DNS and the far ends until Ctrl-C, and say how to point a phone at them."""
    run(_lab(base, seed, profiles, trace_file, as_json))


async def _lab(base: str, seed: int | None, profiles: Path | None, trace_file: Path | None, as_json: bool) -> None:
    from imsphone.cli.show import save_trace
    from imsphone.lab.network import Network
    from imsphone.lab.serve import serve
    from imsphone.trace import Trace

    network = Network(base=base, seed=os.urandom(16) if seed is None else str(seed).encode())
    trace = Trace()
    tls, written = None, {}
    if profiles is not None:
        written = write_profiles(network, profiles, has_tls=True)
        tls = _certified(network, profiles)
    async with serve(network, trace=trace, tls=tls):
        say(json.dumps(facts(network, written)) if as_json else manual(network, written))
        await signalled()
    if trace_file is not None:
        save_trace(trace, trace_file)


def _certified(network: Network, folder: Path) -> Tls:
    """What the P-CSCF shows by TLS, signed by an authority of this run: ca.pem beside the profiles."""
    from imsphone.net.authority import certified

    try:
        return certified(folder, *network.names)
    except OSError as error:
        raise ImsPhoneError(f"{error.filename} cannot be written: {error.strerror}") from None


def write_profiles(network: Network, folder: Path, *, has_tls: bool = False) -> dict[str, str]:
    """A TOML file a subscriber, its secrets in files of their own that only their owner can read; name → path.

    With `has_tls` who has a password has a second one by TLS, which trusts ca.pem beside it. Raises ImsPhoneError where
    they cannot be written.
    """
    try:
        return _write_profiles(network, folder, has_tls)
    except OSError as error:
        raise ImsPhoneError(f"{error.filename} cannot be written: {error.strerror}") from None


def _write_profiles(network: Network, folder: Path, has_tls: bool) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, account in network.accounts.items():
        keys = network.profile(name)
        del keys["keep_alive_s"]  # this lab may go, and come back
        for key in ("k", "opc"):
            if (secret := getattr(account, key)) is not None:
                keys[key] = _put_away(folder / f"{name}.{key}", secret.reveal().hex().encode())
        if account.password is not None:
            keys["password"] = _put_away(folder / f"{name}.password", account.password.reveal())
        written[name] = _write_profile(folder / f"{name}.toml", keys)
        if has_tls and account.password is not None:
            keys |= {"name": f"{name}-tls", "pcscf": str(network.secure), "transport": "tls", "tls_ca": "ca.pem"}
            written[f"{name}-tls"] = _write_profile(folder / f"{name}-tls.toml", keys)
    return written


def _write_profile(path: Path, keys: dict[str, Any]) -> str:
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
    return str(path)


def _put_away(path: Path, data: bytes) -> str:
    """Writes a secret so that only its owner can read it; gives the reference for a profile."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data + b"\n")
    return f"file:{path.name}"


def facts(network: Network, written: dict[str, str]) -> dict[str, Any]:
    from imsphone.lab.peer import SERVICES

    return {
        "realm": network.realm,
        "nodes": {name: str(address) for name, address in network.addresses.items()},
        "subscribers": {
            name: {"impi": account.impi, "impus": list(account.impus), "profile": written.get(name)}
            for name, account in network.accounts.items()
        },
        "services": [f"sip:{name}@{network.realm}" for name in SERVICES],
    }


def manual(network: Network, written: dict[str, str]) -> str:
    """What a person needs to point a phone at this network."""
    from imsphone.lab.peer import SERVICES

    lines = [f"The lab runs: {network.realm}"]
    lines += [f"  {name:8s} {address}" for name, address in network.addresses.items()]
    lines += ["", "Subscribers (secrets are in the files of --profiles DIR, nowhere else):"]
    lines += [f"  {name:10s} {account.impi}  calls as {account.impus[0]}" for name, account in network.accounts.items()]
    lines += ["", "To call: " + ", ".join(f"sip:{name}@{network.realm}" for name in SERVICES)]
    if written:
        speech = files("imsphone.assets") / "sounds" / "speech.wav"
        alice, softphone = written.get("alice", ""), network.accounts.get("softphone1")
        lines += ["", "With this phone, in another terminal:", f"  imsphone call {alice} echo --play {speech}"]
        if softphone is not None:
            lines += [
                "With any SIP phone (Digest):",
                f"  user softphone1, password in {written['softphone1'].removesuffix('.toml')}.password,",
                f"  domain {network.realm}, outbound proxy {network.addresses['p-cscf']} (UDP or TCP)",
                f"  or {network.secure} (TLS, by an authority of this run: ca.pem beside the profiles)",
            ]
    else:
        lines += ["", "Start it with --profiles DIR to have profiles and keys written for your phones."]
    return "\n".join([*lines, "", "Ctrl-C ends it."])
