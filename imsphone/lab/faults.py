"""Faults that a network has on some days, by name, so that a test can order one.

    wrong_mac(network, "alice", times=2)      the next challenges bear a MAC that no SIM believes
    old_sqn(network, "alice")                 the HSS forgot how far it had counted
    take_away(network, "alice", world)        the HSS ends a registration (RTR)
    shorten(network, "alice", world, 60)      the S-CSCF wants proof within a minute
    refuse(network.pcscf, 503, times=3)       the next REGISTERs get this answer (a storm: times=1000)
    lose_200(network.pcscf)                   the next 200 to a REGISTER is lost on the air
    restart(network, world, "p-cscf", 5)      five seconds of silence, and everything is forgotten

Those that take the `World` happen at once in it; the others change what a node does from now on.
"""

from __future__ import annotations

from imsphone.lab import cx
from imsphone.lab.network import Network
from imsphone.lab.node import Node
from imsphone.lab.world import World
from imsphone.machine import Flow
from imsphone.sip.message import Request, Response
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


def refuse(node: Node, status: int, times: int = 1, method: str = "REGISTER", **headers: str) -> None:
    """The next `times` requests of this method get this status; `headers` by name with `_` for `-`."""
    left = times

    def objection(request: Request, _flow: Flow, _now: float) -> tuple[int, dict[str, str]] | None:
        nonlocal left
        if request.method != method or left <= 0:
            return None
        left -= 1
        return status, headers

    node.objection = objection


def lose_200(node: Node, times: int = 1) -> None:
    """The first copy of the next `times` 200s to a REGISTER that pass this node does not arrive."""
    left = times

    def loses(response: Response) -> bool:
        nonlocal left
        if response.status != 200 or response.cseq.method != "REGISTER" or left <= 0:
            return False
        left -= 1
        return True

    node.loses = loses


def restart(network: Network, world: World, name: str, down_s: float) -> None:
    """A SIP node is silent for so long, its connections close, and what it had in memory is gone."""
    machine = network.nodes[name]
    node = {"p-cscf": network.pcscf, "s-cscf": network.scscf, "i-cscf": network.icscf}[name]
    world.detach(name)
    node.restart()
    world.silence(node.address.host)

    def up() -> None:
        world.wake(node.address.host)
        world.attach(name, machine, network.held(name), media=name)

    world.at(world.now + down_s, up)
