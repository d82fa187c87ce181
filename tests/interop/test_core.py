"""A real IMS core: Kamailio as P-, I- and S-CSCF with an HSS over Diameter, all of other people's making.

It is brought up by the scripts of `../shared/ims-core`, where those are present. Its P-CSCF insists on the
Service-Route.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imsphone.errors import AuthenticationError, RegistrationRejected
from imsphone.events import Deregistered, Event, Registered, RegistrationSeen
from imsphone.phone import Phone
from imsphone.profile import Profile, Secret
from imsphone.usim.hypotheses import explain
from imsphone.usim.isim import Isim, SqnMemory
from imsphone.usim.keys import Keys

SCRIPTS = Path(__file__).parents[3] / "shared" / "ims-core"
BASE, PHONES = "127.0.3", "127.0.4"
REALM = "ims.mnc001.mcc001.3gppnetwork.org"
NODES = {"PCSCF_IP": 10, "ICSCF_IP": 20, "SCSCF_IP": 30, "HSS_IP": 40, "DNS_IP": 53}

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not SCRIPTS.exists(), reason="needs ../shared/ims-core, the scripts of a Kamailio core"),
    pytest.mark.skipif(shutil.which("kamailio") is None, reason="needs Kamailio (Debian: kamailio-ims-modules)"),
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root: the core's own resolv.conf"
    ),
]


class Core:
    """The core: its scripts, its subscribers, and the HSS's control port."""

    def __init__(self, folder: Path) -> None:
        addresses = {name: f"{BASE}.{last}" for name, last in NODES.items()}
        self._environment = os.environ | addresses | {"IMS_RUN": str(folder), "STRICT_ROUTE": "1"}
        self.folder = folder
        self.subscribers: list[dict[str, Any]] = json.loads((SCRIPTS / "hss" / "subscribers.json").read_text())[
            "subscribers"
        ]

    def up(self) -> str:
        return self._run("core-up.sh")

    def down(self) -> None:
        self._run("core-down.sh")

    def _run(self, script: str) -> str:
        with open(self.folder / "scripts.log", "a+") as log:  # not a pipe: the nodes would hold it open
            subprocess.run([SCRIPTS / script], env=self._environment, stdout=log, stderr=log, timeout=60, check=False)
            log.seek(0)
            return log.read()

    def hss(self, line: str) -> None:
        with socket.create_connection((f"{BASE}.40", 3869), timeout=5) as control:
            control.sendall(f"{line}\n".encode())
            control.recv(100)

    def keys(self, number: int = 1) -> Keys:
        one = self.subscribers[number - 1]
        return Keys("milenage", bytes.fromhex(one["k"]), bytes.fromhex(one["opc"]))

    def phone(self, number: int = 1, keys: Keys | None = None, memory: SqnMemory | None = None, **said: Any) -> Phone:
        keys = keys or self.keys(number)
        isim = Isim(keys.algorithms(), memory, suspect=partial(explain, keys))
        profile = Profile(
            **{
                "name": f"ue{number}",
                "imsi": f"00101{number:010d}",
                "pcscf": f"{BASE}.10:5060",
                "local_host": f"{PHONES}.{number}",
            }
            | said
        )
        return Phone(profile, isim=isim)

    @staticmethod
    def impi(number: int = 1) -> str:
        return f"00101{number:010d}@{REALM}"


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    core = Core(tmp_path_factory.mktemp("core"))
    said = core.up()
    try:
        if "core ready" not in said:
            pytest.skip(f"the core does not come up here: {said.splitlines()[-1:]}")
        yield core
    finally:
        core.down()


def seen(phone: Phone) -> list[Event]:
    told: list[Event] = []
    phone.on(told.append)
    return told


async def within(told: list[Event], kind: type[Event], count: int = 1, seconds: float = 10.0) -> list[Event]:
    """The events of a kind, once there are so many."""
    async with asyncio.timeout(seconds):
        while len(found := [event for event in told if isinstance(event, kind)]) < count:
            await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_registration_refresh_and_deregistration(core: Core, transport: str) -> None:
    phone = core.phone(transport=transport)
    told = seen(phone)
    async with phone:
        registered = await phone.register()
        assert registered.expires_s == 540_000  # this core grants a tenth less than what is asked for
        (first,) = await within(told, RegistrationSeen)
        assert isinstance(first, RegistrationSeen)
        assert {one["impu"] for one in first.identities} == set(registered.impus)
        assert any(contact["is_ours"] for one in first.identities for contact in one["contacts"])
        assert (await phone.register()).is_refresh
        await phone.deregister()
    assert isinstance(told[-1], Deregistered | RegistrationSeen)


async def test_a_sim_ahead_and_a_sim_behind_bring_the_hss_into_step(core: Core) -> None:
    for memory in (SqnMemory((1 << 30,) * 32), SqnMemory((1 << 20,) * 32)):
        async with core.phone(memory=memory) as phone:
            await phone.register()
        core.hss(f"sqn {core.impi()} 700000000000")  # farther ahead of the next SIM than it takes


async def test_a_slip_and_a_wrong_key_are_told_apart(core: Core) -> None:
    k, op = core.keys().k, bytes.fromhex(core.subscribers[0]["op"])
    for keys, words in ((Keys("milenage", k, op), "write op ="), (Keys("milenage", bytes(16), op), "k or opc differs")):
        async with core.phone(keys=keys) as phone:
            with pytest.raises(AuthenticationError, match=words):
                await phone.register()


async def test_an_unknown_user_is_refused(core: Core) -> None:
    async with core.phone(imsi="001010000000077") as phone:
        with pytest.raises(RegistrationRejected) as refused:
            await phone.register()
    assert refused.value.status == 403


async def test_a_password_registers_too(core: Core) -> None:
    profile = Profile(auth="digest", impu=f"sip:softphone1@{REALM}", pcscf=f"{BASE}.10:5060", local_host=f"{PHONES}.9")
    async with Phone(profile, password=Secret(b"secret1")) as phone:
        assert isinstance(await phone.register(), Registered)


async def test_who_is_taken_away_by_the_hss_hears_of_it(core: Core) -> None:
    """EVT-08: this core keeps the subscription active and says it in the registration's state alone."""
    phone = core.phone()
    told = seen(phone)
    async with phone:
        await phone.register()
        await within(told, RegistrationSeen)
        core.hss(f"rtr {core.impi()}")
        (gone,) = await within(told, Deregistered)
        assert isinstance(gone, Deregistered)
        assert gone.by == "network"
        assert not phone.is_registered


async def test_two_phones_call_each_other_over_the_strict_service_route(core: Core) -> None:
    async with core.phone(1) as alice, core.phone(2) as bob:
        await alice.register()
        await bob.register()
        call = await alice.call(f"sip:{core.impi(2)}")
        incoming = await bob.incoming(timeout=10)
        await incoming.answer()
        await call.answered(timeout=10)
        await call.hangup()
