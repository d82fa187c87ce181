"""The pytest plug-in: a network in virtual time, the same one on loopback sockets, and phones for both.

    def test_busy(world, alice):
        alice.register()
        alice.call("busy")
        world.run_for(5)
        assert_ladder(world, '''
            ...
            p-cscf -> alice  486 Busy Here
            alice -> p-cscf  ACK
        ''', nodes=["alice", "p-cscf"])

`world` holds the lab's nodes, joined in memory; `alice` and `bob` are subscribers in it (`imsphone.testing.virtual`).
`lab` is the same network on sockets, for `imsphone.phone.Phone` and for phones of other makes
(`imsphone.testing.served`); `assert_ladder` is a fixture too, for tests that would rather not import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from imsphone.lab.network import Network
    from imsphone.lab.world import World
    from imsphone.testing.served import ServedLab
    from imsphone.testing.virtual import VirtualPhone

# What these need is imported when a test asks for one: a plug-in must not slow down the tests that do not.


@pytest.fixture
def network() -> Network:
    """The lab's nodes and subscribers, the same in every run; `world` runs them."""
    from imsphone.lab.network import Network

    return Network(seed=b"pytest")


@pytest.fixture
def world(network: Network) -> World:
    """The network in virtual time."""
    from imsphone.lab.world import World

    made = World()
    network.attach(made)
    return made


def _phone(world: World, network: Network, name: str, host: str) -> VirtualPhone:
    from imsphone.profile import Profile
    from imsphone.testing.virtual import VirtualPhone

    profile = Profile(**network.profile(name), reg_event=False)  # a ladder shows what the test does, and no more
    return VirtualPhone(world, name, host, profile, network.accounts[name].isim())


@pytest.fixture
def alice(world: World, network: Network) -> VirtualPhone:
    """A phone of subscriber alice (AKA), not registered yet."""
    return _phone(world, network, "alice", "127.0.10.101")


@pytest.fixture
def bob(world: World, network: Network) -> VirtualPhone:
    """A phone of subscriber bob (AKA), not registered yet."""
    return _phone(world, network, "bob", "127.0.10.102")


@pytest.fixture
def lab() -> Iterator[ServedLab]:
    """The network on loopback sockets."""
    from imsphone.testing.served import ServedLab

    with ServedLab() as served:
        yield served


@pytest.fixture
def assert_ladder() -> Callable[..., None]:
    """`imsphone.testing.ladders.assert_ladder`."""
    from imsphone.testing.ladders import assert_ladder

    return assert_ladder
