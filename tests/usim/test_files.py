"""The files of a card, each as the specification writes it and as cards are seen to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.usim import files
from imsphone.usim.files import AIDS, Fcp, KeyReference
from imsphone.usim.tlv import Tlv

READERS: list[Callable[[bytes], Any]] = [
    *(Fcp.parse, files.imsi, files.iccid, files.mnc_digits, files.text, files.pcscf),
    lambda data: files.applications([data]),
]


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize("read", READERS)
@given(data=st.binary(max_size=120))
def test_any_octets_are_a_value_nothing_or_a_parse_error(read: Callable[[bytes], Any], data: bytes) -> None:
    with suppress(ParseError):
        read(data)


# FCP ------------------------------------------------------------------------------------------------------------------


def test_an_application_says_which_pin_it_asks_for() -> None:
    fcp = Fcp.parse(
        octets("621E 8202 7821 8410 A0000000871002FF49FF0589 00000000 C606 9001 80 8301 01".replace(" ", ""))
    )
    assert fcp.is_application
    assert fcp.pin == KeyReference(1, True)


def test_a_disabled_pin_is_told_from_an_enabled_one() -> None:
    template = Tlv(0x90, b"\x40").octets() + octets("830101") + octets("950108") + octets("830111")
    fcp = Fcp.parse(Tlv(0x62, octets("82027821") + Tlv(0xC6, template).octets()).octets())
    assert fcp.pins == (KeyReference(0x01, False), KeyReference(0x11, True))
    assert fcp.pin == KeyReference(0x11, True)  # the universal PIN stands in for the application's
    unused = Tlv(0x90, b"\xc0").octets() + octets("950100") + octets("830101") + octets("83010A")
    fcp = Fcp.parse(Tlv(0x62, octets("82027821") + Tlv(0xC6, unused).octets()).octets())
    assert fcp.pin == KeyReference(0x01, False)  # 0A is the operator's, not the user's


def test_the_size_of_a_file_and_of_its_records() -> None:
    fcp = Fcp.parse(octets("620F 82054221002803 8302 6F04 8002 0078".replace(" ", "")))
    assert (fcp.record_bytes, fcp.records, fcp.size, fcp.is_application, fcp.pin) == (40, 3, 120, False, None)
    fcp = Fcp.parse(octets("620C 82024121 83026F07 80020009".replace(" ", "")))
    assert (fcp.record_bytes, fcp.records, fcp.size) == (0, 0, 9)


@pytest.mark.parametrize("data", ["", "6F02820141", "6200", "62028202", "620282"])
def test_what_is_no_fcp(data: str) -> None:
    with pytest.raises(ParseError):
        Fcp.parse(octets(data))


# Who ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "digits"),
    [
        ("080910100000000010", "001010000000001"),
        ("082943519099999999", "234150999999999"),  # the example of TS 23.003 13.2
        ("0831015110325476F8", "31015012345678"),  # an even number of digits
        ("0829435190A9999999", None),
        ("FFFFFFFFFFFFFFFFFF", None),
        ("00", None),
        ("", None),
        ("0829", None),
        ("09" + "11" * 9, None),
        ("0229FF", None),
    ],
)
def test_an_imsi(data: str, digits: str | None) -> None:
    try:
        assert files.imsi(octets(data)) == digits
    except ParseError:
        assert digits is None


def test_the_length_of_the_mnc_where_the_card_says_it() -> None:
    assert files.mnc_digits(octets("00000002")) == 2
    assert files.mnc_digits(octets("8100000301")) == 3
    assert files.mnc_digits(octets("000000")) is None  # a card from before Release 99's change
    assert files.mnc_digits(octets("0000000F")) is None


def test_an_iccid() -> None:
    assert files.iccid(octets("98103254769810325476")) == "89012345678901234567"
    assert files.iccid(octets("981032547698103254F6")) == "8901234567890123456"
    assert files.iccid(b"\xff" * 10) is None


def test_texts_of_the_isim() -> None:
    assert files.text(Tlv(0x80, b"user@home.test").octets() + b"\xff" * 20) == "user@home.test"
    assert files.text(Tlv(0x80, b"sip:user@home.test\x00").octets()) == "sip:user@home.test"
    assert files.text(b"\xff" * 30) is files.text(b"\x80\x00") is None
    for bad in (b"\xc3\x28", b"a\nb"):
        with pytest.raises(ParseError):
            files.text(Tlv(0x80, bad).octets())


def test_a_p_cscf_is_a_name_or_an_address() -> None:
    assert files.pcscf(octets("8005017F000A0A")) == "127.0.10.10"
    assert files.pcscf(octets("80110220010DB8000000000000000000000001")) == "2001:db8::1"
    assert files.pcscf(Tlv(0x80, b"\x00pcscf.home.test").octets()) == "pcscf.home.test"
    assert files.pcscf(b"\xff" * 20) is None
    for bad in ("8004017F000A", "800303AABB"):
        with pytest.raises(ParseError):
            files.pcscf(octets(bad))


def test_the_applications_of_a_card() -> None:
    def entry(aid: bytes) -> bytes:
        return Tlv(0x61, Tlv(0x4F, aid).octets() + Tlv(0x50, b"x").octets()).octets() + b"\xff" * 9

    aids = [AIDS["USIM"] + b"\xff\x49", AIDS["ISIM"]]
    assert files.applications([entry(aids[0]), b"\xff" * 30, b"\x61\x7f\x4f", entry(aids[1])]) == aids
