"""A registration over a long time, in a network that has its troubles (REG and ERR of the catalogue of checks)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imsphone.events import CallEnded, CallIncoming, Deregistered, Event, Registered, Registering, RegistrationFailed
from imsphone.lab.faults import lose_200, refuse, restart
from imsphone.lab.network import Network
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.machine import Address
from imsphone.profile import Profile
from imsphone.testing.virtual import VirtualPhone

HOST = "127.0.10.101"


class Scene:
    """A network whose registrations last an hour, and alice's phone in it."""

    def __init__(self, **keys: object) -> None:
        self.world = World()
        self.network = Network(seed=b"life", terms=Terms(max_expires_s=3600))
        self.network.attach(self.world)
        self.alice = self.phone("alice", HOST, **keys)

    def phone(self, name: str, host: str, account: str = "alice", **keys: object) -> VirtualPhone:
        profile = replace(Profile(**self.network.profile(account)), **keys)  # type: ignore[arg-type]
        return VirtualPhone(self.world, name, host, profile, self.network.accounts[account].isim())

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.alice.events if isinstance(event, kind)]

    @property
    def attempts(self) -> list[float]:
        """When a REGISTER left, refreshes and answers to challenges too."""
        return [event.at for event in self.told(Registering)]


def test_err_01_a_503_with_retry_after_is_obeyed() -> None:
    """ERR-01, TS 24.229 5.1.1.2.1."""
    scene = Scene(keep_trying=True)
    refuse(scene.network.pcscf, 503, Retry_After="400")
    scene.alice.do(scene.alice.ue.register)
    scene.world.run_for(399)
    assert len(scene.attempts) == 1
    scene.world.run_for(2)
    assert scene.alice.ue.is_registered
    (failed,) = scene.told(RegistrationFailed)
    assert isinstance(failed, RegistrationFailed)
    assert (failed.is_final, failed.retry_after_s) == (False, 400)


def test_err_01_a_storm_is_not_hammered() -> None:
    scene = Scene(keep_trying=True)
    refuse(scene.network.pcscf, 503, times=1000)
    scene.alice.do(scene.alice.ue.register)
    scene.world.run_for(24 * 3600)
    gaps = [b - a for a, b in zip(scene.attempts, scene.attempts[1:], strict=False)]
    assert 30 <= gaps[0] <= 60  # RFC 5626 4.5
    assert all(900 <= gap <= 1801 for gap in gaps[7:])
    assert 50 < len(gaps) < 110


def test_err_01_without_being_asked_to_it_does_not_go_on() -> None:
    scene = Scene()
    refuse(scene.network.pcscf, 503, times=1000)
    event = scene.alice.register()
    assert isinstance(event, RegistrationFailed)
    assert event.is_final
    scene.world.run_for(3600)
    assert len(scene.attempts) == 1


def test_err_02_a_silent_pcscf_makes_way_for_the_next() -> None:
    """ERR-02: the first address of the home domain does not answer."""
    scene = Scene(pcscf=None)
    scene.world.names[scene.network.realm].insert(0, Address("127.0.10.11", 5060))
    scene.world.silence("127.0.10.11")
    event = scene.alice.register()
    assert isinstance(event, Registered)
    assert 127 < event.at < 130  # Timer F of TS 24.229 7.7


def test_err_02_when_all_are_silent_the_rounds_come_further_and_further_apart() -> None:
    """RFC 5626 4.5: the first retry within five minutes of the failure, each later one after twice as long."""
    scene = Scene(pcscf=None, keep_trying=True)
    second = Address("127.0.10.11", 5060)
    scene.world.names[scene.network.realm].append(second)
    for host in ("127.0.10.10", second.host):
        scene.world.silence(host)
    scene.alice.do(scene.alice.ue.register)
    scene.world.run_for(2400)
    failed = [event for event in scene.told(RegistrationFailed) if isinstance(event, RegistrationFailed)]
    assert len(failed) >= 3
    assert all(len(event.tried) == 2 and not event.is_final for event in failed)
    pauses = [next(at for at in scene.attempts if at > event.at) - event.at for event in failed[:3]]
    assert pauses[0] <= 300
    assert pauses[0] < pauses[1] < pauses[2]


def test_err_03_use_proxy_means_discovery_again() -> None:
    """ERR-03: the Contact of the 305 is ignored."""
    scene = Scene()
    refuse(scene.network.pcscf, 305, Contact="<sip:127.0.10.99>")
    assert isinstance(scene.alice.register(), Registered)
    refuse(scene.network.pcscf, 305, times=9, Contact="<sip:127.0.10.99>")
    bob = scene.phone("bob", "127.0.10.102", "bob")
    assert isinstance(bob.register(), RegistrationFailed)  # not for ever


@pytest.mark.parametrize("status", [403, 404])
def test_err_04_a_wrong_identity_is_told_and_not_tried_again(status: int) -> None:
    scene = Scene(keep_trying=True)
    refuse(scene.network.pcscf, status, times=9)
    event = scene.alice.register()
    assert isinstance(event, RegistrationFailed)
    assert (event.status, event.is_final) == (status, True)
    scene.world.run_for(7200)
    assert len(scene.attempts) == 1


@pytest.mark.parametrize("status", [408, 420, 439, 480, 500, 503, 504])
def test_err_06_a_refresh_that_is_refused_costs_nothing_before_the_end(status: int) -> None:
    """ERR-06, TS 24.229 5.1.1.4."""
    scene = Scene()
    scene.alice.register()
    refuse(scene.network.pcscf, status, times=2)
    scene.world.run_for(3590)
    assert scene.alice.ue.is_registered
    assert len(scene.told(RegistrationFailed)) == 2
    assert any(isinstance(event, Registered) and event.is_refresh for event in scene.alice.events)


def test_err_06_a_refresh_obeys_retry_after() -> None:
    scene = Scene()
    scene.alice.register()
    refuse(scene.network.pcscf, 503, Retry_After="300")
    scene.world.run_for(3299)
    count = len(scene.attempts)
    assert scene.alice.ue.is_registered
    scene.world.run_for(3)
    assert len(scene.attempts) > count
    assert not scene.told(Deregistered)


@pytest.mark.parametrize(
    ("status", "is_final"),
    [*((status, True) for status in (400, 403, 404, 420, 421, 423, 439, 480, 494, 603)),
     *((status, False) for status in (408, 500, 503, 504, 580))],
)  # fmt: skip
def test_err_04_and_err_02_what_ends_an_initial_registration_and_what_is_tried_again(
    status: int, is_final: bool
) -> None:
    """A refusal is for people to look at, and not to be hammered; the network's own troubles pass (5.1.1.2.1)."""
    scene = Scene(keep_trying=True)
    refuse(scene.network.pcscf, status, times=1)
    scene.alice.do(scene.alice.ue.register)
    scene.world.run_for(3600)
    failed = scene.alice.last(RegistrationFailed)
    assert failed is not None
    assert (failed.status, failed.is_final) == (status, is_final)
    assert failed.sentence
    assert scene.alice.ue.is_registered is not is_final
    if not is_final:
        assert 30 <= scene.attempts[1] - scene.attempts[0] <= 61  # RFC 5626 4.5


def test_err_06_after_the_end_a_new_registration_begins_and_goes_on() -> None:
    scene = Scene()
    scene.alice.register()
    refuse(scene.network.pcscf, 500, times=1000)
    scene.world.run_for(2 * 3600)
    assert not scene.alice.ue.is_registered
    scene.network.pcscf.objection = None
    scene.world.run_for(1800)
    assert scene.alice.ue.is_registered


def test_err_07_a_core_that_lost_us_is_told_again() -> None:
    """ERR-07, TS 24.229 5.1.2A.1.6: 504 with a restoration body, vouched for by the Service-Route."""
    scene = Scene()
    scene.alice.register()
    scene.world.run_for(2)
    restart(scene.network, scene.world, "s-cscf", 1)
    scene.world.run_for(2)
    scene.alice.call("echo")
    scene.world.run_for(5)
    ended = scene.alice.last(CallEnded)
    assert ended is not None
    assert ended.status == 504
    assert scene.alice.ue.is_registered
    assert [event.by for event in scene.told(Deregistered) if isinstance(event, Deregistered)] == ["network"]
    key = scene.alice.call("echo")
    scene.world.run_for(5)
    assert scene.alice.ue.calls[key].state == "active"


def test_a_lost_200_is_asked_for_again() -> None:
    scene = Scene()
    lose_200(scene.network.pcscf)
    event = scene.alice.register()
    assert isinstance(event, Registered)
    assert 2 <= event.at < 2.1  # T1 of TS 24.229 7.7: the repeated REGISTER brings the 200 that was kept


def test_after_a_restart_of_the_pcscf_the_refresh_brings_us_back() -> None:
    scene = Scene()
    scene.alice.register()
    restart(scene.network, scene.world, "p-cscf", 5)
    scene.world.run_for(3600)
    key = scene.alice.call("echo")
    scene.world.run_for(5)
    assert scene.alice.ue.calls[key].state == "active"


def test_reg_10_a_call_survives_the_refresh() -> None:
    """REG-10: no gap in the service."""
    scene = Scene()
    scene.alice.register()
    scene.world.run_for(2990)
    key = scene.alice.call("echo")
    scene.world.run_for(60)
    assert scene.alice.ue.calls[key].state == "active"
    assert any(isinstance(event, Registered) and event.is_refresh for event in scene.alice.events)


def test_two_devices_of_one_user_ring_and_one_answers() -> None:
    """RFC 3261 16.7, RFC 3326: the other is called off with the reason that it was answered elsewhere."""
    scene = Scene(imei="35622410483840", reg_event=False)
    other = scene.phone("other", "127.0.10.103", imei="35622410483857", reg_event=False)
    other.isim = scene.alice.isim
    bob = scene.phone("bob", "127.0.10.102", "bob", reg_event=False)
    for phone in (scene.alice, other, bob):
        assert isinstance(phone.register(), Registered)
    key = bob.call("alice")
    scene.world.run_for(2)
    first, second = (phone.last(CallIncoming) for phone in (scene.alice, other))
    assert first is not None
    assert second is not None
    other.answer(second.call)
    scene.world.run_for(2)
    assert bob.ue.calls[key].state == "active"
    ended = scene.alice.last(CallEnded)
    assert ended is not None
    assert (ended.call, ended.by) == (first.call, "remote")
    assert "elsewhere" in ended.reason
    assert scene.world.trace is not None
    cancels = [one.data for one in scene.world.trace.records() if one.who == "alice" and one.data[:6] == b"CANCEL"]
    assert b"Reason: SIP;cause=200" in cancels[0]


def test_reg_18_keep_alives_are_granted_and_answered() -> None:
    """REG-18, RFC 6223: STUN at the network's pace, beside SIP on one port."""
    world = World()
    network = Network(seed=b"keep", keep_s=60)
    network.attach(world)
    alice = VirtualPhone(
        world, "alice", HOST, Profile(**network.profile("alice"), reg_event=False), network.accounts["alice"].isim()
    )
    alice.register()
    world.run_for(600)
    assert world.trace is not None
    pings = [
        one.at for one in world.trace.records() if (one.who, one.direction, one.data[:2]) == ("alice", "sent", b"\0\1")
    ]
    assert 10 <= len(pings) <= 12
    assert alice.ue.is_registered


@pytest.mark.parametrize("down_s", [1, 4, 12])
def test_a_pcscf_that_restarts_is_noticed_and_served_again_soon(down_s: float) -> None:
    """The phone asks every five seconds; 15 s after the P-CSCF is back, calls work again."""
    scene = Scene(keep_alive_s=5, reg_event=False)
    scene.alice.register()
    scene.world.run_for(60)
    restart(scene.network, scene.world, "p-cscf", down_s)
    scene.world.run_for(down_s + 15)
    assert scene.alice.ue.is_registered
    key = scene.alice.call("echo")
    scene.world.run_for(2)
    assert scene.alice.ue.calls[key].state == "active"


def test_a_pcscf_whose_port_is_closed_for_a_while_is_asked_again_in_seconds() -> None:
    scene = Scene(keep_alive_s=5, reg_event=False)
    scene.alice.register()
    scene.world.run_for(60)
    scene.world.detach("p-cscf")
    scene.network.pcscf.restart()
    scene.world.run_for(12)
    scene.world.attach("p-cscf", scene.network.pcscf, [scene.network.addresses["p-cscf"]])
    scene.world.run_for(15)
    assert scene.alice.ue.is_registered
