"""What the network thinks of a phone, told to the phone (EVT-01 to EVT-10), through the whole network."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from imsphone.events import CallEnded, Challenged, Deregistered, Registered, RegistrationFailed, RegistrationSeen
from imsphone.lab import cx
from imsphone.lab.faults import refuse, shorten, take_away
from imsphone.lab.network import Network
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.machine import Effect, Flow
from imsphone.profile import Profile
from imsphone.sip.message import parse
from imsphone.testing.virtual import VirtualPhone

GM = ["alice", "p-cscf"]


@pytest.fixture
def alice(world: World, network: Network) -> VirtualPhone:
    """A phone that asks to be told, as it does by default."""
    profile = Profile(**network.profile("alice"))
    return VirtualPhone(world, "alice", "127.0.10.101", profile, network.accounts["alice"].isim())


def fates(phone: VirtualPhone) -> list[str]:
    """What was said of our own contact, one word a NOTIFY."""
    return [
        f"{contact['state']} {contact['event']}"
        for event in phone.events
        if isinstance(event, RegistrationSeen)
        for contact in event.identities[0]["contacts"]
        if contact["is_ours"]
    ]


def test_evt_01_subscription_after_registration(
    world: World, alice: VirtualPhone, assert_ladder: Callable[..., None]
) -> None:
    alice.register()
    world.run_for(1)
    assert_ladder(
        world,
        """
        alice -> p-cscf  REGISTER
        p-cscf -> alice  401 Unauthorized
        alice -> p-cscf  REGISTER
        p-cscf -> alice  200 OK
        alice -> p-cscf  SUBSCRIBE
        p-cscf -> alice  200 OK
        p-cscf -> alice  NOTIFY
        alice -> p-cscf  200 OK
        """,
        nodes=GM,
    )
    assert fates(alice) == ["active registered"]
    seen = alice.last(RegistrationSeen)
    registered = alice.last(Registered)
    assert seen is not None
    assert registered is not None
    assert {one["impu"] for one in seen.identities} == set(registered.impus)  # REG-08: both agree


def sent(world: World, method: bytes) -> list[float]:
    """When alice sent requests of this method, each once."""
    assert world.trace is not None
    times: dict[bytes, float] = {}
    for record in world.trace:
        if (record.who, record.direction) == ("alice", "sent") and record.data.startswith(method):
            times.setdefault(record.data, record.at)
    return list(times.values())


def rewrite(phone: VirtualPhone, edit: Callable[[bytes], bytes]) -> None:
    """From now on the phone gets other NOTIFYs than the network sent."""
    receive = phone.ue.receive

    def through(data: bytes, flow: Flow, now: float) -> list[Effect]:
        if data.startswith(b"NOTIFY"):
            request = parse(data)
            request.set_body(edit(request.body), "application/reginfo+xml")
            data = bytes(request)
        return receive(data, flow, now)

    phone.ue.receive = through  # type: ignore[method-assign]


def test_evt_02_a_subscribe_that_is_put_off_comes_again(world: World, network: Network, alice: VirtualPhone) -> None:
    """EVT-02, TS 34.229-1 10.1: after Retry-After, and the registration is not touched by it."""
    refuse(network.pcscf, 503, times=2, method="SUBSCRIBE", Retry_After="17")
    alice.register()
    world.run_for(60)
    first, second, third = sent(world, b"SUBSCRIBE")
    assert second - first == pytest.approx(17, abs=0.1)
    assert third - second == pytest.approx(17, abs=0.1)
    assert fates(alice) == ["active registered"]
    assert len(sent(world, b"REGISTER")) == 2
    assert alice.ue.is_registered


def test_evt_03_after_a_gap_the_full_state_is_fetched(world: World, network: Network, alice: VirtualPhone) -> None:
    """EVT-03, RFC 3680 5.2: a partial state that does not follow the last one is not applied."""
    alice.register()
    world.run_for(10)
    before = len(sent(world, b"SUBSCRIBE"))
    partial = (b'state="full"', b'state="partial"'), (b'version="1"', b'version="3"'), (b"shortened", b"rejected")
    gap = (*partial, (b'state="active"', b'state="terminated"'))
    rewrite(alice, lambda body: apply(body, gap) if b'version="1"' in body else body)
    shorten(network, "alice", world, 600)
    world.run_for(10)
    assert len(sent(world, b"SUBSCRIBE")) == before + 1
    assert "terminated rejected" not in fates(alice)
    assert alice.ue.is_registered
    assert fates(alice)[-1].startswith("active")  # and the full state has come
    seen = len(fates(alice))
    rewrite(alice, lambda body: apply(body, [(b'version="3"', b'version="0"')]))  # a network that counts anew
    shorten(network, "alice", world, 500)
    world.run_for(1)
    assert len(fates(alice)) == seen + 1


def apply(body: bytes, changes: Iterable[tuple[bytes, bytes]]) -> bytes:
    for old, new in changes:
        body = body.replace(old, new)
    return body


@pytest.mark.parametrize(
    ("event", "after_s"),
    [
        (b'"probation"', 30.0),  # RFC 3680 4.7.1: later, when it likes
        (b'"probation" retry-after="90"', 90.0),
        (b'"expired"', 0.0),
        (b'"unregistered"', None),  # not before the user asks
    ],
)
def test_evt_06_each_end_has_its_own_consequence(
    world: World, network: Network, alice: VirtualPhone, event: bytes, after_s: float | None
) -> None:
    """EVT-06, TS 24.229 5.1.1.7, RFC 3680 4.7.1."""
    alice.register()
    world.run_for(5)
    before = len(sent(world, b"REGISTER"))
    rewrite(alice, lambda body: body.replace(b'"rejected"', event))
    gone_at = world.now
    take_away(network, "alice", world)
    world.run_for(1000)
    again = sent(world, b"REGISTER")[before:]
    if after_s is None:
        assert again == []
        assert not alice.ue.is_registered
        alice.register()
    else:
        assert again[0] - gone_at == pytest.approx(after_s, abs=0.1)
    assert alice.ue.is_registered


def test_evt_04_deactivated_begins_again(world: World, network: Network, alice: VirtualPhone) -> None:
    alice.register()
    world.run_for(1)
    take_away(network, "alice", world, cx.SERVER_CHANGE)
    world.run_for(2)
    assert fates(alice)[1:] == ["terminated deactivated", "active registered"]
    assert alice.ue.is_registered


def test_evt_05_and_08_who_is_taken_away_stays_away(world: World, network: Network, alice: VirtualPhone) -> None:
    """EVT-05, EVT-08: the NOTIFY says terminated before the registration is gone; calls end, nothing follows."""
    alice.register()
    world.run_for(1)
    key = alice.call("echo")
    world.run_for(2)
    assert alice.ue.calls[key].state == "active"
    take_away(network, "alice", world)
    world.run_for(3600)
    assert fates(alice)[-1] == "terminated rejected"
    ended = alice.last(CallEnded)
    assert ended is not None
    assert (ended.call, ended.by) == (key, "local")
    last = alice.last(Deregistered)
    assert last is not None
    assert last.by == "network"
    assert not alice.ue.is_registered
    assert not network.hss.subscriber(network.accounts["alice"].impi).is_registered


def test_evt_07_the_network_wants_proof_sooner(world: World, network: Network, alice: VirtualPhone) -> None:
    alice.register()
    world.run_for(1)
    before = len([event for event in alice.events if isinstance(event, Challenged)])
    shorten(network, "alice", world, 60)
    world.run_for(60)
    assert "active shortened" in fates(alice)
    assert len([event for event in alice.events if isinstance(event, Challenged)]) == before + 1
    world.run_for(600)
    assert alice.ue.is_registered


def test_evt_09_own_deregistration_is_told_last(world: World, network: Network, alice: VirtualPhone) -> None:
    alice.register()
    world.run_for(1)
    alice.deregister()
    world.run_for(2)
    assert fates(alice)[-1] == "terminated unregistered"
    assert len(network.scscf.notifier) == 0
    assert not any(isinstance(event, RegistrationFailed) for event in alice.events)


def test_evt_10_it_lasts_as_long_as_the_registration() -> None:
    world = World(trace=None)
    network = Network(seed=b"evt", terms=Terms(max_expires_s=3600))
    network.attach(world)
    profile = Profile(**network.profile("alice"))
    alice = VirtualPhone(world, "alice", "127.0.10.101", profile, network.accounts["alice"].isim())
    alice.register()
    world.run_for(14 * 24 * 3600)  # the subscription lasts a week at most
    assert len(network.scscf.notifier) == 1
    network.scscf.registering.shorten(network.accounts["alice"].impus[0], 3000, world.now)
    assert alice.ue.is_registered


def test_reg_15_the_same_device_elsewhere_takes_its_own_place(world: World, network: Network) -> None:
    """REG-15: the first contact is removed, and who holds it is told."""
    account = network.accounts["alice"]
    isim = account.isim()
    first, second = (
        VirtualPhone(world, name, host, Profile(**network.profile("alice")), isim)
        for name, host in (("first", "127.0.10.101"), ("second", "127.0.10.102"))
    )
    first.register()
    world.run_for(1)
    second.register()
    world.run_for(2)
    assert fates(first)[-1] == "terminated unregistered"
    assert not first.ue.is_registered
    assert second.ue.is_registered
