"""Alone in a network namespace: a phone registers, the kernel's route changes, the phone registers from there."""

from __future__ import annotations

import asyncio
import subprocess

from imsphone.events import Registered
from imsphone.phone import Phone
from imsphone.testing.served import ServedLab

LOCAL = ["ip", "route", "change", "local", "127.0.0.0/8", "dev", "lo", "table", "local", "src"]


async def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with ServedLab() as lab:
        async with Phone(lab.profile("alice"), isim=lab.isim("alice")) as alice:
            await alice.register()
            assert alice.ue.way is not None
            print(alice.ue.way.local.host)
            subprocess.run([*LOCAL, "127.0.0.2"], check=True)
            await alice.until(Registered, timeout=30)
            print(alice.ue.way.local.host)


asyncio.run(main())
