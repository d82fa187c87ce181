"""Diameter: hand-made octets in, the same octets out, and nothing else ever raised."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.lab import diameter
from imsphone.lab.diameter import Avp, Avps, Message

# A Device-Watchdog-Request written by hand after RFC 6733 3, 4.1 and 5.5.1
DWR = bytes.fromhex(
    "01 000034  80 000118  00000000  0000beef  00c0ffee"
    "00000108 40 000011 73637363662e6c6162 000000"  # Origin-Host "scscf.lab" + 3 octets of padding
    "00000128 40 00000b 6c6162 00"  # Origin-Realm "lab"
)

avps = st.builds(
    Avp,
    code=st.integers(0, 2**32 - 1),
    data=st.binary(max_size=40),
    vendor=st.sampled_from([0, 10415]) | st.integers(1, 2**32 - 1),
    is_mandatory=st.booleans(),
)
messages = st.builds(
    Message,
    command=st.integers(0, 2**24 - 1),
    application=st.integers(0, 2**32 - 1),
    hop_by_hop=st.integers(0, 2**32 - 1),
    end_to_end=st.integers(0, 2**32 - 1),
    avps=st.lists(avps, max_size=6).map(Avps),
    is_request=st.booleans(),
    is_proxiable=st.booleans(),
    is_error=st.booleans(),
    is_retransmitted=st.booleans(),
)


def test_a_watchdog_written_by_hand_is_read_and_printed_octet_by_octet() -> None:
    message = diameter.parse(DWR)
    assert message.command == diameter.DEVICE_WATCHDOG
    assert message.is_request
    assert message.hop_by_hop == 0xBEEF
    assert message.avps.text(diameter.ORIGIN_HOST) == "scscf.lab"
    assert message.avps.text(diameter.ORIGIN_REALM) == "lab"
    assert bytes(message) == DWR


def test_an_answer_keeps_both_ids_and_turns_the_request_bit_off() -> None:
    answer = diameter.parse(bytes(diameter.parse(DWR).answer([Avp.of(diameter.RESULT_CODE, diameter.SUCCESS)])))
    assert not answer.is_request
    assert (answer.hop_by_hop, answer.end_to_end) == (0xBEEF, 0xC0FFEE)
    assert answer.result == (2001, False)


def test_a_vendors_result_is_told_from_one_of_the_base_protocol() -> None:
    inside = [Avp.of(diameter.VENDOR_ID, 10415), Avp.of(diameter.EXPERIMENTAL_RESULT_CODE, 5001)]
    answer = diameter.parse(DWR).answer([Avp.of(diameter.EXPERIMENTAL_RESULT, inside)])
    assert answer.result == (5001, True)
    assert diameter.parse(DWR).result is None


def test_two_avps_of_one_code_differ_by_vendor() -> None:
    read = Avps([Avp.of(601, "base"), Avp.of(601, "3gpp", 10415)])
    assert read.text(601) == "base"
    assert read.text(601, 10415) == "3gpp"
    assert read.text(601, 1) is None


def test_values_of_the_wrong_kind_read_as_nothing() -> None:
    read = Avps([Avp.of(1, b"\xff\xfe"), Avp.of(2, b"\0\0\1")])
    assert read.text(1) is None
    assert read.number(2) is None
    assert read.group(2) == ()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (DWR[:19], "20 octets"),
        (b"\2" + DWR[1:], "version 1"),
        (DWR + b"\0", "message length"),
        (DWR[:25] + b"\0\0\7" + DWR[28:], "AVP length"),
        (DWR[:25] + b"\0\1\0" + DWR[28:], "AVP length"),
    ],
)
def test_what_is_broken_says_so(data: bytes, expected: str) -> None:
    with pytest.raises(ParseError, match=expected):
        diameter.parse(data)


def test_addresses_carry_their_family() -> None:
    assert diameter.address("127.0.10.40") == bytes([0, 1, 127, 0, 10, 40])
    assert diameter.address("::1") == b"\0\2" + bytes(15) + b"\1"


@given(messages)
def test_printing_and_parsing_agree(message: Message) -> None:
    data = bytes(message)
    assert len(data) % 4 == 0
    assert diameter.parse(data) == message


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: DWR[:20] + tail))
def test_any_octets_parse_or_are_a_parse_error(data: bytes) -> None:
    for octets in (data, data[:1] + len(data).to_bytes(3, "big") + data[4:]):
        with contextlib.suppress(ParseError):
            diameter.parse(octets)


def test_octets_that_are_no_text_stay_what_they_are() -> None:
    """SIP lets them through as surrogates, and an HSS is asked with them."""
    assert Avp.of(1, b"a\xff".decode("utf-8", "surrogateescape")).data == b"a\xff"
