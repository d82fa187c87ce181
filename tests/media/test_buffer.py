"""Packets in the order of their timestamps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imsphone.media.buffer import FULL, PUT, TAKEN, PacketBuffer

MOST = 256


@given(st.lists(st.integers(-5000, 5000), max_size=2 * MOST))
def test_they_leave_in_order_each_once_and_never_too_many(timestamps: list[int]) -> None:
    buffer = PacketBuffer()
    expected: set[int] = set()
    for timestamp in timestamps:
        result = buffer.put(timestamp, 7, 160, 8, timestamp.to_bytes(4, "big", signed=True))
        assert (result == TAKEN) == (timestamp in expected)
        if result == FULL:
            assert len(expected) == MOST
            expected.discard(min(expected | {timestamp}))
            if timestamp < min(expected):
                continue
        expected.add(timestamp)
    assert len(buffer) == len(expected)
    assert buffer.samples == 160 * len(expected)
    left = [buffer.take() for _ in expected]
    assert [packet and packet[0] for packet in left] == sorted(expected)
    assert all(packet and packet[4] == packet[0].to_bytes(4, "big", signed=True) for packet in left)
    assert buffer.take() is None


def test_of_too_many_the_oldest_goes() -> None:
    buffer = PacketBuffer()
    assert [buffer.put(160 * k, k, 160, 8, b"") for k in range(MOST + 1)] == [PUT] * MOST + [FULL]
    assert buffer.put(0, 0, 160, 8, b"") == FULL, "and an older one does not even come in"
    assert buffer.take() == (160, 1, 160, 8, b"")


def test_it_knows_how_far_the_sound_reaches() -> None:
    buffer = PacketBuffer()
    for timestamp in (160, 320, 640):
        buffer.put(timestamp, 0, 160, 8, bytes(160))
    assert buffer.reach_from(160) == 320
    assert buffer.reach_from(200) == 280
    assert buffer.reach_from(0) == 0
    assert buffer.reach_from(640) == 160
