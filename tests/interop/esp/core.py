"""Beside the guest: the lab's core without its P-CSCF, and two phones that do what a suite of IPsec is to be tried on.

python core.py hmac-sha-1-96/null ──▶ a JSON object: what each step brought
"""

import asyncio
import json
import sys
from dataclasses import replace
from typing import Any

from imsphone.lab.network import Network
from imsphone.lab.serve import serve
from imsphone.machine import Machine
from imsphone.phone import Phone
from imsphone.profile import Profile

PATIENCE_S = 15.0


class Core(Network):
    """The network but for its first hop, which others wrote."""

    @property
    def nodes(self) -> dict[str, Machine]:
        return {name: node for name, node in super().nodes.items() if name != "p-cscf"}


async def call(caller: Phone, target: str, called: Phone | None) -> str:
    """Calls; gives what became of it."""
    call = await caller.call(target)
    if called is not None:
        incoming = await called.incoming(PATIENCE_S)
        await incoming.answer()
    await asyncio.wait_for(call.answered(), PATIENCE_S)
    await asyncio.sleep(0.5)
    await call.hangup()
    await asyncio.sleep(0.5)
    return call.state


async def main(suite: str, *hosts: str) -> None:
    network = Core(seed=b"interop", base="10.93.0")
    said: dict[str, Any] = {}

    def phone(name: str, host: str) -> Phone:
        keys = {"security": "ipsec", "security_suites": (suite,), "local_host": host, "expires_s": 600}
        profile = replace(Profile(**network.profile(name)), **keys)
        return Phone(profile, isim=network.accounts[name].isim(), name=name)

    async with serve(network), phone("alice", hosts[0]) as alice, phone("bob", hosts[1]) as bob:
        try:
            for one in (alice, bob):
                said[f"{one.name} registers"] = (await asyncio.wait_for(one.register(), PATIENCE_S)).protection
            said["alice refreshes"] = (await asyncio.wait_for(alice.register(), PATIENCE_S)).protection
            said["alice calls the echo"] = await call(alice, "echo", None)
            said["alice calls bob"] = await call(alice, "bob", bob)
            said["bob calls alice"] = await call(bob, "alice", alice)
            await asyncio.wait_for(alice.deregister(), PATIENCE_S)
            said["alice deregisters"] = alice.is_registered
        except Exception as error:
            said["error"] = f"{type(error).__name__}: {error}"
        open_ = [record.data.split(b" ", 1)[0].decode() for record in alice.trace
                 if record.protocol == "SIP" and record.direction == "sent" and not record.is_protected]  # fmt: skip
        said["alice sent in the clear"] = open_
        said["ladder"] = alice.ladder()
    print(json.dumps(said))


asyncio.run(main(*sys.argv[1:]))
