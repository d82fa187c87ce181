"""REG-16: several flows to the network at a time, each by a P-CSCF of its own (RFC 5626)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imsphone.events import (
    CallIncoming,
    Deregistered,
    Event,
    FlowLost,
    FlowOpened,
    Registered,
    Registering,
    RegistrationFailed,
)
from imsphone.lab.faults import refuse
from imsphone.lab.network import Network
from imsphone.lab.registrar import Bound
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.profile import Profile
from imsphone.sip.message import Request, Response, parse
from imsphone.testing.virtual import VirtualPhone

HOST, FIRST, SECOND = "127.0.10.101", "127.0.10.10", "127.0.10.11"


class Scene:
    """A network with two P-CSCFs, and alice's phone that wants to be registered by both."""

    def __init__(self, terms: Terms | None = None, **keys: object) -> None:
        self.world = World()
        self.network = Network(seed=b"outbound", terms=terms, has_second_pcscf=True)
        self.network.attach(self.world)
        usual = {"pcscf": None, "flows": 2, "reg_event": False}
        profile = replace(Profile(**self.network.profile("alice")), **usual | keys)  # type: ignore[arg-type]
        self.alice = VirtualPhone(self.world, "alice", HOST, profile, self.network.accounts["alice"].isim())

    def register(self) -> None:
        assert isinstance(self.alice.register(), Registered)
        self.world.run_for(2)

    def bound(self) -> list[Bound]:
        registration = self.network.scscf.registering.registrar.find(f"sip:alice@{self.network.realm}")
        return [] if registration is None else registration.bound

    def sent(self, method: str) -> list[tuple[str, Request]]:
        """The requests of this method that alice sent, with the P-CSCF that each went to."""
        assert self.world.trace is not None
        records = [one for one in self.world.trace.records() if (one.who, one.direction) == ("alice", "sent")]
        found = [(one.flow.remote.host, parse(one.data)) for one in records if one.protocol == "SIP"]
        return [(host, one) for host, one in found if isinstance(one, Request) and one.method == method]

    def told(self, *kinds: type[Event]) -> list[Event]:
        return [event for event in self.alice.events if isinstance(event, kinds)]


@pytest.mark.parametrize("security", ["none", "ipsec"])
def test_reg_16_two_flows_and_one_contact(security: str) -> None:
    scene = Scene(security=security)
    scene.register()
    (opened,) = scene.told(FlowOpened)
    assert isinstance(opened, FlowOpened)
    assert opened.flow == 2
    assert opened.pcscf.startswith(SECOND)
    assert len(scene.told(Registered)) == 1
    assert [one.contact.params["reg-id"] for one in scene.bound()] == ["1", "2"]
    assert len({one.contact.params["+sip.instance"] for one in scene.bound()}) == 1
    assert ["ob" in one.path[0] for one in scene.bound()] == [True, True]
    for host, register in scene.sent("REGISTER"):
        assert "outbound" in register.supported
        assert register.contacts[0].params["reg-id"] == ("1" if host == FIRST else "2")
    key = scene.alice.call("echo")
    scene.world.run_for(3)
    assert scene.alice.ue.calls[key].state == "active"
    ((host, invite),) = scene.sent("INVITE")
    assert host == FIRST
    assert "ob" in invite.contacts[0].uri.params  # RFC 5626 4.3


@pytest.mark.parametrize("lacks", ["Require", "439"])
def test_reg_16_a_network_without_outbound_gets_one_flow(lacks: str) -> None:
    scene = Scene(Terms(does_outbound=lacks != "Require"))
    if lacks == "439":
        refuse(scene.network.pcscf, 439)
    scene.register()
    scene.world.run_for(600)
    assert {host for host, _ in scene.sent("REGISTER")} == {FIRST}
    assert scene.told(FlowOpened, FlowLost, RegistrationFailed) == []
    assert len(scene.bound()) == 1
    assert "outbound" in scene.sent("REGISTER")[0][1].supported
    assert ("outbound" in scene.sent("REGISTER")[-1][1].supported) == (lacks == "Require")


def test_reg_16_a_broken_flow_comes_back_while_the_other_carries_on() -> None:
    """RFC 5626 4.5: 45 to 90 s after the break, twice as long after each failure."""
    scene = Scene(keep_alive_s=5)
    scene.register()
    scene.world.silence(FIRST)
    lost = scene.alice.next(FlowLost)
    assert isinstance(lost, FlowLost)
    assert lost.flow == 1
    assert scene.alice.ue.is_registered
    assert scene.told(Deregistered) == []
    key = scene.alice.call("echo")
    scene.world.run_for(3)
    assert scene.alice.ue.calls[key].state == "active"
    assert scene.sent("INVITE")[-1][0] == SECOND
    registering = [event.at for event in scene.told(Registering)]
    scene.world.run_for(95)
    again = [event.at for event in scene.told(Registering) if event.at > max(registering)]
    assert 45 <= again[0] - lost.at <= 90
    scene.world.wake(FIRST)
    opened = scene.alice.next(FlowOpened, timeout_s=1000)
    assert isinstance(opened, FlowOpened)
    assert opened.flow == 1
    assert len(scene.bound()) == 2


def test_reg_16_both_flows_broken_is_no_registration_and_that_comes_back_sooner() -> None:
    scene = Scene(keep_alive_s=5)
    scene.register()
    for host in (FIRST, SECOND):
        scene.world.silence(host)
    scene.alice.next(Deregistered)
    assert not scene.alice.ue.is_registered
    for host in (FIRST, SECOND):
        scene.world.wake(host)
    assert isinstance(scene.alice.next(Registered, timeout_s=400), Registered)
    scene.world.run_for(400)
    assert len(scene.bound()) == 2


@pytest.mark.parametrize("fault", ["none", "silent", "restarted"])
def test_reg_16_a_call_finds_the_flow_that_stands(fault: str) -> None:
    """RFC 5626 5.3, 6: one flow of a device at a time, the next where that does not get through."""
    scene = Scene()
    scene.register()
    bob = VirtualPhone(
        scene.world,
        "bob",
        "127.0.10.102",
        Profile(**scene.network.profile("bob")),
        scene.network.accounts["bob"].isim(),
    )
    bob.register()
    assert scene.network.second_pcscf is not None
    if fault == "silent":
        scene.world.silence(SECOND)
    elif fault == "restarted":
        scene.network.second_pcscf.restart()
    key = bob.call("alice")
    scene.world.run_for(40)
    assert len(scene.told(CallIncoming)) == 1
    scene.alice.answer(scene.alice.incoming())
    scene.world.run_for(3)
    assert bob.ue.calls[key].state == "active"
    assert scene.world.trace is not None
    ringing = [
        one.flow.remote.host
        for one in scene.world.trace.records()
        if (one.who, one.direction) == ("alice", "sent") and isinstance(parse(one.data), Response)
    ]
    assert set(ringing) == {SECOND if fault == "none" else FIRST}


def test_reg_16_each_flow_is_refreshed_and_all_are_left() -> None:
    scene = Scene(Terms(max_expires_s=1800), reg_event=True)
    scene.register()
    scene.world.run_for(3600)
    refreshes = [event for event in scene.told(Registered) if isinstance(event, Registered) and event.is_refresh]
    assert len(refreshes) >= 4
    assert len(scene.bound()) == 2
    assert isinstance(scene.alice.deregister(), Deregistered)
    scene.world.run_for(5)
    assert scene.bound() == []
    assert not scene.alice.ue.is_registered
    assert {host for host, one in scene.sent("REGISTER") if one.expires == 0} == {FIRST, SECOND}
    count = len(scene.sent("REGISTER"))
    scene.world.run_for(7200)
    assert len(scene.sent("REGISTER")) == count


def test_reg_16_where_there_is_no_second_pcscf_there_is_no_second_flow() -> None:
    scene = Scene(pcscf=f"{FIRST}:5060")
    scene.register()
    (lost,) = scene.told(FlowLost)
    assert isinstance(lost, FlowLost)
    assert lost.flow == 2
    scene.world.run_for(600)
    assert len(scene.bound()) == 1
    assert scene.alice.ue.is_registered


def test_reg_16_the_address_of_both_changes() -> None:
    scene = Scene(security="ipsec")
    scene.register()
    at = scene.world.now
    scene.alice.move("127.0.10.105")
    registered = scene.alice.next(Registered)
    assert registered.at < at + 1
    assert [type(event) for event in scene.told(FlowLost, Deregistered)] == [FlowLost, Deregistered]
    scene.alice.next(FlowOpened)
    scene.world.run_for(2)
    assert {one.contact.uri.host for one in scene.bound()} == {"127.0.10.105"}
    assert len(scene.bound()) == 2
