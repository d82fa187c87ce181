"""BER-TLV: what was written is read, and any octets give objects or a ParseError."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.usim.tlv import Tlv, first, parse

TAGS = st.sampled_from([0x4F, 0x61, 0x80, 0x82, 0xC6, 0x5F2D, 0x7F8101])
OBJECTS = st.lists(st.builds(Tlv, TAGS, st.binary(max_size=300)), max_size=8)


@given(OBJECTS, st.sampled_from([b"", b"\xff" * 9, b"\x00" * 3]))
def test_what_was_written_is_read_whatever_pads_it(objects: list[Tlv], padding: bytes) -> None:
    assert parse(b"".join(one.octets() + padding for one in objects)) == objects


@given(st.binary(max_size=400))
def test_any_octets_are_objects_or_no_tlv(data: bytes) -> None:
    try:
        found = parse(data)
    except ParseError:
        pass
    else:
        assert sum(len(one.value) for one in found) <= len(data)


def test_an_object_may_hold_objects() -> None:
    inside = Tlv(0x4F, b"\xa0\x00").octets() + Tlv(0x50, b"ISIM").octets()
    template = first(parse(Tlv(0x61, inside).octets()), 0x61)
    assert template is not None
    assert first(parse(template), 0x50) == b"ISIM"
    assert first(parse(template), 0x51) is None


@pytest.mark.parametrize("data", ["80", "8005AA", "8085", "80840000000101", "5F", "5F818181", "1F"])
def test_what_breaks_off_is_no_tlv(data: str) -> None:
    with pytest.raises(ParseError):
        parse(bytes.fromhex(data))


def test_an_endless_file_has_an_end() -> None:
    with pytest.raises(ParseError, match="at most"):
        parse(b"\x80\x00" * 300)  # an empty object each, its length taken for padding by nobody
