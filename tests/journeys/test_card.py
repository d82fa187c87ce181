"""A phone whose SIM is a card, in virtual time: octets to the card, octets to the network."""

from __future__ import annotations

from typing import Any

import pytest

from imsphone.events import Challenged, Registered, RegistrationFailed
from imsphone.ims.identity import Identity
from imsphone.lab.faults import old_sqn
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.profile import Profile
from imsphone.testing.ladders import assert_ladder
from imsphone.testing.uicc import SoftUicc
from imsphone.testing.virtual import VirtualPhone
from imsphone.usim.aka import NoAnswer, Outcome
from imsphone.usim.apdu import converse
from imsphone.usim.pin import Pin
from imsphone.usim.uicc import Uicc

HOST = "127.0.10.101"


class Reader:
    """What `net.card` is on a real one."""

    def __init__(self, card: SoftUicc) -> None:
        self._card: SoftUicc | None = card
        self._uicc = Uicc(Pin(None))
        self.subscription = converse(self._uicc.read(), card.answer, card.protocol)

    def authenticate(self, rand: bytes, autn: bytes) -> Outcome | NoAnswer:
        if self._card is None:
            return NoAnswer("the card was taken out of the reader: put it in again")
        return converse(self._uicc.authenticate(rand, autn), self._card.answer, self._card.protocol)

    def take_out(self) -> None:
        self._card = None


class Scene:
    """The lab, and alice's phone with a card that says `who`."""

    def __init__(
        self, *, has_isim: bool = True, is_tuak: bool = False, pcscfs: tuple[str, ...] = (), **said: Any
    ) -> None:
        self.network = Network(seed=b"card", accounts=())
        account = self.network.subscribe(self.network.sim("alice", 1, is_tuak=is_tuak))
        self.world = World()
        self.network.attach(self.world)
        card = SoftUicc.of(account, has_isim=has_isim, home_domain=self.network.realm, pcscfs=pcscfs)
        self.reader = Reader(card)
        profile = self.reader.subscription.complete(Profile(sim="card:", reg_event=False, **said))
        self.alice = VirtualPhone(self.world, "alice", HOST, profile, self.reader)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_tuak", [False, True], ids=["milenage", "tuak"])
def test_the_isim_names_the_p_cscf_and_registers(is_tuak: bool) -> None:
    """TS 24.229 5.1.1.1A, TS 31.103 4.2.8."""
    scene = Scene(is_tuak=is_tuak, pcscfs=("127.0.10.10",))
    registered = scene.alice.register()
    assert isinstance(registered, Registered)
    assert registered.impu == f"sip:alice@{scene.network.realm}"
    assert_ladder(
        scene.world,
        """
        alice -> p-cscf  REGISTER
        p-cscf -> alice  401 Unauthorized
        alice -> p-cscf  REGISTER
        p-cscf -> alice  200 OK
        """,
        nodes=["alice", "p-cscf"],
    )


def test_from_a_usim_alone_follows_who_registers_and_with_whom() -> None:
    """TS 24.229 C.2: everything is derived from the IMSI, and DNS of that domain names the P-CSCF."""
    scene = Scene(has_isim=False)
    assert isinstance(scene.alice.register(), Registered)
    assert Identity.of(scene.alice.profile).impi == f"001010000000001@{scene.network.realm}"


def test_a_p_cscf_of_the_card_that_is_gone_is_not_the_last() -> None:
    scene = Scene(pcscfs=("127.0.10.99", "127.0.10.10"))
    assert isinstance(scene.alice.register(), Registered)


def test_an_old_sqn_gets_auts_from_the_card() -> None:
    """AKA-03."""
    scene = Scene(pcscfs=("127.0.10.10",))
    scene.alice.register()
    scene.alice.deregister()
    old_sqn(scene.network, "alice")
    before = len([event for event in scene.alice.events if isinstance(event, Challenged)])
    assert isinstance(scene.alice.register(), Registered)
    assert len([event for event in scene.alice.events if isinstance(event, Challenged)]) == before + 2


def test_a_card_that_is_taken_out_ends_the_registration_with_its_reason() -> None:
    scene = Scene(pcscfs=("127.0.10.10",))
    scene.reader.take_out()
    failed = scene.alice.register()
    assert isinstance(failed, RegistrationFailed)
    assert (failed.cause, "taken out" in failed.sentence) == ("authentication", True)
