"""Whole messages out of a stream: lengths, keep-alives, Diameter, and any cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.sip.framing import MAX_MESSAGE_BYTES, PING, Framer

EMPTY = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"
FULL = b"MESSAGE sip:a SIP/2.0\r\nl:5\r\nTo: b\r\n\r\nab\r\n\r"
BARE = b"SIP/2.0 200 OK\nTo: x\nCONTENT-LENGTH  : 2\n\nhi"
MIXED = b"OPTIONS sip:a SIP/2.0\r\nContent-Length:\r\n 3\n\r\nabc"
DIAMETER = b"\x01\x00\x00\x18" + b"\r\n" * 10
WHOLE = [EMPTY, FULL, BARE, MIXED, DIAMETER, PING]


def test_one_behind_the_other() -> None:
    assert Framer().feed(b"".join(WHOLE)) == WHOLE


def test_a_message_waits_for_its_end() -> None:
    framer = Framer()
    assert framer.feed(FULL[:-1]) == []
    assert framer.feed(FULL[-1:] + EMPTY[:9]) == [FULL]
    assert framer.feed(EMPTY[9:]) == [EMPTY]


def test_line_ends_between_messages_are_skipped_and_pings_told() -> None:
    # RFC 5626 4.4.1: CRLFCRLF asks, CRLF answers
    assert Framer().feed(b"\r\n" + EMPTY + b"\r\n\r\n" + FULL + b"\n\r" + EMPTY) == [EMPTY, PING, FULL, EMPTY]
    framer = Framer()
    assert framer.feed(b"\r\n") == []
    assert framer.feed(b"\r\n") == [PING]


def test_the_length_is_not_looked_for_in_the_body_or_inside_a_header() -> None:
    data = b"MESSAGE sip:a SIP/2.0\r\nX: Content-Length: 9\r\nContent-Length: 21\r\n\r\n\r\nContent-Length: 7\r\n"
    assert Framer().feed(data + EMPTY) == [data, EMPTY]


@pytest.mark.parametrize(
    "data",
    [
        b"OPTIONS sip:a SIP/2.0\r\nTo: b\r\n\r\n",  # RFC 3261 18.3: a stream needs Content-Length
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 5x\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 65536\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n",  # which of them?
        b"\x01\x00\x00\x13" + bytes(30),
        b"\x01\xff\xff\xff",
        b"x" * (MAX_MESSAGE_BYTES + 1),
    ],
)
def test_a_stream_that_cannot_be_told_apart_is_broken(data: bytes) -> None:
    framer = Framer()
    assert framer.feed(EMPTY + data) == [EMPTY]
    assert framer.is_broken
    assert framer.feed(EMPTY) == []


def test_the_largest_message() -> None:
    head = b"MESSAGE sip:a SIP/2.0\r\nContent-Length: 65483\r\n\r\n"
    data = head + bytes(65483)
    assert len(data) <= MAX_MESSAGE_BYTES
    framer = Framer()
    assert framer.feed(data) == [data]
    assert not framer.is_broken


def test_the_same_length_twice_is_one_length() -> None:
    data = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\nl: 0\r\n\r\n"
    assert Framer().feed(data) == [data]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(st.sampled_from([*WHOLE, b"\r\n", b"\n"]), max_size=8), st.lists(st.integers(0), max_size=20))
def test_cuts_do_not_matter(parts: list[bytes], places: list[int]) -> None:
    data = b"".join(parts)
    framer = Framer()
    assert [frame for piece in cut(data, places) for frame in framer.feed(piece)] == Framer().feed(data)


CHUNKS = [*WHOLE, b"\r\n", b"\n", b"\r", b"Content-Length: 1", b"l:2", b"\x01\x00\x00", b"\x14", b" ", b"x"]


@given(st.lists(st.sampled_from(CHUNKS) | st.binary(max_size=20), max_size=20), st.lists(st.integers(0), max_size=20))
def test_cuts_do_not_matter_for_garbage(parts: list[bytes], places: list[int]) -> None:
    data = b"".join(parts)
    whole, pieces = Framer(), Framer()
    assert [frame for piece in cut(data, places) for frame in pieces.feed(piece)] == whole.feed(data)
    assert pieces.is_broken == whole.is_broken
