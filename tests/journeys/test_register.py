"""A phone comes into the network, stays in it and leaves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from imsphone.events import Challenged, Deregistered, Registered, RegistrationFailed
from imsphone.lab.network import Account, Network
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.profile import Profile, Secret
from imsphone.sip.message import parse
from imsphone.testing.virtual import VirtualPhone
from imsphone.usim.isim import Isim, SqnMemory
from imsphone.usim.milenage import Milenage

GM = ["alice", "p-cscf"]
HOST = "127.0.10.101"
Ladder = Callable[..., None]


def put_in(world: World, network: Network, name: str, isim: Isim | None = None, **keys: object) -> VirtualPhone:
    account = network.accounts[name]
    profile = replace(Profile(**network.profile(name)), **keys)  # type: ignore[arg-type]
    return VirtualPhone(world, name, HOST, profile, isim or (account.isim() if account.k else None), account.password)


def milenage_of(account: Account) -> Milenage:
    assert account.k is not None
    assert account.opc is not None
    return Milenage(account.k.reveal(), account.opc.reveal())


def network_of(world: World, **terms: int) -> Network:
    network = Network(seed=b"journey", terms=Terms(**terms))
    network.attach(world)
    return network


def test_the_network_and_the_phone_prove_themselves_to_each_other(
    world: World, network: Network, alice: VirtualPhone, assert_ladder: Ladder
) -> None:
    event = alice.register()
    assert_ladder(
        world,
        """
        alice -> p-cscf   REGISTER
        p-cscf -> i-cscf  REGISTER
        i-cscf -> hss     CER
        hss -> i-cscf     CEA
        i-cscf -> hss     UAR
        hss -> i-cscf     UAA
        i-cscf -> s-cscf  REGISTER
        s-cscf -> hss     CER
        hss -> s-cscf     CEA
        s-cscf -> hss     MAR
        hss -> s-cscf     MAA
        s-cscf -> i-cscf  401 Unauthorized
        i-cscf -> p-cscf  401 Unauthorized
        p-cscf -> alice   401 Unauthorized
        alice -> p-cscf   REGISTER
        p-cscf -> i-cscf  REGISTER
        i-cscf -> hss     UAR
        hss -> i-cscf     UAA
        i-cscf -> s-cscf  REGISTER
        s-cscf -> hss     SAR
        hss -> s-cscf     SAA
        s-cscf -> i-cscf  200 OK
        i-cscf -> p-cscf  200 OK
        p-cscf -> alice   200 OK
        """,
    )
    assert isinstance(event, Registered)
    assert event.impu == f"sip:alice@{network.realm}"  # not the one of the IMSI, which is barred
    assert f"sip:{network.accounts['alice'].impi}" not in event.impus


def test_a_password_does_as_well(world: World, network: Network) -> None:
    softphone = put_in(world, network, "softphone1")
    event = softphone.register()
    assert isinstance(event, Registered)
    assert event.impu == f"sip:softphone1@{network.realm}"


def test_a_sim_with_another_key_learns_that_the_network_cannot_know_it(world: World, network: Network) -> None:
    alice = put_in(world, network, "alice", Isim(Milenage(bytes(16), bytes(16))))
    event = alice.register()
    assert isinstance(event, RegistrationFailed)
    assert (event.cause, event.is_final) == ("authentication", True)
    assert "opc" in event.sentence
    registers = [record for record in _sent(world, "alice") if record.startswith(b"REGISTER")]
    assert 2 <= len(registers) <= 3  # TS 24.229 5.1.1.5.12
    assert b"auts" not in b"".join(registers)


def test_a_wrong_password_is_refused(world: World, network: Network) -> None:
    account = network.accounts["softphone1"]
    profile = Profile(**network.profile("softphone1"))
    phone = VirtualPhone(world, "softphone1", HOST, profile, password=Secret(b"wrong"))
    event = phone.register()
    assert isinstance(event, RegistrationFailed)
    assert event.cause == "authentication"
    assert account.impi in event.sentence


def test_a_sim_that_is_ahead_brings_the_network_up_to_date(
    world: World, network: Network, assert_ladder: Ladder
) -> None:
    ahead = SqnMemory((1 << 20,) * 32)
    alice = put_in(world, network, "alice", Isim(milenage_of(network.accounts["alice"]), ahead))
    assert isinstance(alice.register(), Registered)
    assert_ladder(
        world,
        """
        alice -> p-cscf  REGISTER
        p-cscf -> alice  401 Unauthorized
        alice -> p-cscf  REGISTER
        p-cscf -> alice  401 Unauthorized
        alice -> p-cscf  REGISTER
        p-cscf -> alice  200 OK
        """,
        nodes=GM,
    )


def test_an_unknown_subscriber_is_refused_without_a_challenge(world: World, network: Network) -> None:
    profile = replace(Profile(**network.profile("alice")), impu=f"sip:mallory@{network.realm}")
    alice = VirtualPhone(world, "alice", HOST, profile, network.accounts["alice"].isim())
    event = alice.register()
    assert isinstance(event, RegistrationFailed)
    assert event.cause == "rejected"
    assert event.status in (403, 404)
    assert "mallory" in event.sentence


def test_reg_06_too_short_a_time_is_raised() -> None:
    """REG-06, RFC 3261 10.2.8: the same Call-ID, CSeq one up."""
    world = World()
    network = network_of(world, min_expires_s=1800)
    alice = put_in(world, network, "alice", expires_s=60)
    event = alice.register()
    assert isinstance(event, Registered)
    assert event.expires_s >= 1800
    labels = _labels(world, "alice")
    assert "423 Interval Too Brief" in labels
    registers = [parse(data) for data in _sent(world, "alice")]
    assert len({message.call_id for message in registers}) == 1
    assert [message.cseq.number for message in registers] == list(range(1, len(registers) + 1))
    assert labels[-1] == "200 OK"


def test_a_day_in_the_network() -> None:
    world = World(trace=None)
    network = network_of(world, max_expires_s=3600)
    alice = put_in(world, network, "alice")
    alice.register()
    world.run_for(24 * 3600)
    refreshes = [event for event in alice.events if isinstance(event, Registered) and event.is_refresh]
    assert len(refreshes) == 28  # every 3000 s: TS 24.229 5.1.1.4.1
    assert len([event for event in alice.events if isinstance(event, Challenged)]) == 29
    assert alice.ue.is_registered
    gaps = [b.at - a.at for a, b in pairwise(refreshes)]
    assert all(3000 <= gap < 3001 for gap in gaps)


def test_leaving(world: World, alice: VirtualPhone, bob: VirtualPhone) -> None:
    alice.register()
    bob.register()
    assert isinstance(alice.deregister(), Deregistered)
    assert not alice.ue.is_registered
    assert _labels(world, "alice")[-4:] == ["REGISTER", "401 Unauthorized", "REGISTER", "200 OK"]
    key = bob.call("alice")
    world.run_for(5)
    assert bob.ue.calls[key].state == "ended"  # nobody is there


def test_reg_14_leaving_ends_the_call_first(world: World, alice: VirtualPhone) -> None:
    alice.register()
    alice.call("echo")
    world.run_for(2)
    alice.deregister()
    labels = _labels(world, "alice")
    assert labels.index("BYE") < len(labels) - 1 - labels[::-1].index("REGISTER")
    last_register = [data for data in _sent(world, "alice") if data.startswith(b"REGISTER")][-1]
    assert b"\r\nExpires: 0\r\n" in last_register


def test_a_silent_pcscf_is_named(world: World, network: Network) -> None:
    alice = put_in(world, network, "alice")
    world.silence("127.0.10.10")
    event = alice.register()
    assert isinstance(event, RegistrationFailed)
    assert event.cause == "timeout"
    assert "127.0.10.10" in event.sentence


def test_a_pcscf_that_is_not_there_is_named(world: World, network: Network) -> None:
    alice = put_in(world, network, "alice")
    world.detach("p-cscf")
    event = alice.register()
    assert isinstance(event, RegistrationFailed)
    assert event.cause == "unreachable"
    assert len(event.tried) == 2  # UDP and TCP


def test_the_home_domain_names_the_pcscf(world: World, network: Network) -> None:
    alice = put_in(world, network, "alice", pcscf=None)
    assert isinstance(alice.register(), Registered)


def test_over_tcp(world: World, network: Network) -> None:
    alice = put_in(world, network, "alice", transport="TCP")
    assert isinstance(alice.register(), Registered)
    alice.call("echo")
    world.run_for(2)
    assert world.trace is not None
    assert {record.flow.transport for record in world.trace.records() if record.who == "alice"} == {"TCP"}


@pytest.mark.parametrize("status", ["503", "timeout"])
def test_a_refresh_that_fails_leaves_the_phone_registered(status: str) -> None:
    world = World()
    network = network_of(world, max_expires_s=3600)
    alice = put_in(world, network, "alice")
    alice.register()
    world.run_for(2990)
    if status == "503":
        world.silence("127.0.10.20")  # the P-CSCF finds no I-CSCF
    else:
        world.silence("127.0.10.10")
    world.run_for(300)
    failed = [event for event in alice.events if isinstance(event, RegistrationFailed)]
    assert failed
    assert not any(event.is_final for event in failed)
    assert alice.ue.is_registered


def _sent(world: World, who: str) -> list[bytes]:
    assert world.trace is not None
    return [record.data for record in world.trace.records() if (record.who, record.direction) == (who, "sent")]


def _labels(world: World, who: str) -> list[str]:
    """What the phone sent and received, in words."""
    assert world.trace is not None
    found = []
    for record in world.trace.records():
        if record.who == who and record.protocol == "SIP":
            first = record.data.split(b"\r\n")[0].decode()
            found.append(first[8:] if first.startswith("SIP/2.0 ") else first.split(" ")[0])
    return found
