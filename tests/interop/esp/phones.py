"""In the guest: two phones whose ESP the kernel makes, on a lab elsewhere. Prints one JSON line a finding.

python phones.py BASE udp|tcp SUITE ...        what both do with each suite; the first one is called with, too
"""

import asyncio
import io
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from imsphone.lab.network import Network
from imsphone.phone import Phone
from imsphone.profile import Profile

PATIENCE_S = 15.0


async def call(caller: Phone, target: str, called: Phone | None) -> str:
    """Calls; gives what became of it."""
    call = await caller.call(target)
    if called is not None:
        incoming = await called.incoming(PATIENCE_S)
        await incoming.answer()
    await asyncio.wait_for(call.answered(), PATIENCE_S)
    await asyncio.sleep(0.3)
    await call.hangup()
    await asyncio.sleep(0.3)
    return call.state


async def main(base: str, transport: str, *suites: str) -> None:
    network = Network(seed=b"interop", base=base)
    stem = base if ":" in base else f"{base}."

    def phone(name: str, last: int, suite: str) -> Phone:
        keys = {"security": "ipsec", "ipsec_by": "kernel", "security_suites": (suite,), "transport": transport}
        profile = replace(Profile(**network.profile(name)), local_host=f"{stem}{last}", expires_s=600, **keys)
        return Phone(profile, isim=isims[name], name=name)

    log = io.StringIO()
    logging.basicConfig(level=logging.DEBUG, stream=log, format="%(asctime)s %(name)s %(message)s")
    isims = {name: network.accounts[name].isim() for name in ("alice", "bob")}
    for suite in suites:
        said: dict[str, Any] = {}
        async with phone("alice", 101, suite) as alice, phone("bob", 102, suite) as bob:
            try:
                for one in (alice, bob):
                    said[f"{one.name} registers"] = (await asyncio.wait_for(one.register(), PATIENCE_S)).protection
                said["alice refreshes"] = (await asyncio.wait_for(alice.register(), PATIENCE_S)).protection
                if suite == suites[0]:
                    said["alice calls the echo"] = await call(alice, "echo", None)
                    said["alice calls bob"] = await call(alice, "bob", bob)
                    said["bob calls alice"] = await call(bob, "alice", alice)
                said["passed"] = sum(one.packets for one in alice._driver.protection.counted()) > 0
                await asyncio.wait_for(alice.deregister(), PATIENCE_S)
                said["alice deregisters"] = alice.is_registered
            except Exception as error:
                kernel = [line for line in Path("/proc/net/xfrm_stat").read_text().splitlines() if line[-2:] != "\t0"]
                counted = [(one.association.spi, one.packets) for one in alice._driver.protection.counted()]
                said["error"] = "\n".join(map(str, (repr(error), alice.ladder(), log.getvalue(), kernel, counted)))
            said["transports"] = sorted({one.flow.transport for one in alice.trace if one.is_protected})
            said["open"] = sorted({record.data.split(b" ", 1)[0].decode() for record in alice.trace
                                   if record.protocol == "SIP" and record.direction == "sent"
                                   and not record.is_protected})  # fmt: skip
        print("FOUND " + json.dumps([f"{base} {transport} {suite}", said]), flush=True)


asyncio.run(main(*sys.argv[1:]))
