"""ESP that goes one way only: the phone says which way is shut, and what to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from imsphone.events import Registered, RegistrationFailed
from imsphone.ipsec.shield import Packet
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.machine import Address, Flow
from imsphone.profile import Profile
from imsphone.testing.virtual import VirtualPhone

PCSCF = Address("127.0.10.10", 5060)


def forge(packet: Packet, _data: bytes, _flow: Flow) -> Packet:
    return packet._replace(data=packet.data[:-1] + bytes([packet.data[-1] ^ 1]))


def rename(packet: Packet, _data: bytes, _flow: Flow) -> Packet:
    return packet._replace(data=(4711).to_bytes(4, "big") + packet.data[4:])


def undress(_packet: Packet, data: bytes, flow: Flow) -> Packet:
    """The bare message, from a port that is not protected."""
    return Packet(data, Flow("UDP", PCSCF, flow.remote))


def divert(packet: Packet, _data: bytes, _flow: Flow) -> Packet:
    """To a host that is silent."""
    return packet._replace(flow=packet.flow._replace(remote=Address("127.0.10.99", 0)))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (forge, "does not open"),
        (rename, "under an SPI that this phone did not choose"),
        (undress, "without ESP and are dropped"),
        (divert, "none of its ESP arrives here (11 packets left)"),
    ],
)
def test_it_is_said_which_way_is_shut(
    world: World, network: Network, fault: Callable[[Packet, bytes, Flow], Packet], words: str
) -> None:
    profile = replace(Profile(**network.profile("alice")), security="ipsec")
    alice = VirtualPhone(world, "alice", "127.0.10.101", profile, network.accounts["alice"].isim())
    world.silence("127.0.10.99")
    world.shield("alice").transports = ("UDP",)  # whose retransmissions can be counted
    shield = world.shield("p-cscf")
    seal = shield.seal

    def mangled(data: bytes, flow: Flow) -> Packet | None:
        packet = seal(data, flow)
        return None if packet is None else fault(packet, data, flow)

    shield.seal = mangled  # type: ignore[method-assign]
    event = alice.register()
    assert isinstance(event, RegistrationFailed)
    assert (event.cause, event.status) == ("timeout", None)
    assert words in event.sentence
    shield.seal = seal  # type: ignore[method-assign]
    assert isinstance(alice.register(), Registered)
