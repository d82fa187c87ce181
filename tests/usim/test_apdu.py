"""Commands and answers as octets, and a conversation that always comes to an end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import CardError
from imsphone.usim.apdu import (
    AUTHENTICATE,
    GET_RESPONSE,
    MOST_COMMANDS,
    READ_BINARY,
    SELECT,
    VERIFY,
    Command,
    Dialogue,
    Response,
    converse,
    exchange,
    explain,
)


@pytest.mark.parametrize(
    ("command", "t0", "t1"),
    [
        (Command(VERIFY, 0, 1), "0020000100", "00200001"),  # case 1
        (Command(READ_BINARY, 1, 2, le=256), "00B0010200", "00B0010200"),  # case 2
        (Command(VERIFY, 0, 1, b"1234"), "002000010431323334", "002000010431323334"),  # case 3
        (Command(SELECT, 0, 4, b"\x3f\x00", 256), "00A40004023F00", "00A40004023F0000"),  # case 4
    ],
)
def test_the_four_cases_of_a_command(command: Command, t0: str, t1: str) -> None:
    assert (command.octets("T=0").hex().upper(), command.octets("T=1").hex().upper()) == (t0, t1)


def conversation(command: Command, *answers: str) -> tuple[Response, list[str]]:
    """What `exchange` makes of these answers, and what it sent."""
    sent: list[str] = []
    left = iter(answers)

    def transmit(octets: bytes) -> bytes:
        sent.append(octets.hex().upper())
        return bytes.fromhex(next(left))

    return converse(exchange(command), transmit, "T=0"), sent


def test_what_waits_is_fetched_in_parts() -> None:
    response, sent = conversation(Command(SELECT, 0, 4, b"\x3f\x00", 256), "6103", "0102036102", "04059000")
    assert (response.data.hex(), response.sw) == ("0102030405", 0x9000)
    assert sent == ["00A40004023F00", "00C0000003", "00C0000002"]


def test_a_wrong_le_is_put_right() -> None:
    response, sent = conversation(Command(READ_BINARY, le=256), "6C03", "0102039000")
    assert (response.data.hex(), response.is_done) == ("010203", True)
    assert sent == ["00B0000000", "00B0000003"]
    response, sent = conversation(Command(AUTHENTICATE, 0, 0x81, b"x", 256), "61FF", "6C02", "AABB9000")
    assert (response.data.hex(), sent[1:]) == ("aabb", ["00C00000FF", "00C0000002"])


def test_a_card_with_something_to_propose_has_done_it_all_the_same() -> None:
    assert conversation(Command(SELECT), "9120")[0].is_done
    assert not conversation(Command(SELECT), "6A82")[0].is_done
    assert conversation(Command(READ_BINARY), "AA6282")[0].has_data
    assert not conversation(Command(READ_BINARY), "6282")[0].has_data


def test_an_answer_without_end_is_given_up() -> None:
    with pytest.raises(CardError, match="never comes to the end"):
        conversation(Command(SELECT), *["6110"] * 40)
    with pytest.raises(CardError, match="nothing that is an answer"):
        conversation(Command(SELECT), "90")


def test_a_conversation_without_end_is_given_up_too() -> None:
    def talkative() -> Dialogue[None]:
        while True:
            yield Command(GET_RESPONSE)

    with pytest.raises(CardError, match=str(MOST_COMMANDS)):
        converse(talkative(), lambda _: b"\x90\x00", "T=1")


@given(st.binary(max_size=300))
def test_any_answer_is_an_answer_or_a_sentence(octets: bytes) -> None:
    try:
        response = converse(exchange(Command(SELECT, le=256)), lambda _: octets, "T=0")
    except CardError:
        pass
    else:
        assert response.data == octets[:-2]


@given(st.integers(0, 0xFFFF))
def test_every_status_has_words(sw: int) -> None:
    assert f"{sw:04X}" in explain(sw) or "PIN is wrong" in explain(sw)


def test_the_usual_ones_are_told_in_words() -> None:
    assert explain(0x63C2) == "the PIN is wrong, 2 tries are left"
    assert explain(0x63C1) == "the PIN is wrong, 1 try is left"
    assert explain(0x6985).startswith("the conditions")
    assert explain(0x6CAB) == "status 6CAB"


def test_no_repr_shows_what_goes_over() -> None:
    assert "1234" not in repr(Command(VERIFY, 0, 1, b"1234")) + repr(Response(0x9000, b"1234"))
    assert str(Command(VERIFY)) == "VERIFY PIN"
    assert str(Command(0x12)) == "INS 12"
