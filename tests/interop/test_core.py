"""A real IMS core: Kamailio as P-, I- and S-CSCF. They ask the lab's HSS, which learns so that it speaks Cx.

Its P-CSCF insists on the Service-Route, answers OPTIONS to everybody, and keeps what it knows in memory alone.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from imsphone.errors import AuthenticationError, CallRejected, RegistrationRejected, TextRejected
from imsphone.events import Deregistered, Event, Registered, RegistrationSeen, TextReceived
from imsphone.lab import cx
from imsphone.lab.network import Account
from imsphone.machine import Address
from imsphone.phone import Phone
from imsphone.profile import Secret
from imsphone.usim.isim import SqnMemory
from imsphone.usim.keys import Keys
from imsphone.usim.milenage import opc_from_op
from tests.interop.core.kamailio import Core, missing

RECOVERY_S = 15.0
KEEP_ALIVE_S = 3
STRANGE = """\
OPTIONS sip:{realm} SIP/2.0\r
Via: SIP/2.0/UDP {own};branch=z9hG4bKstrange\r
Max-Forwards: 70\r
From: <sip:alice@{realm}>;tag=strange\r
To: <sip:{realm}>\r
Call-ID: strange-{own}\r
CSeq: 1 OPTIONS\r
Contact: <sip:alice@{own}>\r
Content-Length: 0\r
\r
"""

pytestmark = [pytest.mark.interop, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    with Core(tmp_path_factory.mktemp("core")) as core:
        yield core


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


# Registration -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_registration_refresh_and_deregistration(core: Core, transport: str) -> None:
    phone = core.phone("alice", 101, transport=transport)
    told = seen(phone)
    async with phone:
        registered = await phone.register()
        assert registered.expires_s == 540_000  # this core grants a tenth less than what is asked for
        assert set(registered.impus) == set(core.network.accounts["alice"].impus[::2])  # the barred one is not told
        (first,) = await within(told, RegistrationSeen)
        assert isinstance(first, RegistrationSeen)
        assert {one["impu"] for one in first.identities} == set(registered.impus)
        assert any(contact["is_ours"] for one in first.identities for contact in one["contacts"])
        assert (await phone.register()).is_refresh
        await phone.deregister()
        assert not core.subscriber("alice").is_registered
    assert isinstance(told[-1], Deregistered | RegistrationSeen)


async def test_a_sim_ahead_and_a_sim_behind_bring_the_hss_into_step(core: Core) -> None:
    farther_than_it_takes = 0x700000000000
    for memory, sqn in ((SqnMemory((1 << 30,) * 32), 0), (SqnMemory((1 << 20,) * 32), farther_than_it_takes)):
        core.subscriber("alice").sqn = sqn
        async with core.phone("alice", 101, memory=memory) as phone:
            await phone.register()
            assert sum(record.data.startswith(b"SIP/2.0 401") for record in phone.trace) >= 2
            assert memory.sqn_ms < core.subscriber("alice").sqn < 1 << 40  # AUTS put it right


async def test_a_slip_and_a_wrong_key_are_told_apart(core: Core) -> None:
    mine = core.network.accounts["alice"].keys()
    assert mine is not None
    op = bytes(range(16))
    slipped = Account("eve", f"eve@{core.network.realm}", (f"sip:eve@{core.network.realm}",), imsi="001010000000077",
                      k=Secret(mine.k), opc=Secret(opc_from_op(mine.k, op)))  # fmt: skip
    if "eve" not in core.network.accounts:
        core.network.subscribe(slipped)
    for keys, words in ((Keys("milenage", mine.k, op), "write op ="), (Keys("milenage", bytes(16), op), "k or opc")):
        async with core.phone("eve", 103, keys=keys) as phone:
            with pytest.raises(AuthenticationError, match=words):
                await phone.register()
    assert not core.subscriber("eve").is_registered


async def test_an_unknown_user_is_refused(core: Core) -> None:
    nobody = f"001010000000078@{core.network.realm}"
    said = {"imsi": "001010000000078", "impi": nobody, "impu": f"sip:{nobody}"}
    async with core.phone("alice", 104, **said) as phone:
        with pytest.raises(RegistrationRejected) as refused:
            await phone.register()
    assert refused.value.status == 403


async def test_a_password_registers_too(core: Core) -> None:
    async with core.phone("softphone1", 109) as phone:
        assert isinstance(await phone.register(), Registered)


async def test_who_is_taken_away_by_the_hss_hears_of_it(core: Core) -> None:
    """EVT-08: this core keeps the subscription active and says it in the registration's state alone."""
    phone = core.phone("alice", 101)
    told = seen(phone)
    async with phone:
        await phone.register()
        await within(told, RegistrationSeen)
        core.terminate("alice", cx.PERMANENT_TERMINATION)
        (gone,) = await within(told, Deregistered)
        assert isinstance(gone, Deregistered)
        assert gone.by == "network"
        assert not phone.is_registered


async def test_reg_13_one_device_takes_all_of_the_user_out(core: Core) -> None:
    """`Contact: *`. The other device is not told by this core, and would learn of it by its keep-alive or refresh."""
    async with core.phone("alice", 101) as alice, core.phone("alice", 106) as other:
        await alice.register()
        await other.register()
        await alice.deregister(everywhere=True)
        assert not core.subscriber("alice").is_registered


# What one registers for ---------------------------------------------------------------------------------------------


async def test_two_phones_call_each_other_over_the_strict_service_route(core: Core) -> None:
    async with core.phone("alice", 101) as alice, core.phone("bob", 102) as bob:
        await alice.register()
        await bob.register()
        for caller, called in ((alice, bob), (bob, alice)):
            call = await caller.call(called.name)
            incoming = await called.incoming(timeout=10)
            await incoming.answer()
            await call.answered(timeout=10)
            async with asyncio.timeout(10):
                while not (call.figures.get("received") and incoming.figures.get("received")):
                    await asyncio.sleep(0.05)
            await call.hangup()
            assert (await incoming.ended(10)).by == "remote"
            invited = next(record for record in called.trace if record.data.startswith(b"INVITE "))
            assert invited.flow.remote.host == f"{core.base}.10"  # by its Path


async def test_texts_go_both_ways(core: Core) -> None:
    async with core.phone("alice", 101) as alice, core.phone("bob", 102) as bob:
        await alice.register()
        await bob.register()
        for writer, reader in ((alice, bob), (bob, alice)):
            told = seen(reader)
            body = f"Grüße von {writer.name}\nin zwei Zeilen"
            assert (await writer.text(reader.name, body)).status == 200
            (came,) = await within(told, TextReceived)
            assert isinstance(came, TextReceived)
            assert came.body == body
            assert came.remote == f"sip:{writer.name}@{core.network.realm}"  # asserted by the P-CSCF
        await bob.deregister()
        with pytest.raises(TextRejected) as refused:
            await alice.text("bob", "Are you still there?")
        assert refused.value.status == 480


async def test_the_answering_machine_behind_the_foreign_i_cscf_is_found_by_location(core: Core) -> None:
    async with core.phone("alice", 101) as alice:
        await alice.register()
        call = await alice.call("echo")
        await call.answered(timeout=10)
        await call.hangup()
        with pytest.raises(CallRejected) as refused:
            await (await alice.call("nobody")).answered(timeout=10)
        assert refused.value.status == 404
        with pytest.raises(CallRejected) as refused:
            await (await alice.call("bob")).answered(timeout=10)
        assert refused.value.status == 480


async def test_another_way_than_the_service_route_is_refused(core: Core) -> None:
    """What the tests above got through, this P-CSCF would not have let pass in another form, nor from a stranger."""
    async with core.phone("alice", 101) as alice:
        await alice.register()
        known = next(record.flow.local for record in alice.trace if record.data.startswith(b"REGISTER "))
        for own, status in ((known, b"400"), (Address(f"{core.base}.105", 5060), b"403")):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((own.host, 0))
                sock.settimeout(5)
                sock.sendto(STRANGE.format(own=own, realm=core.network.realm).encode(), (f"{core.base}.10", 5060))
                assert sock.recv(65535).split()[1] == status


# When it fails ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("down_s", [0.0, 3.0])
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_restart_of_the_pcscf_is_noticed_and_mended(
    core: Core, transport: str, down_s: float, record_property: Callable[[str, object], None]
) -> None:
    """SEC-13 without IPsec: what came back knows nobody, and no call would have come in until the next refresh."""
    phone = core.phone("alice", 101, transport=transport, keep_alive_s=KEEP_ALIVE_S)
    told = seen(phone)
    async with phone, core.phone("bob", 102) as bob:
        await phone.register()
        await asyncio.sleep(KEEP_ALIVE_S + 1)  # once it has been asked, and has answered as it does
        told.clear()
        core.kill("pcscf")
        since = time.monotonic()
        await asyncio.sleep(down_s)
        core.start("pcscf")
        (back,) = await within(told, Registered, seconds=down_s + RECOVERY_S)
        recovered_s = time.monotonic() - since
        assert isinstance(back, Registered)
        assert not back.is_refresh
        record_property("recovered_s", round(recovered_s, 1))
        print(f"{transport}, {down_s:g} s down: registered again {recovered_s:.1f} s after the kill")
        await bob.register()
        call = await bob.call("alice")
        await (await phone.incoming(timeout=10)).answer()
        await call.answered(timeout=10)
        await call.hangup()
