"""UDP by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.ipsec.datagram import Datagram, read, write
from imsphone.machine import Address

HOSTS = (("10.9.1.2", "10.9.1.1"), ("2001:db8::2", "2001:db8::1"))
hosts = pytest.mark.parametrize(("source", "target"), HOSTS)


@hosts
@given(st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=100))
def test_what_is_written_is_read(source: str, target: str, one: int, other: int, data: bytes) -> None:
    payload = write(Address(source, one), Address(target, other), data)
    assert read(source, target, payload) == Datagram(one, other, data)
    assert read(source, target, payload + b"padding") == Datagram(one, other, data)


@hosts
def test_a_wrong_checksum_is_no_datagram_and_none_at_all_is_one(source: str, target: str) -> None:
    payload = write(Address(source, 5060), Address(target, 6100), b"hello")
    assert read(source, target, payload[:-1] + b"0") is None
    assert read(source, target, payload[:6] + b"\0\0hello") == Datagram(5060, 6100, b"hello")


@hosts
@given(st.binary(max_size=40))
def test_no_payload_raises(source: str, target: str, junk: bytes) -> None:
    read(source, target, junk)
