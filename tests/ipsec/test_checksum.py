"""The Internet checksum."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from imsphone.ipsec.checksum import checksum, pseudo_header


def test_the_example_of_rfc_1071() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF ^ 0xDDF2


@given(st.binary(max_size=60))
def test_what_carries_its_checksum_sums_up_to_nothing(data: bytes) -> None:
    whole = data + bytes(len(data) % 2)
    assert checksum(whole + struct.pack("!H", checksum(whole))) == 0


def test_both_families_say_the_same_things_at_their_own_lengths() -> None:
    assert pseudo_header("10.0.0.1", "10.0.0.2", 6, 20).hex() == "0a0000010a000002" + "00060014"
    assert pseudo_header("::1", "::2", 6, 20).hex() == "0" * 31 + "1" + "0" * 31 + "2" + "0000001400000006"
