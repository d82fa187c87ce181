"""A fault does what its name says, as often as was ordered."""

from __future__ import annotations

from imsphone.lab.faults import old_sqn, wrong_mac
from imsphone.lab.network import Network
from imsphone.usim.aka import AkaSuccess, MacFailure, SyncFailure, Vector
from imsphone.usim.isim import Isim


def ask(network: Network, isim: Isim) -> object:
    subscriber = network.hss.subscriber(network.accounts["alice"].impi)
    assert subscriber.algorithms is not None
    vector = Vector.make(subscriber.algorithms, subscriber.next_sqn(), subscriber.amf, bytes(16))
    return isim.authenticate(vector.rand, vector.autn)


def test_a_wrong_mac_is_wrong_so_many_times() -> None:
    network = Network(seed=b"faults")
    isim = network.accounts["alice"].isim()
    wrong_mac(network, "alice", times=2)
    assert [type(ask(network, isim)) for _ in range(3)] == [MacFailure, MacFailure, AkaSuccess]


def test_an_old_sqn_is_one_that_the_sim_has_seen() -> None:
    network = Network(seed=b"faults")
    isim = network.accounts["alice"].isim()
    ask(network, isim)
    old_sqn(network, "alice")
    assert isinstance(ask(network, isim), SyncFailure)


def test_who_has_a_password_has_no_mac() -> None:
    network = Network(seed=b"faults")
    wrong_mac(network, "softphone1")
    assert network.hss.subscriber(network.accounts["softphone1"].impi).algorithms is None
