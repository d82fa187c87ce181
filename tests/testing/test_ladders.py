"""A ladder that does not fit fails as a diff that an engineer can read."""

from __future__ import annotations

import pytest

from imsphone.lab.world import World
from imsphone.testing.ladders import assert_ladder
from imsphone.testing.virtual import VirtualPhone

REGISTRATION = """
    alice  -> p-cscf  REGISTER
    p-cscf -> alice   401 Unauthorized
    alice  -> p-cscf  REGISTER
    p-cscf -> alice   200 OK
"""


def test_what_happened_passes(world: World, alice: VirtualPhone) -> None:
    alice.register()
    assert_ladder(world, REGISTRATION, nodes=["alice", "p-cscf"])


def test_what_did_not_happen_is_shown_beside_what_did(world: World, alice: VirtualPhone) -> None:
    alice.register()
    with pytest.raises(AssertionError) as failure:
        assert_ladder(world, REGISTRATION.replace("401 Unauthorized", "403 Forbidden"), nodes=["alice", "p-cscf"])
    text = str(failure.value)
    assert any(line.split()[0] == "-" and "403 Forbidden" in line for line in text.splitlines() if line.strip())
    assert any("+" in line and "401 Unauthorized" in line for line in text.splitlines())


def test_a_world_without_a_trace_says_what_is_missing() -> None:
    with pytest.raises(AssertionError, match="trace"):
        assert_ladder(World(trace=None), REGISTRATION)
