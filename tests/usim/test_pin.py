"""A PIN: asked about before it is given, given once, and not where one was wrong before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import CardError, ProfileError
from imsphone.profile import Secret
from imsphone.usim.apdu import converse
from imsphone.usim.files import KeyReference
from imsphone.usim.pin import Pin

REFERENCE = KeyReference(0x01, True)
GIVEN = "002000010831323334FFFFFFFF"
ASKED = "00200001"


class Card:
    """Answers VERIFY, and keeps what was sent."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.sent: list[str] = []

    def answer(self, command: bytes) -> bytes:
        self.sent.append(command.hex().upper())
        return bytes.fromhex(self._answers.pop(0))

    def give(self, pin: Pin) -> None:
        converse(pin.give(REFERENCE), self.answer, "T=1")


def refusal(card: Card, pin: Pin) -> str:
    with pytest.raises(CardError) as refused:
        card.give(pin)
    return str(refused.value)


def test_it_is_given_after_asking_how_many_tries_are_left() -> None:
    card = Card("63C3", "9000")
    card.give(Pin(Secret(b"1234")))
    assert card.sent == [ASKED, GIVEN]


def test_it_is_not_given_where_the_card_has_it_already() -> None:
    card = Card("9000")
    card.give(Pin(Secret(b"1234")))
    assert card.sent == [ASKED]


def test_a_wrong_one_is_not_tried_again() -> None:
    pin = Pin(Secret(b"1234"))
    assert "wrong, 2 tries are left" in refusal(Card("63C3", "63C2"), pin)
    again = Card()
    assert "wrong, 2 tries are left" in refusal(again, pin)
    assert again.sent == []


@pytest.mark.parametrize(
    ("left", "words"),
    [
        ("63C2", "had a wrong PIN before, 2 tries are left"),
        ("63C1", "had a wrong PIN before, 1 try is left"),
        ("6A86", "does not say how many tries"),
    ],
)
def test_the_tries_after_a_wrong_one_are_nobody_s_but_the_user_s(left: str, words: str) -> None:
    card = Card(left)
    sentence = refusal(card, Pin(Secret(b"1234")))
    assert words in sentence
    assert "--retry" in sentence
    assert card.sent == [ASKED]
    told = Card(left, "9000")
    told.give(Pin(Secret(b"1234"), may_retry=True))
    assert told.sent == [ASKED, GIVEN]


def test_a_card_without_the_pin_of_a_profile_says_how_to_name_one() -> None:
    sentence = refusal(Card("63C3"), Pin(None))
    assert "3 tries" in sentence
    assert 'pin = "keyring:NAME"' in sentence


@pytest.mark.parametrize("left", ["6983", "63C0"])
def test_a_blocked_one_is_left_alone(left: str) -> None:
    card = Card(left)
    assert "PUK" in refusal(card, Pin(Secret(b"1234"), may_retry=True))
    assert card.sent == [ASKED]


@pytest.mark.parametrize("secret", [b"", b"123", b"123456789", b"12a4", b"1234\n"])
def test_what_is_no_pin_is_said_before_any_card_sees_it(secret: bytes) -> None:
    with pytest.raises(ProfileError, match="4 to 8 digits"):
        Pin(Secret(secret))


@given(st.lists(st.integers(0, 0xFFFF), min_size=2, max_size=60))
def test_no_card_gets_it_more_than_once(statuses: list[int]) -> None:
    card = Card(*[f"{sw:04X}" for sw in [*statuses, *[0x6F00] * 60]])
    pin = Pin(Secret(b"1234"))
    for _ in range(3):
        try:
            card.give(pin)
        except CardError:
            continue
        break
    assert card.sent.count(GIVEN) <= 1
