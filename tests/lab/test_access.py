"""A bad way to the P-CSCF: phones feel it, the core does not, and what they do about it works."""

from __future__ import annotations

import pytest

from imsphone.lab.link import Link
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.machine import Address
from tests.lab.conftest import Registrant


def phone(world: World, network: Network) -> Registrant:
    network.attach(world)
    alice = Registrant(world, "alice", Address("127.0.0.11", 5060), network.addresses["p-cscf"])
    alice.account = network.accounts["alice"]
    alice.isim = alice.account.isim()
    world.attach("alice", alice, [alice.address])
    return alice


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_the_delay_is_that_of_both_ways_once(world: World, transport: str) -> None:
    alice = phone(world, Network(access_link=Link(delay_ms=100)))
    alice.register(alice.first_authorization(), transport=transport)
    assert world.now == pytest.approx(0.214)  # 2 × 100 ms beside the 14 ms of the plain World


def test_what_udp_loses_tcp_brings_late(world: World) -> None:
    alice = phone(world, Network(access_link=Link(loss=0.4, seed=3)))
    answers = 0
    for _ in range(40):
        try:
            alice.register(alice.first_authorization())
            answers += 1
        except TimeoutError:
            pass
    assert 5 < answers < 35
    alice.come_in(transport="TCP")


def test_repeats_over_tcp_arrive_in_order(world: World) -> None:
    alice = phone(world, Network(access_link=Link(loss=0.3, jitter_ms=50, seed=4)))
    for number in range(30):
        alice.cseq = number
        alice.send(
            "OPTIONS sip:x SIP/2.0\nVia: {via}\nFrom: <sip:a@b>;tag=1\nTo: <sip:a@b>\nCall-ID: c\n"
            f"CSeq: {number} OPTIONS\n\n",
            "TCP",
        )
    world.run_for(5)
    numbers = [int(text.partition("CSeq: ")[2].partition(" ")[0]) for text in alice.heard]
    assert numbers == list(range(30))
