"""One call in the media thread, ticked by hand; two lines talk over real sockets of the loopback interface."""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest

from imsphone.audio.endpoint import Sink, Source
from imsphone.audio.line import Line
from imsphone.audio.null import Drop, Silence
from imsphone.audio.wire import FIRST_PORT, Wire, open_wire
from imsphone.events import MediaStarted
from imsphone.media.codecs.codec import Pcm
from imsphone.media.codecs.g711 import PCMA
from imsphone.media.voice import Voice
from imsphone.rtp import packet as rtp

HOST = "127.0.77.2"


def media(wire: Wire, other: Wire, direction: Any = "sendrecv", **more: Any) -> MediaStarted:
    """What an offer and its answer would have said of these two."""
    return MediaStarted(
        at=0.0,
        call="call",
        local=wire.local,
        remote=other.local,
        codec="PCMA",
        payload_type=8,
        clock_hz=8000,
        ptime_ms=20,
        direction=direction,
        **more,
    )


class Tone:
    """A source of a constant level, which ends after so many blocks."""

    clock_hz = 8000

    def __init__(self, level: int, blocks: int = 10**9) -> None:
        self.level, self.blocks, self.is_closed = level, blocks, False

    @property
    def has_ended(self) -> bool:
        return self.blocks <= 0

    def read(self, n: int) -> Pcm:
        self.blocks -= 1
        return np.full(n, self.level, np.int16)

    def close(self) -> None:
        self.is_closed = True


class Ear:
    """A sink that keeps everything and takes as many blocks as it says."""

    clock_hz = 8000

    def __init__(self) -> None:
        self.blocks_due = 1
        self.heard: list[Pcm] = []
        self.is_closed = False

    def write(self, pcm: Pcm) -> None:
        self.heard.append(pcm)

    def close(self) -> None:
        self.is_closed = True


class Pair:
    """Two lines, joined."""

    def __init__(self) -> None:
        self.left_wire, self.right_wire = open_wire(HOST, FIRST_PORT), open_wire(HOST, FIRST_PORT)
        self.tone, self.ear, self.far_ear = Tone(1000), Ear(), Ear()
        self.left = self.line(1, self.left_wire, self.right_wire, self.tone, self.ear)
        self.right = self.line(2, self.right_wire, self.left_wire, Silence(), self.far_ear)

    @staticmethod
    def line(ssrc: int, wire: Wire, other: Wire, source: Source, sink: Sink) -> Line:
        voice = Voice(PCMA, 8, ssrc=ssrc, first_sequence=0, first_timestamp=0, cname="here")
        return Line(voice, wire, media(wire, other), source, sink, Random(1))

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            now = time.monotonic()
            self.left.tick(now)
            self.right.tick(now)
            self.left.receive()
            self.right.receive()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.left_wire.close()
    pair.right_wire.close()


def level(pcm: Pcm) -> int:
    return int(np.median(pcm))


def test_ten_milliseconds_at_a_time_a_packet_every_other(pair: Pair) -> None:
    pair.tick(100)
    assert len(pair.far_ear.heard) == 100
    assert level(pair.far_ear.heard[-1]) == pytest.approx(1000, abs=20)
    assert pair.left.voice.figures().sent == 50
    assert pair.right.voice.figures().received == 50


def test_a_file_takes_the_place_of_the_source_until_it_ends(pair: Pair) -> None:
    ended: list[str] = []
    file = Tone(-3000, blocks=30)
    pair.tick(20)
    pair.left.play(file, lambda: ended.append("file"))
    pair.tick(30)
    assert not ended
    assert level(pair.far_ear.heard[-1]) == pytest.approx(-3000, abs=80)
    pair.tick(30)
    assert ended == ["file"]
    assert file.is_closed
    assert level(pair.far_ear.heard[-1]) == pytest.approx(1000, abs=20)


def test_a_second_file_ends_the_first(pair: Pair) -> None:
    ended: list[int] = []
    pair.left.play(Tone(1), lambda: ended.append(1))
    pair.left.play(Tone(2), lambda: ended.append(2))
    assert ended == [1]
    pair.left.close()
    assert ended == [1, 2], "whoever waits for the end of a file is not left waiting when the call ends"


def test_recording_hears_the_same_from_then_on(pair: Pair) -> None:
    tape, second = Ear(), Ear()
    pair.tick(10)
    pair.right.record(tape)
    pair.tick(10)
    pair.right.record(second)
    pair.tick(5)
    assert tape.is_closed
    assert (np.concatenate(tape.heard) == np.concatenate(pair.far_ear.heard[10:20])).all()
    assert len(second.heard) == 5


@pytest.mark.parametrize(
    ("direction", "sends", "hears"),
    [("sendrecv", True, True), ("sendonly", True, False), ("recvonly", False, True), ("inactive", False, False)],
)
def test_the_direction_of_the_sdp_is_kept(pair: Pair, direction: str, sends: bool, hears: bool) -> None:
    pair.tick(10)
    before, blocks = pair.left.voice.figures(), len(pair.ear.heard)
    pair.left.turn(media(pair.left_wire, pair.right_wire, direction))
    pair.tick(20)
    after = pair.left.voice.figures()
    assert after.sent - before.sent == (10 if sends else 0)
    assert after.received - before.received == (10 if hears else 0)
    assert len(pair.ear.heard) - blocks == (20 if hears else 0)


def test_after_hold_the_timestamp_has_run_on(pair: Pair) -> None:
    pair.tick(4)
    pair.left.turn(media(pair.left_wire, pair.right_wire, "inactive"))
    pair.tick(50)
    pair.left.turn(media(pair.left_wire, pair.right_wire))
    pair.tick(1)
    while pair.right_wire.receive():
        pass
    pair.left.tick(time.monotonic())
    (datagram,) = pair.right_wire.receive()
    packet = rtp.parse(datagram.data)
    assert packet.marker
    assert (packet.sequence, packet.timestamp) == (2, 54 * 80)


def test_a_sink_on_its_own_clock_says_how_much_it_takes(pair: Pair) -> None:
    pair.far_ear.blocks_due = 2
    pair.tick(3)
    pair.far_ear.blocks_due = 0
    pair.tick(3)
    assert len(pair.far_ear.heard) == 6


def test_reports_are_exchanged(pair: Pair) -> None:
    start = time.monotonic()
    for k in range(1200):  # twelve seconds, a little faster
        for line in (pair.left, pair.right):
            line.tick(start + k / 100)
            line.receive()
    assert pair.left.voice.figures().round_trip_ms is not None
    assert pair.left.voice.figures().remote_lost_percent == 0


def test_a_peer_that_is_wrong_fifty_times_a_second_is_named_once(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "imsphone.audio")
    for _ in range(20):
        pair.left_wire.send(b"\x80\x60" + bytes(30))
        pair.left_wire.send(b"garbage")
        pair.left_wire.send(b"garbage", is_rtcp=True)
        pair.tick()
    assert len(caplog.records) == 3
    assert "payload type 96 was not agreed on" in caplog.text


def test_the_end_is_a_goodbye_and_everything_given_back(pair: Pair) -> None:
    pair.tick(10)
    pair.left.record(tape := Ear())
    measured = pair.left.close()
    assert measured.sent == 5
    assert tape.is_closed
    assert pair.ear.is_closed
    assert pair.tone.is_closed
    goodbye = [d.data for d in pair.right_wire.receive() if d.is_rtcp]
    assert len(goodbye) == 1
    assert goodbye[0].endswith(b"\x81\xcb\x00\x01\x00\x00\x00\x01")  # BYE of SSRC 1 (RFC 3550 6.6)
    assert pair.left_wire.rtp.fileno() == -1


def test_silence_and_nobody_listening_is_a_call_too() -> None:
    wire = open_wire(HOST, FIRST_PORT)
    line = Pair.line(3, wire, wire, Silence(), Drop())
    for _ in range(4):
        line.tick(time.monotonic())
    assert line.close().sent == 2


def test_reports_go_where_the_far_end_said(pair: Pair) -> None:
    elsewhere = open_wire(HOST, FIRST_PORT)
    pair.left.turn(media(pair.left_wire, pair.right_wire, remote_rtcp=elsewhere.local))
    pair.tick(4)
    pair.left.close()
    assert [datagram.is_rtcp for datagram in elsewhere.receive()] == [False]  # at that wire's first port, so it counts
    elsewhere.close()


def test_a_far_end_that_wants_no_reports_gets_none(pair: Pair) -> None:
    pair.left.turn(media(pair.left_wire, pair.right_wire, rtcp_bps=0))
    now = time.monotonic()
    for second in range(60):
        pair.left.tick(now + second)
    pair.left.close()
    assert not [datagram for datagram in pair.right_wire.receive() if datagram.is_rtcp]
