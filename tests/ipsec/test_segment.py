"""TCP's header, as far as it is ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.ipsec.segment import carries_data, ports, read, write
from imsphone.machine import Address

HOSTS = (("10.9.1.2", "10.9.1.1"), ("2001:db8::2", "2001:db8::1"))
hosts = pytest.mark.parametrize(("source", "target"), HOSTS)


@hosts
@given(st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=100))
def test_what_is_written_is_read(source: str, target: str, one: int, other: int, data: bytes) -> None:
    segment = write(Address(source, one), Address(target, other), data)
    assert ports(segment) == (one, other)
    assert read(source, target, segment) == data


@hosts
def test_what_carries_no_data_is_known(source: str, target: str) -> None:
    empty = write(Address(source, 5060), Address(target, 6100), b"")
    assert not carries_data(empty)
    assert carries_data(empty + b"x")
    assert not carries_data(empty[:12] + b"\x60" + empty[13:] + b"four")  # an option


@hosts
def test_a_wrong_checksum_or_another_host_is_no_segment(source: str, target: str) -> None:
    segment = write(Address(source, 5060), Address(target, 6100), b"hello")
    assert read(source, target, segment[:-1] + b"0") is None
    assert read(source, source, segment) is None
    assert read(source, target, segment[:12] + b"\xf0" + segment[13:]) is None


@hosts
@given(st.binary(max_size=40))
def test_no_segment_raises(source: str, target: str, junk: bytes) -> None:
    read(source, target, junk)
    assert (ports(junk) is None) == (len(junk) < 20)
