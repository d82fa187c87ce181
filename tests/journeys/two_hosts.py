"""Two hosts, each a network namespace: a lab at the one, two phones at the other, which register and call inside ESP.

python two_hosts.py lab BASE                       serves until its standard input ends
python two_hosts.py phones BASE TRANSPORT UID      ──▶ a JSON object: what each step brought; as the user UID
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

from imsphone.lab.network import Network
from imsphone.lab.serve import serve
from imsphone.phone import Phone
from imsphone.profile import Profile

PATIENCE_S = 15.0
SEED = b"two hosts"


def host_of(base: str, last: int) -> str:
    return f"{base}{last}" if ":" in base else f"{base}.{last}"


async def lab(base: str) -> None:
    async with serve(Network(seed=SEED, base=base)):
        print("up", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def call(caller: Phone, called: Phone) -> str:
    """Calls; gives what became of it."""
    made = await caller.call(called.name)
    taken = await called.incoming(PATIENCE_S)
    await taken.answer()
    await asyncio.wait_for(made.answered(), PATIENCE_S)
    await made.hangup()
    await asyncio.wait_for(taken.ended(), PATIENCE_S)
    return made.state


async def phones(base: str, transport: str, uid: int) -> None:
    network = Network(seed=SEED, base=base)
    if uid:
        await asyncio.to_thread(int)  # what Python loads for that may be where only root can read
        os.setgroups([])
        os.setuid(uid)
    said: dict[str, Any] = {}

    def phone(name: str, last: int) -> Phone:
        keys = {"security": "ipsec", "local_host": host_of(base, last), "expires_s": 600, "reg_event": False}
        profile = replace(Profile(**network.profile(name)), transport=transport or None, **keys)  # type: ignore[arg-type]
        return Phone(profile, isim=network.accounts[name].isim(), name=name)

    async with phone("alice", 101) as alice, phone("bob", 102) as bob:
        try:
            for one in (alice, bob):
                said[f"{one.name} registers"] = (await asyncio.wait_for(one.register(), PATIENCE_S)).protection
            said["alice calls bob"] = await call(alice, bob)
            said["alice refreshes"] = (await asyncio.wait_for(alice.register(), PATIENCE_S)).protection
            said["bob calls alice"] = await call(bob, alice)
            await asyncio.wait_for(alice.deregister(), PATIENCE_S)
            said["alice deregisters"] = alice.is_registered
        except Exception as error:
            said["error"] = repr(error)
        inside = [record for record in alice.trace if record.is_protected]
        said["inside"] = Counter(record.flow.transport for record in inside)
        said["in the clear"] = [bytes(one.data[:8]).decode() for one in alice.trace if is_plain(one)]
        said["ladder"] = str(alice.ladder())
    print(json.dumps(said))


def is_plain(record: Any) -> bool:
    return record.protocol == "SIP" and record.direction == "sent" and not record.is_protected


if __name__ == "__main__":
    role, base, *rest = sys.argv[1:]
    asyncio.run(lab(base) if role == "lab" else phones(base, rest[0], int(rest[1])))
