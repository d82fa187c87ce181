"""The card in software: it answers whatever comes, and keeps to its PIN."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.lab.network import Network
from imsphone.testing.uicc import ATRS, SoftUicc

NETWORK = Network(seed=b"uicc")
ALICE = NETWORK.accounts["alice"]


def said(card: SoftUicc, command: str) -> str:
    return card.answer(bytes.fromhex(command)).hex().upper()


def test_it_says_what_the_account_says() -> None:
    card = SoftUicc.of(ALICE, home_domain=NETWORK.realm, protocol="T=1")
    assert said(card, "00A4040407A000000087100400").endswith("9000")
    assert said(card, "00A40004026F0300").endswith("9000")
    assert NETWORK.realm.encode() in card.answer(bytes.fromhex("00B0000064"))
    without = SoftUicc.of(ALICE, has_isim=False)
    assert said(without, "00A4040407A0000000871004") == "6A82"


def test_its_atr_names_its_protocol_and_sums_up() -> None:
    for atr in ATRS.values():
        check = 0
        for octet in atr[1:]:
            check ^= octet
        assert check == 0  # ISO/IEC 7816-3 8.2.5: TCK


def test_three_wrong_pins_block_it_for_good() -> None:
    card = SoftUicc.of(ALICE, pin="1234")
    wrong, right = "0020000108" + "39" * 4 + "FF" * 4, "002000010831323334FFFFFFFF"
    assert [said(card, wrong) for _ in range(2)] == ["63C2", "63C1"]
    assert said(card, right) == "9000"
    assert [said(card, one) for one in (wrong, wrong, wrong, right, "0020000100")] == [
        *("63C2", "63C1", "63C0"),
        *("6983", "6983"),
    ]
    card.power()
    assert said(card, right) == "6983"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("00", "6700"),
        ("80F2000000", "6E00"),
        ("00FF0000", "6D00"),
        ("00C0000010", "6985"),
        ("00B0000010", "6986"),
        ("00A40004023F", "6700"),
        ("00A40C00023F00", "6A86"),
        ("00880081022233", "6985"),
        ("0020000200", "6A88"),
    ],
)
def test_what_it_does_not_do_has_its_status(command: str, status: str) -> None:
    assert said(SoftUicc.of(ALICE), command) == status


@given(st.lists(st.binary(max_size=64), max_size=8), st.sampled_from(["T=0", "T=1"]))
def test_any_command_has_an_answer(commands: list[bytes], protocol: str) -> None:
    card = SoftUicc.of(ALICE, home_domain=NETWORK.realm, pin="1234", protocol=protocol)
    for ins in (0xA4, 0xB0, 0xB2, 0x20, 0x88, 0xC0):
        for command in commands:
            assert 2 <= len(card.answer(bytes([0, ins]) + command)) <= 258
