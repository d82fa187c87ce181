"""Streams are found among what else passes a port."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imsphone.machine import Address
from imsphone.rtp.capture import Datagram
from imsphone.rtp.packet import Packet
from imsphone.rtp.streams import streams

ALICE, BOB = Address("192.0.2.1", 40000), Address("192.0.2.2", 50000)


def sent(
    *sequences: int, ssrc: int = 1, source: Address = ALICE, payload_type: int = 8, cut: int = 0
) -> list[Datagram]:
    return [
        Datagram(k * 20_000_000, source, BOB, bytes(Packet(payload_type, s & 0xFFFF, 160 * s, ssrc, bytes(160))), cut)
        for k, s in enumerate(sequences)
    ]


def test_the_longest_comes_first() -> None:
    found = streams(sent(*range(5), ssrc=2) + sent(*range(9), ssrc=3) + sent(*range(7), source=BOB, ssrc=3))
    assert [(stream.ssrc, stream.source, len(stream.packets)) for stream in found] == [
        (3, ALICE, 9),
        (3, BOB, 7),
        (2, ALICE, 5),
    ]


def test_what_only_looks_like_rtp_is_none() -> None:
    other = [
        Datagram(0, ALICE, BOB, data)
        for data in (b"", b"\x80", b"INVITE sip:bob SIP/2.0\r\n", b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12))
    ]
    chance = sent(7, 40000, 3, 20000, 1, 9000, ssrc=4)
    reports = [Datagram(0, ALICE, BOB, b"\x80\xc8" + bytes(26))] * 10
    assert streams(other + chance + reports + sent(1, 2, 3, ssrc=5)) == []


def test_loss_reordering_doubles_and_the_wrap_stay_one_stream() -> None:
    (stream,) = streams(sent(65530, 65531, 65533, 65532, 65535, 65535, 65536, 65540, 65541))
    assert len(stream.packets) == 9


def test_a_restart_is_another_stream_and_a_stray_packet_is_none() -> None:
    found = streams(sent(*range(100, 110), 40000, *range(110, 120), *range(30000, 30050)))
    assert [len(stream.packets) for stream in found] == [49, 20]  # the first one after a jump is not believed


def test_it_knows_its_payload_types_and_what_was_cut() -> None:
    (stream,) = streams(sent(1, 2, 3, 4, 5) + sent(6, 7, payload_type=13, cut=100))
    assert (stream.payload_types, stream.cut) == ([8, 13], 2)
    assert str(stream) == "0x00000001 192.0.2.1:40000 → 192.0.2.2:50000"


@given(
    st.lists(st.builds(Datagram, st.integers(), st.just(ALICE), st.sampled_from([ALICE, BOB]), st.binary(max_size=40)))
)
def test_any_datagrams_raise_nothing(found: list[Datagram]) -> None:
    for stream in streams(found):
        assert stream.counts_up
