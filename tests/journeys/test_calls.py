"""Two people, or one and an application server, talk through the whole network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from imsphone.events import (
    CallAnswered,
    CallEnded,
    CallHeld,
    CallIncoming,
    CallResumed,
    CallRinging,
    Event,
    MediaStarted,
)
from imsphone.lab.call import Call
from imsphone.lab.link import Link
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.machine import Effect
from imsphone.profile import Profile
from imsphone.sdp.offer import make_reoffer
from imsphone.sdp.session import parse
from imsphone.sip.message import Request
from imsphone.testing.virtual import VirtualPhone
from imsphone.trace import Trace

GM = ["alice", "p-cscf"]
Ladder = Callable[..., None]


@pytest.fixture
def both(world: World, alice: VirtualPhone, bob: VirtualPhone) -> None:
    """alice and bob are registered; what follows is the ladder of the call alone."""
    alice.register()
    bob.register()
    world.run_for(200)  # until the last transaction is forgotten
    world.trace = Trace()


def names(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def of_calls(phone: VirtualPhone) -> list[str]:
    return [name for name in names(phone.events) if name.startswith(("Call", "Media"))]


def ended(phone: VirtualPhone) -> CallEnded:
    event = phone.last(CallEnded)
    assert event is not None
    return event


@pytest.mark.usefixtures("both")
def test_alice_calls_bob(
    world: World, network: Network, alice: VirtualPhone, bob: VirtualPhone, assert_ladder: Ladder
) -> None:
    key = alice.call("bob")
    call = bob.incoming()
    world.run_for(1)
    bob.answer(call)
    world.run_for(10)
    assert alice.ue.calls[key].state == "active"
    bob.hangup(call)
    world.run_for(1)
    assert_ladder(
        world,
        """
        alice -> p-cscf  INVITE (SDP)
        p-cscf -> alice  100 Trying
        p-cscf -> alice  180 Ringing (SDP)
        alice -> p-cscf  PRACK
        p-cscf -> alice  200 OK
        p-cscf -> alice  200 OK
        alice -> p-cscf  ACK
        p-cscf -> alice  BYE
        alice -> p-cscf  200 OK
        """,
        nodes=GM,
    )
    assert of_calls(alice) == ["CallRinging", "CallAnswered", "MediaStarted", "CallEnded"]
    assert of_calls(bob) == ["CallIncoming", "CallRinging", "CallAnswered", "MediaStarted", "CallEnded"]
    incoming, answered = bob.last(CallIncoming), alice.last(CallAnswered)
    assert incoming is not None
    assert incoming.remote == f"sip:alice@{network.realm}"
    assert answered is not None
    assert answered.remote == f"sip:bob@{network.realm}"
    assert (ended(alice).by, ended(bob).by) == ("remote", "local")
    ours, theirs = alice.last(MediaStarted), bob.last(MediaStarted)
    assert ours is not None
    assert theirs is not None
    assert (ours.local, ours.remote) == (theirs.remote, theirs.local)


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("target", ["+001010000002", "tel:+001010000002", "sip:bob@{realm}"])
def test_bob_has_more_than_one_name(
    world: World, network: Network, alice: VirtualPhone, bob: VirtualPhone, target: str
) -> None:
    alice.call(target.format(realm=network.realm))
    bob.answer(bob.incoming())
    world.run_for(2)
    assert alice.last(CallAnswered)


@pytest.mark.usefixtures("both")
def test_an_application_server_answers(world: World, alice: VirtualPhone, assert_ladder: Ladder) -> None:
    key = alice.call("echo")
    world.run_for(2)
    alice.hangup(key)
    world.run_for(2)
    assert_ladder(
        world,
        """
        alice -> p-cscf  INVITE (SDP)
        ...
        alice -> p-cscf  PRACK
        ...
        alice -> p-cscf  ACK
        alice -> p-cscf  BYE
        p-cscf -> alice  200 OK
        """,
        nodes=GM,
    )


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(("target", "status"), [("busy", 486), ("nobody-at-all", 404), ("+001019999999", 404)])
def test_nobody_to_talk_to(world: World, alice: VirtualPhone, target: str, status: int) -> None:
    alice.call(target)
    world.run_for(5)
    assert ended(alice).status == status


@pytest.mark.usefixtures("both")
def test_bob_is_busy(world: World, alice: VirtualPhone, bob: VirtualPhone) -> None:
    bob.call("echo")
    world.run_for(2)
    alice.call("bob")
    world.run_for(5)
    assert (ended(alice).status, ended(alice).by) == (486, "remote")
    assert bob.last(CallIncoming) is None


@pytest.mark.usefixtures("both")
def test_bob_rejects(world: World, alice: VirtualPhone, bob: VirtualPhone) -> None:
    alice.call("bob")
    bob.reject(bob.incoming(), 603)
    world.run_for(5)
    assert (ended(alice).status, ended(alice).reason) == (603, "Decline")


@pytest.mark.usefixtures("both")
def test_alice_changes_her_mind(world: World, alice: VirtualPhone, bob: VirtualPhone, assert_ladder: Ladder) -> None:
    key = alice.call("bob")
    bob.incoming()
    world.run_for(1)
    alice.hangup(key)
    world.run_for(5)
    assert_ladder(
        world,
        """
        ...
        alice -> p-cscf  CANCEL
        p-cscf -> alice  200 OK
        p-cscf -> alice  487 Request Terminated
        alice -> p-cscf  ACK
        """,
        nodes=GM,
    )
    assert (ended(alice).by, ended(alice).status) == ("local", 487)
    assert (ended(bob).by, ended(bob).status) == ("remote", 487)


@pytest.mark.usefixtures("both")
def test_alice_hangs_up_just_as_bob_answers(world: World, alice: VirtualPhone, bob: VirtualPhone) -> None:
    key = alice.call("bob")
    call = bob.incoming()
    world.run_for(1)
    bob.answer(call)  # the 200 and the CANCEL cross
    alice.hangup(key)
    world.run_for(5)
    assert (ended(alice).by, ended(bob).by) == ("local", "remote")
    assert bob.ue.calls[call].state == "ended"


@pytest.mark.usefixtures("both")
def test_nobody_answers(world: World, alice: VirtualPhone, bob: VirtualPhone) -> None:
    alice.call("silent")
    world.run_for(121)
    assert (ended(alice).by, ended(alice).reason) == ("local", "no answer")
    alice.call("bob")
    world.run_for(125)
    assert ended(bob).status in (480, 487)


# The far end turns the sound around ---------------------------------------------------------------------------------


def far_call(network: Network) -> Call:
    (call,) = network.far_end.calls.values()
    return call


def far_request(world: World, call: Call, request: Request) -> None:
    effects: list[Effect] = call.side.transactions.request(request, call.way(request), world.now)[1]
    world.perform("far-end", effects)
    world.run_for(1)


def described(world: World, who: str) -> Any:
    """The last description that this node sent."""
    assert world.trace is not None
    bodies = [record.data.partition(b"\r\n\r\n")[2] for record in world.trace.records() if record.who == who]
    return parse([body for body in bodies if body.startswith(b"v=0")][-1])


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_the_far_end_holds_and_resumes(world: World, network: Network, alice: VirtualPhone, method: str) -> None:
    key = alice.call("echo")
    world.run_for(2)
    call = far_call(network)
    assert call.dialog is not None
    previous = described(world, "far-end")
    for direction, event in (("sendonly", CallHeld), ("sendrecv", CallResumed)):
        request = call.dialog.request(method)
        request.headers.add("Contact", f"<sip:{call.side.address}>")
        previous = make_reoffer(previous, direction=direction)  # type: ignore[arg-type]
        request.set_body(bytes(previous), "application/sdp")
        far_request(world, call, request)
        if method == "INVITE":
            ack = call.dialog.request("ACK", request.cseq.number)
            world.perform("far-end", call.side.transactions.send(ack, call.way(ack)))
            world.run_for(1)
        assert alice.last(event) is not None
    assert of_calls(alice)[-4:] == ["MediaChanged", "CallHeld", "MediaChanged", "CallResumed"]
    world.run_for(200)
    assert alice.ue.calls[key].state == "active"  # no 200 waits for its ACK


@pytest.mark.usefixtures("both")
def test_an_application_server_calls(world: World, network: Network, alice: VirtualPhone) -> None:
    _, effects = network.far_end.call(f"sip:alice@{network.realm}", world.now)
    world.perform("far-end", effects)
    call = alice.incoming()
    world.run_for(1)
    alice.answer(call)
    world.run_for(5)
    alice.hangup(call)
    world.run_for(2)
    incoming = alice.last(CallIncoming)
    assert incoming is not None
    assert incoming.remote == f"sip:echo@{network.realm}"
    assert network.far_end.calls == {}


# Bad links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_a_call_over_a_link_that_loses_every_fifth_packet(seed: int) -> None:
    world = World(seed=seed)
    network = Network(seed=b"lossy")
    network.attach(world)
    for name in ("alice", "bob"):
        world.link(name, "p-cscf", Link(loss=0.2, delay_ms=30, jitter_ms=20, reorder=0.05, duplicate=0.05, seed=seed))
    phones = [
        VirtualPhone(world, name, host, Profile(**network.profile(name)), network.accounts[name].isim())
        for name, host in (("alice", "127.0.10.101"), ("bob", "127.0.10.102"))
    ]
    alice, bob = phones
    assert "Registered" in names([alice.register(), bob.register()])
    key = alice.call("bob")
    call = bob.incoming()
    world.run_for(5)
    bob.answer(call)
    world.run_for(100)
    assert alice.ue.calls[key].state == "active"
    assert bob.ue.calls[call].state == "active"
    alice.hangup(key)
    world.run_for(100)
    assert len([event for event in bob.events if isinstance(event, CallRinging | CallAnswered | CallEnded)]) == 3
    alice.deregister()
    assert not alice.ue.is_registered
