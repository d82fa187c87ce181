"""A whole network: its addresses, its subscribers, and what a phone is told of them."""

from __future__ import annotations

import pytest

from imsphone.lab.network import Account, Network
from imsphone.lab.world import World
from imsphone.machine import Address
from imsphone.profile import Profile, Secret
from tests.lab.conftest import REALM, Registrant


def test_each_node_has_its_own_address() -> None:
    network = Network(base="127.0.77")
    assert network.addresses["p-cscf"] == Address("127.0.77.10", 5060)
    assert network.addresses["hss"] == Address("127.0.77.40", 3868)
    assert len({address.host for address in network.addresses.values()}) == len(network.nodes) == 6


def test_the_same_seed_has_the_same_keys_and_another_has_others() -> None:
    def keys(seed: bytes) -> list[bytes]:
        accounts = Network(seed=seed).accounts.values()
        return [secret.reveal() for one in accounts for secret in (one.k, one.opc, one.password) if secret is not None]

    assert len(keys(b"1")) == 5
    assert keys(b"1") == keys(b"1")
    assert not set(keys(b"1")) & set(keys(b"2"))


@pytest.mark.parametrize("name", ["alice", "bob", "softphone1"])
def test_a_phone_can_be_made_of_what_it_is_told(name: str) -> None:
    network = Network()
    profile = Profile(**network.profile(name))
    assert profile.home_domain == REALM
    assert profile.pcscf == "127.0.10.10:5060"
    assert profile.auth == ("digest" if name == "softphone1" else "aka")


def test_no_secret_is_shown_by_accident() -> None:
    network = Network()
    for account in network.accounts.values():
        shown = repr(account) + repr(network.profile(account.name)) + repr(network.hss.subscriber(account.impi))
        for secret in (account.k, account.opc, account.password):
            if secret is not None:
                assert secret.reveal().hex() not in shown
                assert repr(secret.reveal()) not in shown


def test_one_more_subscriber_registers_like_the_others(world: World) -> None:
    network = Network()
    network.attach(world)
    network.subscribe(network.sim("carol", 3))
    carol = Registrant(world, "carol", Address("127.0.0.13", 5060), network.addresses["p-cscf"])
    carol.account = network.accounts["carol"]
    carol.isim = carol.account.isim()
    world.attach("carol", carol, [carol.address])
    assert f"<sip:carol@{REALM}>" in carol.come_in()
    with pytest.raises(ValueError, match="001010000000003"):
        network.subscribe(network.sim("carol", 3))


def test_an_account_without_keys_has_no_sim_and_one_without_anything_is_none() -> None:
    network = Network()
    with pytest.raises(ValueError, match="softphone1"):
        network.accounts["softphone1"].isim()
    with pytest.raises(ValueError, match="neither"):
        network.subscribe(Account("nobody", "nobody@x", ("sip:nobody@x",)))


def test_only_the_subscribers_that_are_wanted() -> None:
    account = Account("dave", f"dave@{REALM}", (f"sip:dave@{REALM}",), password=Secret(b"x"))
    assert list(Network(accounts=(account,)).accounts) == ["dave"]
