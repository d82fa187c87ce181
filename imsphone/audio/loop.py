"""The media thread: one thread, the sockets of all calls, a tick every 10 ms.

    main thread                          media thread
    open, start, change, play …          ┌──▶ wait for sockets, at most until the next tick
        └── a command and a nudge ───────┤    commands, packets, and at the tick every call's 10 ms
    on_measured, on_packet ◀─────────────┴───◀┘

Ticks fall on absolute times of the monotonic clock, so that they never drift; a late one is made up for at once, so
that each call sees all of its hundred a second. The two callbacks run in the media thread and must not wait.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

from imsphone.audio.endpoint import Audio as Audio
from imsphone.audio.files import WavSink, WavSource
from imsphone.audio.line import Line
from imsphone.audio.wire import FIRST_PORT, LAST_PORT, BadLink, Tap, Wire, open_wire
from imsphone.errors import NetworkError, StateError
from imsphone.events import MediaStarted
from imsphone.machine import Address, Ids
from imsphone.media.codecs.codec import codec_named
from imsphone.media.codecs.g711 import PCMA, PCMU
from imsphone.media.quality import Measured
from imsphone.media.voice import Voice

TICK_NS = 10_000_000
TICKS_A_MEASUREMENT = 100
MOST_BEHIND_NS = 500_000_000
"""After a longer stop (a suspended machine) the lost ticks stay lost."""
SWITCH_S = 0.001
MOST_OPEN = 1000
STATIC = {0: PCMU, 8: PCMA}
"""Payload types that need no rtpmap (RFC 3551 6): whoever sends them is understood."""

_log = logging.getLogger("imsphone.audio")
T = TypeVar("T")


class MediaLoop:
    """Sound for any number of calls, each known by its key. All methods may be called from any one other thread.

    `on_measured(key, figures)` comes once a second for each call (see `Measured.as_json`), `on_packet` for each RTP and
    RTCP packet; `link` is a bad network on the way into every socket, for trials.
    """

    def __init__(
        self,
        *,
        on_measured: Callable[[str, dict[str, float]], None] | None = None,
        on_packet: Tap | None = None,
        link: BadLink | None = None,
        ids: Ids | None = None,
    ) -> None:
        self._on_measured = on_measured
        self._on_packet = on_packet
        self._link = link
        self._fates = 0
        self._ids = ids or Ids(os.urandom(32))
        self._chance = Random(self._ids.number(64))
        self._cname = self._ids.data(12).hex()  # RFC 7022 4.2: 96 random bits, the same for all streams of a device
        self._next_port = FIRST_PORT + 2 * self._chance.randrange((LAST_PORT - FIRST_PORT) // 2)
        self._opened: dict[Address, Wire] = {}  # main thread: ports that no call uses yet
        self._lines: dict[str, Line] = {}  # media thread
        self._failed: set[str] = set()  # media thread
        self._calls: set[str] = set()  # main thread
        self._commands: deque[Callable[[], None]] = deque()
        self._thread: threading.Thread | None = None

    # From the main thread ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Starts the thread."""
        if self._thread is not None:
            raise StateError("the media loop runs already; begin it once")
        self._selector = selectors.DefaultSelector()
        self._nudged, self._nudge = socket.socketpair()
        self._nudged.setblocking(False)
        self._nudge.setblocking(False)
        self._selector.register(self._nudged, selectors.EVENT_READ, self._heed)
        self._is_ending = False
        # A busy main thread may keep the interpreter for 5 ms; then each wake-up of this thread is that late.
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_S))
        self._thread = threading.Thread(target=self._run, name="imsphone-media", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends all calls and the thread; nothing is left open. Harmless where it never began."""
        if self._thread is not None:
            for key in tuple(self._calls):
                self.stop(key)
            self._do(self._end)
            self._thread.join()
            self._thread = None
            self._selector.close()
            self._nudged.close()
            self._nudge.close()
        for wire in self._opened.values():
            wire.close()
        self._opened.clear()

    def open(self, host: str) -> Address | None:
        """A pair of ports at a local host: the address of the RTP one, for the SDP. None where there is none to be had.

        They stay open until `stop` of the call that `start` gives them to, or `release`.
        """
        if len(self._opened) >= MOST_OPEN:
            _log.warning(
                "%d pairs of ports are open and unused; release those of calls that came to nothing", MOST_OPEN
            )
            return None
        try:
            self._fates += 1
            link = self._link.twin(self._fates) if self._link else None
            wire = open_wire(host, self._next_port, tap=self._on_packet, link=link)
        except NetworkError as error:
            _log.warning("%s", error)
            return None
        self._next_port = wire.local.port + 2
        self._opened[wire.local] = wire
        return wire.local

    def release(self, local: Address) -> None:
        """Closes a pair that no call came to use."""
        if wire := self._opened.pop(local, None):
            wire.close()

    def start(self, key: str, media: MediaStarted, audio: Audio) -> None:
        """The call's sound begins to flow as `media` says, from and to the two ends that `audio` makes.

        Raises AudioError for a codec that is not there or a device that does not work, StateError where `media.local`
        was not opened.
        """
        self._expect_running()
        local = Address(*media.local)
        codec = codec_named(media.codec, media.clock_hz)
        if local not in self._opened:
            raise StateError(f"no ports are open at {local}; open() them first")
        source, sink = audio(codec.clock_hz)
        wire = self._opened.pop(local)
        voice = Voice(
            codec,
            media.payload_type,
            ssrc=self._ids.number(32),
            first_sequence=self._ids.number(16),
            first_timestamp=self._ids.number(32),
            cname=self._cname,
            ptime_ms=media.ptime_ms,
            receives=STATIC | {kind: codec_named(name) for kind, name in media.receives} | {media.payload_type: codec},
        )
        line = Line(voice, wire, media, source, sink, Random(self._ids.number(64)))
        self._calls.add(key)
        self._do(lambda: self._add(key, line))

    def change(self, key: str, media: MediaStarted) -> None:
        """A later offer and answer moved or turned the stream. A call without sound: nothing."""
        if key in self._calls:
            self._do(lambda: self._lines[key].turn(media))

    def play(self, key: str, path: Path, on_end: Callable[[], None] | None = None) -> None:
        """Sends a WAV file instead of the call's source; `on_end` is called (media thread) once it is through.

        Raises AudioError, and StateError where the call has no sound.
        """
        source = WavSource(path)
        self._expect_call(key)
        self._do(lambda: self._lines[key].play(source, on_end))

    def record(self, key: str, path: Path) -> None:
        """Writes what the far end says to a WAV file, from now on. Raises AudioError, and StateError as `play`."""
        self._expect_call(key)
        clock_hz = self._lines[key].voice.codec.clock_hz
        sink = WavSink(path, clock_hz)
        self._do(lambda: self._lines[key].record(sink))

    def figures(self, key: str) -> Measured | None:
        """The call's figures as they stand; None where it has no sound."""
        return self._do(lambda: self._lines[key].voice.figures()) if key in self._calls else None

    def stop(self, key: str) -> Measured | None:
        """Ends the call's sound and gives its ports back; its figures, None where it had none."""
        if key not in self._calls:
            return None
        self._calls.discard(key)
        return self._do(lambda: self._remove(key))

    def _expect_running(self) -> None:
        if self._thread is None:
            raise StateError("the media loop does not run; begin() it first")

    def _expect_call(self, key: str) -> None:
        self._expect_running()
        if key not in self._calls:
            raise StateError("this call has no sound now; wait until it is answered")

    def _do(self, act: Callable[[], T]) -> T:
        """Runs something in the media thread between two ticks and gives its result."""
        if threading.current_thread() is self._thread:
            return act()
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(act())
            except Exception as error:
                result.set_exception(error)

        self._commands.append(run)
        self._nudge.send(b"\0")
        return result.result()

    # In the media thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        tick_ns = time.monotonic_ns() + TICK_NS
        ticks = 0
        while not self._is_ending:
            self._wait_until(tick_ns)
            now_ns = time.monotonic_ns()
            for key, line in self._lines.items():
                if (held := line.wire.deadline) is not None and held * 1e9 <= now_ns:
                    self._guard(key, line.receive)
            if now_ns < tick_ns:
                continue
            tick_ns += TICK_NS if now_ns - tick_ns < MOST_BEHIND_NS else now_ns - tick_ns
            ticks += 1
            for number, (key, line) in enumerate(self._lines.items()):
                # Calls take turns, so that a hundred of them do not measure in one tick.
                is_measuring = (ticks + number) % TICKS_A_MEASUREMENT == 0
                self._guard(key, partial(self._tick, key, line, now_ns / 1e9, is_measuring))

    def _wait_until(self, tick_ns: int) -> None:
        """Serves sockets and commands until something happened or the tick is due."""
        left_ns = tick_ns - time.monotonic_ns()
        for line in self._lines.values():
            if (deadline := line.wire.deadline) is not None:
                left_ns = min(left_ns, int(deadline * 1e9) - time.monotonic_ns())
        whole_ms = left_ns // 1_000_000
        if whole_ms < 1:
            # A selector counts in milliseconds and rounds up; what is left is slept, then the sockets are looked at.
            time.sleep(max(0, left_ns) / 1e9)
            timeout_s = 0.0
        else:
            timeout_s = (whole_ms - 0.5) / 1e3
        for ready, _ in self._selector.select(timeout_s):
            ready.data()

    def _heed(self) -> None:
        """Commands came."""
        try:
            self._nudged.recv(4096)
        except BlockingIOError:
            return
        while self._commands:
            self._commands.popleft()()

    def _tick(self, key: str, line: Line, now: float, is_measuring: bool) -> None:
        line.tick(now)
        if is_measuring and self._on_measured:
            self._on_measured(key, line.voice.figures().as_json())

    def _guard(self, key: str, act: Callable[[], None]) -> None:
        """What fails in one call (a device, a callback) must not end the sound of the others; it is said once."""
        try:
            act()
        except Exception:
            if key not in self._failed:
                self._failed.add(key)
                _log.exception("the sound of call %s fails", key)

    def _add(self, key: str, line: Line) -> None:
        line.wire.receive()  # what came before the call stood cannot be in time
        for sock in (line.wire.rtp, line.wire.rtcp):
            self._selector.register(sock, selectors.EVENT_READ, partial(self._guard, key, line.receive))
        self._lines[key] = line

    def _remove(self, key: str) -> Measured:
        line = self._lines.pop(key)
        self._failed.discard(key)
        for sock in (line.wire.rtp, line.wire.rtcp):
            self._selector.unregister(sock)
        return line.close()

    def _end(self) -> None:
        self._is_ending = True
