"""`imsphone doctor [PROFILE]`: what would keep a call from working, looked at before anybody waits for it.

Each finding is good, limited (it works, with less) or bad (it does not), and says what to do about it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from imsphone.cli.run import run
from imsphone.cli.say import say
from imsphone.errors import AudioError, ImsPhoneError
from imsphone.machine import Ids, Resolve

if TYPE_CHECKING:
    from imsphone.profile import Profile

ANSWER_S = 4.0  # for each address of the P-CSCF to answer an OPTIONS


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    verdict: Literal["good", "limited", "bad"]
    sentence: str


@click.command("doctor")
@click.argument("profile", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--sa", "wants_sa", is_flag=True, help="Look at what IPsec towards the P-CSCF needs, and send nothing.")
@click.option("--json", "as_json", is_flag=True, help="The findings as one JSON array.")
def command(profile: Path | None, wants_sa: bool, as_json: bool) -> None:
    """Look at this machine, and with PROFILE at its secrets and its network.

    Exit code 0 where nothing is bad, 3 where the P-CSCF does not answer, else 2.
    """
    findings: list[Finding] = []
    if wants_sa:
        run(_look_at_protection(profile, findings))
    else:
        findings += machine_findings()
        if profile is not None:
            run(_look(profile, findings))
    if as_json:
        say(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            mark = {"good": "✓", "limited": "–", "bad": "✗"}[finding.verdict]
            say(f"{mark} {finding.name:14s}{finding.sentence}")
    if any(finding.verdict == "bad" for finding in findings):
        is_network = all(finding.name == "P-CSCF" for finding in findings if finding.verdict == "bad")
        sys.exit(3 if is_network else 2)


async def _look(profile: Path, findings: list[Finding]) -> None:
    findings += await profile_findings(profile)


async def _look_at_protection(path: Path | None, findings: list[Finding]) -> None:
    from imsphone.cli.protection import protection_findings
    from imsphone.profile import Profile

    try:
        profile = Profile.load(path) if path else None
        if profile is not None and profile.sim:
            profile = _read_card(profile)[0]
    except ImsPhoneError as error:
        findings.append(Finding("profile", "bad", str(error)))
        return
    findings += await protection_findings(profile)


def machine_findings() -> list[Finding]:
    """What this machine has."""
    python = platform.python_version()
    found = [Finding("Python", "good", f"{python} on {platform.system()}")]
    found.append(_sound())
    for module, name, extra, loss in (
        ("pesq", "PESQ", "quality", "reports lack the PESQ figure"),
        ("pjsua2", "foreign phone", "peer", "demo --far-end pjsua2 is not to be had"),
        ("PySide6", "window", "ui", "imsphone-ui does not start"),
        ("smartcard", "cards", "card", "a card in a reader cannot be the SIM"),
    ):
        if importlib.util.find_spec(module) is not None:
            found.append(Finding(name, "good", "installed"))
        else:
            found.append(Finding(name, "limited", f'not installed: {loss}; pip install "imsphone[{extra}]"'))
    return found


def _sound() -> Finding:
    from imsphone.cli.show import card

    try:
        card()
    except AudioError as error:
        return Finding("sound card", "limited", str(error))
    return Finding("sound card", "good", "a default microphone and loudspeaker")


async def profile_findings(path: Path) -> list[Finding]:
    """What a profile needs: its secrets, and a P-CSCF that answers."""
    from imsphone.profile import Profile
    from imsphone.store import open_isim, open_secret

    try:
        profile = Profile.load(path)
    except ImsPhoneError as error:
        return [Finding("profile", "bad", str(error))]
    found = [Finding("profile", "good", str(path))]
    try:
        if profile.auth == "aka" and profile.sim:
            profile, finding = _read_card(profile)
            found.append(finding)
        elif profile.auth == "aka":
            with open_isim(profile):
                pass
            found.append(Finding("SIM", "good", "K and OPc are there and have 32 digits each"))
        else:
            open_secret(profile.password or "")
            found.append(Finding("password", "good", "it is there"))
    except ImsPhoneError as error:
        found.append(Finding("SIM" if profile.auth == "aka" else "password", "bad", str(error)))
        if profile.sim:
            return found  # nobody says whose P-CSCF it would be
    found.append(await _pcscf(profile))
    return found


def _read_card(profile: Profile) -> tuple[Profile, Finding]:
    """The profile with what its card says. Raises CardError."""
    from imsphone.ims.identity import Identity
    from imsphone.net.card import open_card

    with open_card(profile) as card:
        completed, who = card.complete(profile), card.subscription
    where = f"; it names the P-CSCF {who.pcscfs[0]}" if who.pcscfs else ""
    sentence = f"the {who.application} in {card.reader} is {Identity.of(completed).impi}, its PIN is {who.pin}{where}"
    return completed, Finding("SIM", "good", sentence)


async def _pcscf(profile: Profile) -> Finding:
    """Asks the P-CSCF with OPTIONS."""
    from imsphone.ims.identity import Identity
    from imsphone.net.driver import Driver
    from imsphone.net.tls import profile_tls
    from imsphone.profile import endpoint
    from imsphone.sip.probe import Answered, Probe
    from imsphone.sip.timers import Timers

    domain = Identity.of(profile).home_domain
    host, port = profile.pcscf_endpoint or (domain, None)
    try:
        tls = profile_tls(profile)
    except ImsPhoneError as error:
        return Finding("P-CSCF", "bad", str(error))
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    troubles: list[ImsPhoneError] = []
    probe = Probe(domain, Ids(os.urandom(16)), Timers(t1_s=ANSWER_S / 64))
    driver = Driver(
        probe,
        name="doctor",
        on_event=lambda event: None if told.done() else told.set_result(event),
        on_trouble=troubles.append,
        dns=profile.dns_address,
        tls=tls,
        local=(profile.local_host, 0),
    )
    try:
        driver.do(probe.ask, Resolve(host, port, profile.transport, tuple(map(endpoint, profile.other_pcscfs))))
        event = await told
    finally:
        await driver.close()
    if isinstance(event, Answered):
        how = f"{event.flow.transport}: {event.status} {event.reason}"
        return Finding("P-CSCF", "good", f"{event.flow.remote} answers by {how}")
    tried = ", ".join(f"{flow.remote} ({flow.transport})" for flow in event.tried) or host
    if troubles:
        return Finding("P-CSCF", "bad", str(troubles[0]))
    remedy = "check `pcscf` in the profile, the route and the firewall"
    return Finding("P-CSCF", "bad", f"nothing that speaks SIP answers at {tried}: {remedy}")
