"""One call in the media thread: every 10 ms sound goes in, sound comes out, and now and then a packet leaves.

                ┌─ source, or the file that `play` put in its place
    tick ──▶ read 10 ms ──▶ [ until a packet is full ] ──▶ Voice ──▶ Wire
         └─▶ Voice.pull ──▶ sink, and the file of `record`

A line belongs to the media thread; nothing here locks or waits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from random import Random

import numpy as np

from imsphone.audio.endpoint import Intake, Outlet, Sink, Source
from imsphone.audio.wire import Wire
from imsphone.events import MediaStarted
from imsphone.machine import Address
from imsphone.media.codecs.codec import Pcm
from imsphone.media.quality import Measured
from imsphone.media.voice import Voice
from imsphone.rtp.rtcp import RtcpSchedule

SENDING, RECEIVING = ("sendrecv", "sendonly"), ("sendrecv", "recvonly")

_log = logging.getLogger("imsphone.audio")


class Line:
    """A call's voice, its sockets and the two ends of its sound; `media` says where it goes, and which way."""

    def __init__(
        self, voice: Voice, wire: Wire, media: MediaStarted, source: Source, sink: Sink, chance: Random
    ) -> None:
        self.voice = voice
        self.wire = wire
        self._clock_hz = voice.codec.clock_hz
        self._source = Intake(source, self._clock_hz)
        self._sink = Outlet(sink, self._clock_hz)
        self._played: Intake | None = None
        self._on_end: Callable[[], None] | None = None
        self._recorder: Outlet | None = None
        self._waiting: list[Pcm] = []
        self._complaints: set[str] = set()
        self._chance = chance
        self._reports = RtcpSchedule(time.monotonic(), chance.random(), rtcp_bps=media.rtcp_bps)
        self.turn(media)

    def turn(self, media: MediaStarted) -> None:
        """The stream goes elsewhere, or another way."""
        self.wire.aim(Address(*media.remote), media.remote_rtcp and Address(*media.remote_rtcp))
        if media.rtcp_bps != self._reports.rtcp_bps:
            self._reports = RtcpSchedule(time.monotonic(), self._chance.random(), rtcp_bps=media.rtcp_bps)
        self._is_sending = media.direction in SENDING
        self._is_receiving = media.direction in RECEIVING

    def play(self, source: Source, on_end: Callable[[], None] | None) -> None:
        """Sends this instead of the source until it ends, then calls `on_end`."""
        self._end_play()
        self._played, self._on_end = Intake(source, self._clock_hz), on_end

    def record(self, sink: Sink) -> None:
        """Writes everything heard there as well, from now on; what was recorded to before is complete."""
        if self._recorder:
            self._recorder.sink.close()
        self._recorder = Outlet(sink, self._clock_hz)

    def receive(self) -> None:
        """Takes what waits at the sockets."""
        for data, arrival_ns, is_rtcp in self.wire.receive():
            if is_rtcp:
                wrong = self.voice.received_rtcp(data, arrival_ns)
                self._reports.rtcp_received(len(data), time.monotonic())
            elif self._is_receiving:
                wrong = self.voice.received(data, arrival_ns)
                self._reports.rtp_received(time.monotonic())
            else:
                wrong = None
            # Said once: a peer that is wrong is wrong fifty times a second.
            if wrong and len(self._complaints) < 10 and wrong not in self._complaints:
                self._complaints.add(wrong)
                _log.info("at %s came what is %s", self.wire.local, wrong)

    def tick(self, now: float) -> None:
        """Ten milliseconds (`now`: monotonic)."""
        if self._is_receiving:
            for _ in range(self._sink.sink.blocks_due):
                pcm = self.voice.pull()
                self._sink.write(pcm)
                if self._recorder:
                    self._recorder.write(pcm)
        self._send(self._read(), now)
        if self._reports.is_due(now, self._chance.random()):
            data = self.voice.rtcp(time.time_ns())
            self.wire.send(data, is_rtcp=True)
            self._reports.rtcp_sent(len(data), now, self._chance.random())

    def _read(self) -> Pcm:
        own = self._source.read()  # also while a file plays: a microphone does not stop
        if self._played is None:
            return own
        if self._played.source.has_ended:
            self._end_play()
            return own
        return self._played.read()

    def _send(self, pcm: Pcm, now: float) -> None:
        if not self._is_sending:
            self._waiting.clear()
            self.voice.skip(pcm.size)
            return
        self._waiting.append(pcm)
        if sum(block.size for block in self._waiting) >= self.voice.samples_a_packet:
            self.wire.send(self.voice.packet(np.concatenate(self._waiting)))
            self._waiting.clear()
            self._reports.rtp_sent(now)

    def _end_play(self) -> None:
        played, on_end, self._played, self._on_end = self._played, self._on_end, None, None
        if played:
            played.source.close()
        if on_end:
            on_end()

    def close(self) -> Measured:
        """Says goodbye, gives everything back, and the figures of the whole call."""
        measured = self.voice.figures()
        if self._reports.rtcp_bps:
            self.wire.send(self.voice.bye(time.time_ns()), is_rtcp=True)
        self.wire.close()
        self._end_play()
        self._source.source.close()
        self._sink.sink.close()
        if self._recorder:
            self._recorder.sink.close()
        return measured
