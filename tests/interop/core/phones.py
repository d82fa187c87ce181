"""Beside the guest with its P-CSCF: the rest of the core, and phones that do what is asked on standard input.

One order a line; the answer is what each step brought, as a JSON object:

    {"do": "live", "suite": "hmac-sha-1-96/null", "hosts": [101, 102], "profile": {"transport": "TCP"}}
    {"do": "survive", "suite": "hmac-sha-1-96/null", "hosts": [109, 110], "restart": "/a/file", "after_s": 6}
    {"do": "measure", "suite": "hmac-sha-1-96/null", "hosts": [111, 112]}
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from imsphone.events import Event, Registered, RegistrationSeen
from imsphone.phone import Phone
from tests.interop.core.ipsec import BASE
from tests.interop.core.kamailio import Core
from tests.interop.core.shares import shares

PATIENCE_S = 15.0
KEEP_ALIVE_S = 5
RECOVERY_S = 40.0


async def call(caller: Phone, target: str, called: Phone | None) -> str:
    """Calls, until sound has come in; gives what became of it."""
    call = await caller.call(target)
    if called is not None:
        await (await called.incoming(PATIENCE_S)).answer()
    await asyncio.wait_for(call.answered(), PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S):
        while not call.figures.get("received"):
            await asyncio.sleep(0.05)
    await call.hangup()
    await asyncio.sleep(0.5)
    return call.state


async def heard(told: list[Event], kind: type[Event], seconds: float) -> Event:
    """The first event of a kind."""
    async with asyncio.timeout(seconds):
        while not (found := [event for event in told if isinstance(event, kind)]):
            await asyncio.sleep(0.02)
    return found[0]


async def register(said: dict[str, Any], *phones: Phone) -> None:
    for phone in phones:
        said[f"{phone.name} registers"] = (await asyncio.wait_for(phone.register(), PATIENCE_S)).protection


async def live(said: dict[str, Any], alice: Phone, bob: Phone, told: list[Event]) -> None:
    """A life from registration to deregistration."""
    await register(said, alice, bob)
    seen = await heard(told, RegistrationSeen, PATIENCE_S)
    assert isinstance(seen, RegistrationSeen)
    said["alice is seen"] = [contact["state"] for one in seen.identities for contact in one["contacts"]]
    before = {(one.spi, one.target) for one in alice.associations}
    said["alice refreshes"] = (await asyncio.wait_for(alice.register(), PATIENCE_S)).protection
    said["new associations"] = len({(one.spi, one.target) for one in alice.associations} - before)
    said["alice calls the echo"] = await call(alice, "echo", None)
    said["alice calls bob"] = await call(alice, "bob", bob)
    said["bob calls alice"] = await call(bob, "alice", alice)
    said["alice writes to bob"] = (await asyncio.wait_for(alice.text("bob", "hello"), PATIENCE_S)).status
    said["bob writes to alice"] = (await asyncio.wait_for(bob.text("alice", "hello"), PATIENCE_S)).status
    await asyncio.wait_for(alice.deregister(), PATIENCE_S)
    said["alice deregisters"] = alice.is_registered


async def survive(
    said: dict[str, Any], alice: Phone, bob: Phone, told: list[Event], restart: str, after_s: float
) -> None:
    """The P-CSCF loses its power, and with it every association."""
    await register(said, alice)
    await asyncio.sleep(after_s)
    told.clear()
    Path(restart).touch()
    since = time.monotonic()
    back = await heard(told, Registered, RECOVERY_S)
    said["recovered_s"] = round(time.monotonic() - since, 1)
    assert isinstance(back, Registered)
    said["alice comes back"] = back.protection
    await register(said, bob)
    said["bob calls alice"] = await call(bob, "alice", alice)


async def measure(said: dict[str, Any], alice: Phone) -> None:
    """How long a registration took, and whom."""
    began = alice.now()
    await alice.register()
    said["shares"] = shares(alice.trace, began, alice.now())
    await alice.deregister()


async def obey(core: Core, order: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    keys = {"security": "ipsec", "security_suites": (order["suite"],), "expires_s": 600} | order.get("profile", {})
    alice = core.phone("alice", order["hosts"][0], **keys, keep_alive_s=KEEP_ALIVE_S if "restart" in order else 0)
    told: list[Event] = []
    alice.on(told.append)
    async with alice, core.phone("bob", order["hosts"][1], **keys) as bob:
        try:
            match order["do"]:
                case "live":
                    await live(said, alice, bob, told)
                case "survive":
                    await survive(said, alice, bob, told, order["restart"], order["after_s"])
                case "measure":
                    await measure(said, alice)
        except Exception as error:
            said["error"] = f"{type(error).__name__}: {error}"
        open_ = [record.data.split(b" ", 1)[0].decode() for record in alice.trace
                 if record.protocol == "SIP" and record.direction == "sent" and not record.is_protected]  # fmt: skip
        said["alice sent in the clear"] = open_
        asked = [record for record in alice.trace if record.protocol == "SIP" and record.direction == "sent"
                 and not record.data.startswith(b"SIP/")]  # fmt: skip
        said["alice asks by"] = sorted({record.flow.transport for record in asked})
        said["ladder"] = f"{alice.ladder()}\n{bob.ladder()}"
    return said


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Core(Path(folder), BASE, ("icscf", "scscf")) as core:
        print("{}", flush=True)
        for line in sys.stdin:
            print(json.dumps(asyncio.run(obey(core, json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
