"""ERR-08: the own address changes, and nothing is waited for on the old one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from imsphone.events import CallEnded, Deregistered, Event, NetworkChanged, Registered, Registering
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.phone import Phone
from imsphone.profile import Profile
from imsphone.testing.served import ServedLab
from imsphone.testing.virtual import VirtualPhone

OLD, NEW = "127.0.10.101", "127.0.10.105"
KERNEL = Path(__file__).with_name("address") / "route.py"


def put_in(world: World, network: Network, **keys: object) -> VirtualPhone:
    profile = replace(Profile(**network.profile("alice")), reg_event=False, **keys)  # type: ignore[arg-type]
    return VirtualPhone(world, "alice", OLD, profile, network.accounts["alice"].isim())


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


@pytest.mark.parametrize("security", ["none", "ipsec"])
def test_err_08_a_new_address_is_registered_at_once(world: World, network: Network, security: str) -> None:
    alice = put_in(world, network, security=security)
    alice.register()
    key = alice.call("echo")
    world.run_for(3)
    before = len(alice.events)
    at = world.now
    alice.move(NEW)
    event = alice.next(Registered)
    assert event.at < at + 1  # and not Timer F, 128 s
    assert names(alice.events[before:]) == [
        *("NetworkChanged", "CallEnded", "Deregistered", "Registering", "Challenged", "Registering", "Registered")
    ]
    changed, ended = alice.last(NetworkChanged), alice.last(CallEnded)
    assert changed is not None
    assert ended is not None
    assert (changed.was, ended.call, ended.by) == (OLD, key, "network")
    assert world.trace is not None
    sent = [one.flow for one in world.trace.records() if (one.who, one.direction) == ("alice", "sent") and one.at >= at]
    assert {flow.local.host for flow in sent} == {NEW}
    again = alice.call("echo")
    world.run_for(3)
    assert alice.ue.calls[again].state == "active"
    if security == "ipsec":
        assert {one.association.target.host for one in world.shield("alice").counted() if one.is_inbound} == {NEW}


def test_err_08_whoever_calls_finds_the_new_address(world: World, network: Network, bob: VirtualPhone) -> None:
    """The registrar holds one contact of the device, the new one (TS 24.229 5.4.1.2.2)."""
    alice = put_in(world, network)
    alice.register()
    bob.register()
    alice.move(NEW)
    alice.next(Registered)
    key = bob.call("alice")
    world.run_for(2)
    alice.answer(alice.incoming())
    world.run_for(2)
    assert bob.ue.calls[key].state == "active"


@pytest.mark.parametrize("after_s", [0.0, 0.0015, 0.0055])
def test_err_08_in_the_middle_of_a_registration_it_begins_again(world: World, network: Network, after_s: float) -> None:
    alice = put_in(world, network, security="ipsec")
    alice.do(alice.ue.register)
    world.run_for(after_s)
    alice.move(NEW)
    assert isinstance(alice.next(Registered), Registered)
    assert alice.last(Deregistered) is None  # nothing was there to lose
    assert alice.ue.way is not None
    assert alice.ue.way.local.host == NEW


def test_err_08_whoever_leaves_has_left_and_whoever_is_nobody_stays_so(world: World, network: Network) -> None:
    alice = put_in(world, network)
    alice.move(NEW)
    assert names(alice.events) == ["NetworkChanged"]
    alice.register()
    alice.call("echo")
    world.run_for(3)
    alice.do(alice.ue.deregister)
    alice.move(OLD)
    assert isinstance(alice.last(Deregistered), Deregistered)
    registers = len([event for event in alice.events if isinstance(event, Registering)])
    world.run_for(600)
    assert len([event for event in alice.events if isinstance(event, Registering)]) == registers


async def test_err_08_on_loopback(lab: ServedLab) -> None:
    base = lab.network.addresses["p-cscf"].host.rpartition(".")[0]
    profile = replace(lab.profile("alice"), local_host=f"{base}.101")
    async with Phone(profile, isim=lab.isim("alice")) as alice:
        await alice.register()
        call = await alice.call("echo")
        await asyncio.wait_for(call.answered(), 10)
        alice.move(f"{base}.105")
        assert call.state == "ended"
        await alice.until(Registered, timeout=10)
        again = await alice.call("echo")
        await asyncio.wait_for(again.answered(), 10)
        sent = [one.flow.local.host for one in alice.trace if one.direction == "sent" and one.protocol == "SIP"]
        assert sent == sorted(sent)  # nothing of the old address after the new one's first
        await again.hangup()


def test_err_08_a_route_that_changes_is_noticed() -> None:
    """The kernel's own word, in a network namespace that this test may change."""
    unshare = ["unshare", "--map-root-user", "--net"]
    try:
        subprocess.run([*unshare, "ip", "link", "set", "lo", "up"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs unshare(1), ip(8) and leave to make a network namespace")
    ran = subprocess.run([*unshare, sys.executable, str(KERNEL)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["127.0.0.1", "127.0.0.2"]
