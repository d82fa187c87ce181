"""Emergency registration and call at a test PSAP, beside a normal registration (TS 24.229 5.1.6)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from imsphone.errors import ProfileError, StateError
from imsphone.events import CallEnded, CallIncoming, Deregistered, EmergencyOffered, Registered, RegistrationFailed
from imsphone.lab.faults import refuse
from imsphone.lab.network import Network
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.phone import Phone
from imsphone.profile import Profile
from imsphone.sip.message import Request, parse
from imsphone.testing.served import ServedLab
from imsphone.testing.virtual import VirtualPhone

HOST, SOS_HOST = "127.0.10.101", "127.0.10.104"
IMEI = "35622410483840"
SOS = "urn:service:sos"


def put_in(world: World, network: Network, name: str, host: str, **keys: object) -> VirtualPhone:
    profile = replace(Profile(**network.profile("alice")), imei=IMEI, **keys)  # type: ignore[arg-type]
    return VirtualPhone(world, name, host, profile, network.accounts["alice"].isim())


def sos_phone(world: World, network: Network, **keys: object) -> VirtualPhone:
    psap = str(network.addresses["p-cscf"])
    return put_in(world, network, "sos", SOS_HOST, emergency=True, test_psap=psap, **keys)


def requests(world: World, who: str) -> list[Request]:
    assert world.trace is not None
    sent = [one for one in world.trace.records() if (one.who, one.direction, one.protocol) == (who, "sent", "SIP")]
    return [message for one in sent if isinstance(message := parse(one.data), Request)]


@pytest.mark.parametrize("security", ["none", "ipsec"])
def test_an_emergency_call_beside_a_normal_registration(world: World, network: Network, security: str) -> None:
    alice = put_in(world, network, "alice", HOST, security=security)
    alice.register()
    sos = sos_phone(world, network, security=security)
    sos.isim = alice.isim
    assert isinstance(sos.register(), Registered)
    key = sos.call(SOS)
    world.run_for(3)
    assert sos.ue.calls[key].state == "active"
    register = requests(world, "sos")[0]
    assert "sos" in register.contacts[0].uri.params
    assert register.contacts[0].params["+sip.instance"] == '"<urn:gsma:imei:35622410-483840-0>"'
    (invite,) = [one for one in requests(world, "sos") if one.method == "INVITE"]
    assert invite.uri == str(invite.to.uri) == SOS
    (route,) = invite.routes
    assert route.uri.host == network.addresses["p-cscf"].host
    assert {one.method for one in requests(world, "sos")} >= {"REGISTER", "INVITE", "ACK"}
    assert "SUBSCRIBE" not in {one.method for one in requests(world, "sos")}  # 5.1.6.4
    assert alice.ue.is_registered
    assert len(network.scscf.registering.registrar.find(f"sip:alice@{network.realm}").bound) == 2  # type: ignore[union-attr]


def test_a_caller_does_not_reach_the_emergency_registration(world: World, network: Network, bob: VirtualPhone) -> None:
    sos = sos_phone(world, network)
    sos.register()
    bob.register()
    bob.call("alice")
    world.run_for(3)
    assert sos.last(CallIncoming) is None


def test_it_is_left_to_expire_and_kept_up_during_a_call_only(world: World) -> None:
    """TS 24.229 5.1.6.4, 5.1.6.6."""
    network = Network(seed=b"sos", terms=Terms(max_expires_s=600))
    network.attach(world := World())
    sos = sos_phone(world, network)
    sos.register()
    key = sos.call(SOS)
    world.run_for(310)
    assert [event.is_refresh for event in sos.events if isinstance(event, Registered)] == [False, True]
    sos.hangup(key)
    world.run_for(700)
    assert not sos.ue.is_registered
    assert len([event for event in sos.events if isinstance(event, Registered)]) == 2
    sos.register()
    count = len(requests(world, "sos"))
    sos.do(sos.ue.deregister)
    world.run_for(5)
    assert isinstance(sos.events[-1], Deregistered)
    assert len(requests(world, "sos")) == count


def test_a_normal_phone_makes_none_and_a_380_is_told_as_a_choice(world: World, network: Network) -> None:
    alice = put_in(world, network, "alice", HOST, reg_event=False)
    alice.register()
    for target in ("112", "911", SOS):
        with pytest.raises(StateError, match="test_psap"):
            alice.call(target)
    assert not [one for one in requests(world, "alice") if one.method == "INVITE"]
    # the network takes another number for one of its country
    refuse(network.pcscf, 380, method="INVITE")
    alice.call("115")
    world.run_for(3)
    assert alice.last(EmergencyOffered) is None  # a 380 that says nothing offers nothing
    network.pcscf.objection = None
    network.pcscf.emergency_numbers = frozenset(("110",))
    alice.call("110")
    world.run_for(30)
    offered, ended = alice.last(EmergencyOffered), alice.last(CallEnded)
    assert offered is not None
    assert ended is not None
    assert (ended.call, ended.status) == (offered.call, 380)
    assert "Emergency Registration" in offered.reason
    assert len([one for one in requests(world, "alice") if one.method == "INVITE"]) == 2


def test_a_psap_that_sends_elsewhere_is_not_followed(world: World, network: Network) -> None:
    sos = sos_phone(world, network)
    refuse(network.pcscf, 305, times=5, Contact="<sip:127.0.10.99>")
    assert isinstance(sos.register(), RegistrationFailed)
    assert {one.flow.remote.host for one in world.trace or () if (one.who, one.direction) == ("sos", "sent")} == {
        network.addresses["p-cscf"].host
    }


async def test_on_loopback_beside_the_normal_phone(lab: ServedLab) -> None:
    psap = str(lab.network.addresses["p-cscf"])
    profile = replace(lab.profile("alice"), imei=IMEI, test_psap=psap)
    async with Phone(profile, isim=lab.isim("alice")) as alice:
        await alice.register()
        async with alice.emergency() as sos:
            await sos.register()
            call = await sos.call(SOS)
            await asyncio.wait_for(call.answered(), 10)
            await call.hangup()
        assert alice.is_registered
        await alice.deregister()


async def test_without_a_test_psap_there_is_none(lab: ServedLab) -> None:
    async with Phone(replace(lab.profile("alice"), imei=IMEI), isim=lab.isim("alice")) as alice:
        with pytest.raises(ProfileError, match="test_psap is missing"):
            async with alice.emergency():
                raise AssertionError("it opened")
