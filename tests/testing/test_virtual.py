"""Two phones in virtual time: what a test writer does with them."""

from __future__ import annotations

import pytest

from imsphone.events import CallAnswered, CallEnded, CallIncoming, Deregistered, Registered
from imsphone.lab.world import World
from imsphone.testing.virtual import VirtualPhone


def test_it_registers_calls_and_leaves(world: World, alice: VirtualPhone, bob: VirtualPhone) -> None:
    assert isinstance(alice.register(), Registered)
    assert isinstance(bob.register(), Registered)
    alice.call("bob")
    key = bob.incoming()
    bob.answer(key)
    alice.next(CallAnswered)
    bob.hangup(key)
    ended = alice.next(CallEnded)
    assert isinstance(ended, CallEnded)
    assert ended.by == "remote"
    assert isinstance(alice.deregister(), Deregistered)


def test_a_refused_call_ends_with_the_status_that_was_given(alice: VirtualPhone, bob: VirtualPhone) -> None:
    alice.register()
    bob.register()
    alice.call("bob")
    bob.reject(bob.incoming(), 603)
    ended = alice.next(CallEnded)
    assert isinstance(ended, CallEnded)
    assert ended.status == 603


def test_a_call_that_was_answered_for_already_is_not_incoming_twice(alice: VirtualPhone, bob: VirtualPhone) -> None:
    alice.register()
    bob.register()
    key = alice.call("bob")
    bob.incoming()
    alice.hangup(key)
    bob.next(CallEnded)
    alice.call("bob")
    second = bob.incoming()
    assert second == [event.call for event in bob.events if isinstance(event, CallIncoming)][-1]


def test_what_never_comes_is_a_timeout_and_not_a_hang(alice: VirtualPhone) -> None:
    with pytest.raises(TimeoutError):
        alice.incoming(timeout_s=5)
