"""IP headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.ipsec.packet import IpPacket, read, write

HOSTS = (("10.9.1.2", "10.9.1.1"), ("2001:db8::2", "2001:db8::1"))
hosts = pytest.mark.parametrize(("source", "target"), HOSTS)


@hosts
@given(st.integers(0, 255), st.binary(max_size=100))
def test_what_is_written_is_read(source: str, target: str, protocol: int, payload: bytes) -> None:
    packet = write(source, target, protocol, payload)
    assert read(packet) == read(packet + b"padding") == IpPacket(source, target, protocol, payload)
    assert read(packet[:-1]) is None


def test_a_header_that_others_computed() -> None:
    """The example that textbooks and encyclopaedias give of IPv4's checksum."""
    packet = write("192.168.0.1", "192.168.0.199", 17, bytes(95))
    assert packet[:20].hex() == "450000730000400040" + "11b861c0a80001c0a800c7"


def test_a_piece_of_a_packet_is_none() -> None:
    packet = bytearray(write("10.9.1.2", "10.9.1.1", 6, b"hello"))
    packet[6] = 0x20  # more fragments
    assert read(bytes(packet)) is None


@given(st.binary(max_size=80))
def test_no_packet_raises(junk: bytes) -> None:
    for first in (b"", b"\x45", b"\x4f", b"\x60"):
        read(first + junk)
