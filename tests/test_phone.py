"""The phone as an application holds it, on real sockets against the lab."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from imsphone.errors import AuthenticationError, NetworkError, ParseError, RegistrationRejected, StateError
from imsphone.events import Challenged, Deregistered, Registered
from imsphone.phone import Phone
from imsphone.profile import Profile
from imsphone.testing.served import ServedLab
from imsphone.usim.isim import Isim
from imsphone.usim.milenage import Milenage


def phone_of(lab: ServedLab, name: str = "alice", **changes: object) -> Phone:
    return Phone(replace(lab.profile(name), **changes), isim=lab.isim(name))  # type: ignore[arg-type]


async def test_it_registers_says_as_whom_and_leaves_no_registration_behind(lab: ServedLab) -> None:
    async with phone_of(lab) as phone:
        registered = await phone.register()
        assert registered.impus[0] == f"sip:alice@{lab.network.realm}"
        assert registered.service_route
        assert phone.is_registered
        left = asyncio.ensure_future(phone.until(Deregistered))
        await asyncio.sleep(0)
        await phone.deregister()
        assert (await left).by == "user"
        assert not phone.is_registered


async def test_leaving_the_context_deregisters(lab: ServedLab) -> None:
    async with phone_of(lab) as phone:
        await phone.register()
    assert phone.ladder().count("REGISTER") == 4


async def test_a_wrong_key_is_an_authentication_error_with_a_reason(lab: ServedLab) -> None:
    stranger = Isim(Milenage(bytes(16), bytes(16)))
    async with Phone(lab.profile("alice"), isim=stranger) as phone:
        with pytest.raises(AuthenticationError, match=r"\b(K|OP|key)\b"):
            await phone.register()


async def test_an_identity_that_the_network_does_not_know_is_refused(lab: ServedLab) -> None:
    unknown = {"impi": f"nobody@{lab.network.realm}", "impu": f"sip:nobody@{lab.network.realm}", "imsi": None}
    async with phone_of(lab, **unknown) as phone:
        with pytest.raises(RegistrationRejected) as refusal:
            await phone.register()
        assert refusal.value.status in (403, 404)


async def test_a_p_cscf_that_is_not_there_is_named_at_once() -> None:
    profile = Profile(
        impi="a@ims.example", impu="sip:a@ims.example", home_domain="ims.example", pcscf="127.0.19.1:5060"
    )
    async with Phone(profile, isim=Isim(Milenage(bytes(16), bytes(16)))) as phone:
        with pytest.raises(NetworkError) as failure:
            await asyncio.wait_for(phone.register(), 20)
        assert "127.0.19.1" in str(failure.value) + " ".join(failure.value.tried)


async def test_a_busy_port_is_named_with_its_remedy(lab: ServedLab) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        async with phone_of(lab, local_host="127.0.0.1", local_port=port) as phone:
            with pytest.raises(NetworkError, match=str(port)):
                await asyncio.wait_for(phone.register(), 10)


async def test_the_p_cscf_is_found_by_dns(lab: ServedLab) -> None:
    dns = str(lab.network.addresses["dns"])
    async with phone_of(lab, pcscf=None, dns=dns) as phone:
        assert isinstance(await phone.register(), Registered)


async def test_garbage_at_its_port_does_not_disturb_it(lab: ServedLab) -> None:
    async with phone_of(lab, "bob", local_host="127.0.0.1") as bob, phone_of(lab) as alice:
        await bob.register()
        await alice.register()
        where = next(record.flow.local for record in bob.trace if record.who == "bob" or record.flow.local.port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
            for data in (b"\0" * 100, b"INVITE", b"SIP/2.0 200 OK\r\n\r\n", bytes(range(256)) * 8, b"\r\n\r\n"):
                attacker.sendto(data, where)
        call = await alice.call("bob")
        incoming = await bob.incoming(timeout=10)
        await incoming.answer()
        await call.answered(timeout=10)
        await call.hangup()


async def test_acts_that_are_not_possible_now_say_what_is(lab: ServedLab) -> None:
    async with phone_of(lab) as phone:
        with pytest.raises(StateError, match="regist"):
            await phone.call("bob")
        with pytest.raises(StateError, match="regist"):
            await phone.deregister()
        await phone.register()
        with pytest.raises(ParseError):
            await phone.call("b@@b")
    with pytest.raises(StateError, match="closed"):
        await phone.register()


async def test_events_come_in_the_order_in_which_they_happened(lab: ServedLab) -> None:
    async with phone_of(lab) as phone:
        names: list[str] = []
        phone.on(lambda event: names.append(type(event).__name__))
        await phone.register()
        assert names == ["Registering", "Challenged", "Registering", "Registered"]


async def test_a_wait_that_is_in_vain_says_for_what(lab: ServedLab) -> None:
    async with Phone(lab.profile("alice"), isim=lab.isim("alice")) as alice:
        with pytest.raises(TimeoutError, match="no call came in"):
            await alice.incoming(timeout=0.01)
        with pytest.raises(TimeoutError, match="Registered did not happen"):
            await alice.until(Registered, timeout=0.01)


async def test_leaving_while_the_network_says_yes_leaves_no_registration_behind(lab: ServedLab) -> None:
    phone = phone_of(lab)
    async with phone:
        registering = asyncio.ensure_future(phone.register())
        await phone.until(Challenged, timeout=10)
        registering.cancel()
    labels = [record.data.split(b" SIP")[0] for record in phone.trace if record.direction == "sent"]
    assert len(labels) == 4  # twice to register, twice to leave
    assert not phone.is_registered


async def test_a_bug_in_a_machine_ends_the_wait_and_is_raised_in_the_end(
    lab: ServedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    phone = await phone_of(lab).__aenter__()
    monkeypatch.setattr(phone.ue, "receive", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(phone.register(), 20)
    with pytest.raises(RuntimeError, match="a bug"):
        await phone.close()
