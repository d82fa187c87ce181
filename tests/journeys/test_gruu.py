"""REG-17: an address for one device alone (RFC 5627), from the registrar to the far end of a call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imsphone.events import CallEnded, CallIncoming, RegistrationSeen
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.machine import Address
from imsphone.profile import Profile
from imsphone.sip.message import Request, Response, parse
from imsphone.testing.virtual import VirtualPhone


def put_in(world: World, network: Network, name: str, host: str, account: str, **keys: object) -> VirtualPhone:
    profile = replace(Profile(**network.profile(account)), **keys)  # type: ignore[arg-type]
    owner = network.accounts[account]
    return VirtualPhone(world, name, host, profile, owner.isim() if owner.k else None, owner.password)


def messages(world: World, who: str, kind: type[Request] | type[Response]) -> list[Request | Response]:
    assert world.trace is not None
    sent = [parse(one.data) for one in world.trace.records() if (one.who, one.direction) == (who, "sent")]
    return [message for message in sent if isinstance(message, kind)]


def gruu_of(phone: VirtualPhone, impu: str) -> str:
    """What the network has told of this identity's GRUU."""
    seen = phone.last(RegistrationSeen)
    assert seen is not None
    return next(str(one["contacts"][0]["gruu"]) for one in seen.identities if one["impu"] == impu)


def test_reg_17_a_call_to_a_gruu_arrives_at_the_one_device(world: World, network: Network) -> None:
    first = put_in(world, network, "first", "127.0.10.101", "alice", imei="35622410483840")
    second = put_in(world, network, "second", "127.0.10.103", "alice", imei="35622410483857")
    second.isim = first.isim
    bob = put_in(world, network, "bob", "127.0.10.102", "bob")
    for phone in (first, second, bob):
        phone.register()
    world.run_for(2)
    alice = f"sip:alice@{network.realm}"
    seen = second.last(RegistrationSeen)
    assert seen is not None
    contacts = next(one["contacts"] for one in seen.identities if one["impu"] == alice)
    gruu = next(one["gruu"] for one in contacts if one["is_ours"])
    assert len({one["gruu"] for one in contacts}) == 2
    key = bob.call(gruu)
    world.run_for(2)
    assert first.last(CallIncoming) is None
    second.answer(second.incoming())
    world.run_for(2)
    assert bob.ue.calls[key].state == "active"


def test_reg_17_dialogs_go_by_the_gruu_and_outlive_the_token_of_the_pcscf(world: World, network: Network) -> None:
    """TS 24.229 5.1.2A, 5.1.3, 5.1.4: both Contacts are the public GRUU of the identity in question."""
    alice = put_in(world, network, "alice", "127.0.10.101", "alice")
    bob = put_in(world, network, "bob", "127.0.10.102", "bob")
    for phone in (alice, bob):
        phone.register()
    world.run_for(2)
    key = alice.call("bob")
    world.run_for(2)
    bob.answer(bob.incoming())
    world.run_for(2)
    (invite,) = [
        one for one in messages(world, "alice", Request) if isinstance(one, Request) and one.method == "INVITE"
    ]
    (ok,) = [one for one in messages(world, "bob", Response) if one.cseq.method == "INVITE" and one.status == 200]
    for message, phone, name in ((invite, alice, "alice"), (ok, bob, "bob")):
        assert str(message.contacts[0].uri) == gruu_of(phone, f"sip:{name}@{network.realm}")
    bindings = network.pcscf.bindings
    bindings.forget(bindings.at(Address("127.0.10.101", 5060))[0].token)
    bob.hangup(next(iter(bob.ue.calls)))
    world.run_for(2)
    assert alice.ue.calls[key].state == "ended"
    ended = bob.last(CallEnded)
    assert ended is not None
    assert ended.by == "local"


@pytest.mark.parametrize("kind", ["gruu", "temporary", "another device", "nobody's"])
def test_reg_17_only_valid_gruus_lead_anywhere(world: World, network: Network, kind: str) -> None:
    softphone = put_in(world, network, "softphone1", "127.0.10.101", "softphone1", reg_event=False)
    bob = put_in(world, network, "bob", "127.0.10.102", "bob", reg_event=False)
    softphone.register()
    bob.register()
    granted = [one.contacts[0].params for one in messages(world, "p-cscf", Response) if one.contacts]
    params = next(params for params in granted if "pub-gruu" in params)
    gruus = {
        "gruu": (params["pub-gruu"] or "").strip('"'),
        "temporary": (params["temp-gruu"] or "").strip('"'),
        "another device": f"sip:softphone1@{network.realm};gr=urn:uuid:00000000-0000-5000-8000-000000000000",
        "nobody's": f"sip:tgruu.nobody@{network.realm};gr",
    }
    key = bob.call(gruus[kind])
    world.run_for(2)
    if kind in ("gruu", "temporary"):
        assert bob.ue.calls[key].state == "ringing"
    else:
        ended = bob.last(CallEnded)
        assert ended is not None
        assert ended.status == (480 if kind == "another device" else 404)


def test_reg_17_who_does_not_ask_gets_none(world: World, network: Network) -> None:
    softphone = put_in(world, network, "softphone1", "127.0.10.101", "softphone1", gruu=False)
    softphone.register()
    world.run_for(2)
    softphone.call("echo")
    world.run_for(2)
    assert not [one for one in messages(world, "p-cscf", Response) if "pub-gruu" in (one.headers.get("Contact") or "")]
    invite = next(one for one in messages(world, "softphone1", Request) if one.cseq.method == "INVITE")
    assert invite.contacts[0].uri.host == "127.0.10.101"
