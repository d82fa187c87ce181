"""Packets in the order of their timestamps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imsphone.media.buffer import MOST_PACKETS, PacketBuffer, Waiting
from imsphone.rtp.packet import Packet

PACKET = Packet(8, 0, 0, 1, bytes(160))


@given(st.lists(st.integers(-5000, 5000), max_size=2 * MOST_PACKETS))
def test_they_leave_in_order_each_once_and_never_too_many(timestamps: list[int]) -> None:
    buffer = PacketBuffer()
    taken = [timestamp for timestamp in timestamps if buffer.insert(Waiting(timestamp, 0, 160, PACKET))]
    assert len(buffer) == len(taken) <= MOST_PACKETS
    assert buffer.samples == 160 * len(taken)
    assert [buffer.pop().timestamp for _ in taken] == sorted(set(taken))
    assert buffer.first is None


def test_the_first_can_be_seen_and_all_forgotten() -> None:
    buffer = PacketBuffer()
    for timestamp in (480, 160, 320):
        assert buffer.insert(Waiting(timestamp, 0, 160, PACKET))
    assert not buffer.insert(Waiting(320, 7, 160, PACKET))
    assert buffer.first is not None
    assert buffer.first.timestamp == 160
    buffer.clear()
    assert len(buffer) == 0
