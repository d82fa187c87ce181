"""RTP packets in and out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.rtp.packet import Extension, Packet, is_rtcp, parse

PLAIN = bytes.fromhex("80 88 1234 00000320 deadbeef d5d5d5d5")
# RFC 3550 5.1 field by field: P and X set, two CSRCs, one word of extension, three octets of padding
FULL = bytes.fromhex("b2 60 ffff fffffffe 00000001 0000000a 0000000b bede 0001 10aa0000 0102 000003")


def test_a_plain_packet() -> None:
    packet = parse(PLAIN)
    assert packet == Packet(8, 0x1234, 800, 0xDEADBEEF, b"\xd5" * 4, marker=True)
    assert (packet.version, packet.padding, packet.extension, packet.csrcs) == (2, 0, None, ())
    assert bytes(packet) == PLAIN


def test_a_packet_with_everything() -> None:
    packet = parse(FULL)
    assert packet == Packet(
        96, 65535, 0xFFFFFFFE, 1, b"\x01\x02", False, (10, 11), Extension(0xBEDE, b"\x10\xaa\x00\x00"), 3
    )
    assert bytes(packet) == FULL


@pytest.mark.parametrize("first", ["80", "90"])
def test_the_marker_is_apart_from_payload_type_0(first: str) -> None:
    packet = parse(bytes.fromhex(f"{first} 80 0001 00000000 00000001 bede 0000"))
    assert (packet.payload_type, packet.marker) == (0, True)


@pytest.mark.parametrize(
    "data",
    [
        "80 08 0001 00000000 00000001",
        "81 08 0001 00000000 00000001 00000002",
        "90 08 0001 00000000 00000001 bede 0000",
        "a0 08 0001 00000000 00000001 00000004",
    ],
)
def test_a_packet_may_have_no_payload(data: str) -> None:
    packet = parse(bytes.fromhex(data))
    assert packet.payload == b""
    assert bytes(packet) == bytes.fromhex(data)


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        ("", 0),
        ("80 08 0001 00000000 000000", 11),
        ("40 08 0001 00000000 00000001", 0),
        ("00 08 0001 00000000 00000001", 0),
        ("c0 08 0001 00000000 00000001", 0),
        ("81 08 0001 00000000 00000001 0000", 12),
        ("90 08 0001 00000000 00000001 0000", 12),
        ("90 08 0001 00000000 00000001 bede 0001 0000", 16),
        ("90 08 0001 00000000 00000001 bede ffff 0000", 16),
        ("a0 08 0001 00000000 00000001", 11),
        ("a0 08 0001 00000000 00000001 0000", 13),
        ("a0 08 0001 00000000 00000001 0003", 13),
        ("b1 08 0001 00000000 00000001 00000001 bede 0000 05", 20),
    ],
)
def test_what_is_no_packet_says_where(data: str, offset: int) -> None:
    with pytest.raises(ParseError) as caught:
        parse(bytes.fromhex(data))
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        ("80c8", True),  # SR
        ("81c9", True),  # RR
        ("81ca", True),
        ("80df", True),
        ("80c0", True),
        ("80bf", False),
        ("80e0", False),
        ("8008", False),  # PCMA
        ("8088", False),  # PCMA with marker
        ("80", False),
        ("", False),
    ],
)
def test_rtcp_is_told_from_rtp_by_its_second_octet(data: str, answer: bool) -> None:
    assert is_rtcp(bytes.fromhex(data)) is answer


@given(st.binary(max_size=40) | st.binary(max_size=300).map(lambda tail: b"\xb3\x08" + tail))
def test_any_datagram_is_a_packet_or_a_parse_error(data: bytes) -> None:
    try:
        packet = parse(data)
    except ParseError:
        return
    again = bytes(packet)
    assert parse(again) == packet
    assert len(again) == len(data)
    if not packet.padding:  # what the filler holds is nobody's business
        assert again == data


WORD = st.integers(0, 2**32 - 1)
EXTENSIONS = st.builds(Extension, st.integers(0, 0xFFFF), st.lists(st.binary(min_size=4, max_size=4)).map(b"".join))


@given(
    st.builds(
        Packet,
        payload_type=st.integers(0, 127),
        sequence=st.integers(0, 0xFFFF),
        timestamp=WORD,
        ssrc=WORD,
        payload=st.binary(),
        marker=st.booleans(),
        csrcs=st.lists(WORD, max_size=15).map(tuple),
        extension=EXTENSIONS | st.none(),
        padding=st.integers(0, 255),
    )
)
def test_parse_undoes_print(packet: Packet) -> None:
    assert parse(bytes(packet)) == packet
