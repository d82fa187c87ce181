"""Faults that a network has on some days, by name, so that a test can order one.

    wrong_mac(network, "alice", times=2)      the next challenges bear a MAC that no SIM believes
    old_sqn(network, "alice")                 the HSS forgot how far it had counted
    take_away(network, "alice", world)        the HSS ends a registration (RTR)

The first two change what the nodes do from now on; the others happen at once, in the `World` that runs the network.
"""

from __future__ import annotations

from imsphone.lab import cx
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.usim.aka import Algorithms


class _Liar:
    """Algorithms whose first `times` network proofs are wrong in one bit."""

    def __init__(self, algorithms: Algorithms, times: int) -> None:
        self._algorithms = algorithms
        self._times = times

    def f1(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        mac = self._algorithms.f1(rand, sqn, amf)
        if self._times <= 0:
            return mac
        self._times -= 1
        return bytes([mac[0] ^ 1]) + mac[1:]

    def f1_star(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        return self._algorithms.f1_star(rand, sqn, amf)

    def f2345(self, rand: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        return self._algorithms.f2345(rand)

    def f5_star(self, rand: bytes) -> bytes:
        return self._algorithms.f5_star(rand)


def wrong_mac(network: Network, name: str, times: int = 1) -> None:
    """The next `times` challenges for this subscriber (AKA) bear a wrong MAC."""
    subscriber = network.hss.subscriber(network.accounts[name].impi)
    if subscriber.algorithms is not None:
        subscriber.algorithms = _Liar(subscriber.algorithms, times)


def old_sqn(network: Network, name: str) -> None:
    """The HSS starts to count from zero again for this subscriber, as after a restore from an old backup."""
    network.hss.subscriber(network.accounts[name].impi).sqn = 0


def take_away(network: Network, name: str, world: World, reason: int = cx.PERMANENT_TERMINATION) -> None:
    """The HSS takes this subscriber's registration away; SERVER_CHANGE bids him to come again."""
    world.perform("hss", network.hss.terminate(network.accounts[name].impi, reason, world.now))


def shorten(network: Network, name: str, world: World, seconds: float) -> None:
    """The S-CSCF wants this subscriber to prove himself again within so many seconds (TS 24.229 5.4.1.6)."""
    world.perform("s-cscf", network.scscf.registering.shorten(network.accounts[name].impus[0], seconds, world.now))
