"""ESP packets: as others write them, and what becomes of those that were touched on the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.ipsec import datagram
from imsphone.ipsec.esp import Opener, Sealer
from imsphone.ipsec.sa import SUITES, Keys, Suite
from imsphone.machine import Address

CK, IK = bytes(range(16)), bytes(range(16, 32))
SPI = 0x1234ABCD
PAYLOAD = datagram.write(Address("10.9.1.2", 40001), Address("10.9.1.1", 6100), b"OPTIONS sip:a SIP/2.0\r\n\r\n")

# Made by scapy 2.8's IPsec layer for UDP 10.9.1.2:40001 → 10.9.1.1:6100, sequence 7, with our IVs.
CLEAR = "9c4117d4002190f44f5054494f4e53207369703a61205349502f322e300d0a0d0a010111"
CBC = (
    "b9322f19c62b38e9bed82bd3e67b1319d1a779f4525e0d91578bc12401645ecacec20748d9761208caa962407d851ce3340299cbad36c55a"
    "48472a0fef1b15e5"
)
GCM = "f360ddd76f2a7e6ddcc4bf384495a8b91aac5d6ee3c8ad20d4d7b403fe5cb6067e325634d48d595b18c8bba81ab5f3b97d1bf825"
PACKETS = {
    Suite("hmac-sha-1-96", "null"): CLEAR + "87b9ca8b498d84bedfd762d8",
    Suite("hmac-md5-96", "null"): CLEAR + "6588b802a6daf12c52c0f0b1",
    Suite("hmac-sha-1-96", "aes-cbc"): CBC + "aa277dc54f3d9354e77beeab",
    Suite("hmac-md5-96", "aes-cbc"): CBC + "eaac534157aa05e0f535c9d1",
    Suite("null", "aes-gcm"): "0000000000000007" + GCM,
    Suite("aes-gmac", "null"): "0000000000000007" + CLEAR + "90afcf58dfc9c211f06eb3833474f91a",
}

suites = pytest.mark.parametrize("suite", SUITES, ids=str)
octets = st.binary(max_size=200)


def ends(suite: Suite, ck: bytes = CK, ik: bytes = IK) -> tuple[Sealer, Opener]:
    return Sealer(SPI, suite, Keys.of(suite, CK, IK)), Opener(SPI, suite, Keys.of(suite, ck, ik))


@suites
def test_another_implementation_writes_the_same_octets(suite: Suite) -> None:
    sealer, opener = ends(suite)
    sealer.sequence = 6
    packet = bytes.fromhex("1234abcd00000007" + PACKETS[suite])
    assert sealer.seal(PAYLOAD, datagram.UDP) == packet
    opened = opener.open(packet)
    assert opened is not None
    assert (opened.payload, opened.next_header, opened.sequence) == (PAYLOAD, datagram.UDP, 7)


@suites
@given(st.lists(octets, min_size=1, max_size=5), st.integers(0, 255))
def test_what_is_sealed_opens_once(suite: Suite, payloads: list[bytes], next_header: int) -> None:
    sealer, opener = ends(suite)
    for payload in payloads:
        packet = sealer.seal(payload, next_header)
        assert packet is not None
        assert len(packet) % 4 == 0  # RFC 4303 2.4
        opened = opener.open(packet)
        assert opened is not None
        assert (opened.payload, opened.next_header) == (payload, next_header)
        assert opener.open(packet) is None
    assert (opener.received, opener.replayed, opener.forged) == (len(payloads), len(payloads), 0)


@suites
@given(octets, st.data())
def test_one_changed_bit_is_one_dropped_packet(suite: Suite, payload: bytes, data: st.DataObject) -> None:
    sealer, opener = ends(suite)
    packet = sealer.seal(payload, 17)
    assert packet is not None
    bit = data.draw(st.integers(0, 8 * len(packet) - 1))
    touched = bytearray(packet)
    touched[bit // 8] ^= 1 << bit % 8
    assert opener.open(bytes(touched)) is None
    assert opener.open(packet) is not None  # and does no harm to the true one


@suites
def test_another_key_opens_nothing(suite: Suite) -> None:
    sealer, opener = ends(suite, bytes(16), IK[:15] + b"?")
    packet = sealer.seal(PAYLOAD, 17)
    assert packet is not None
    assert opener.open(packet) is None
    assert opener.forged == 1


@suites
@given(octets)
def test_no_packet_raises(suite: Suite, junk: bytes) -> None:
    _, opener = ends(suite)
    assert opener.open(junk) is None
    assert opener.open(SPI.to_bytes(4, "big") + junk) is None


@suites
def test_the_last_number_is_the_last_packet(suite: Suite) -> None:
    sealer, _ = ends(suite)
    sealer.sequence = (1 << 32) - 2
    assert sealer.seal(PAYLOAD, 17) is not None
    assert sealer.seal(PAYLOAD, 17) is None  # RFC 4303 3.3.3
