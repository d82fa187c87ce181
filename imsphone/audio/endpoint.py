"""Where a call's sound comes from and where it goes: every source and sink of this folder looks like this.

    Source ──read──▶ encode ▶ RTP ──▶ … ──▶ RTP ▶ playout ──write──▶ Sink

The media thread calls both every 10 ms, so neither may wait. Each has its own sampling rate; `Intake` and `Outlet`
bring it to the codec's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from imsphone.media.codecs.codec import Pcm
from imsphone.media.resample import Resampler


class Source(Protocol):
    """Something that sounds."""

    @property
    def clock_hz(self) -> int:
        """Samples a second."""

    @property
    def has_ended(self) -> bool:
        """Whether only silence follows."""

    def read(self, n: int) -> Pcm:
        """The next `n` samples, always; silence where there are none."""

    def close(self) -> None:
        """No more is wanted."""


class Sink(Protocol):
    """Something that listens."""

    @property
    def clock_hz(self) -> int:
        """Samples a second."""

    @property
    def blocks_due(self) -> int:
        """How many blocks of 10 ms it takes now: 1, but for what runs on a clock of its own."""

    def write(self, pcm: Pcm) -> None:
        """The next samples."""

    def close(self) -> None:
        """No more follows."""


Audio = Callable[[int], tuple[Source, Sink]]
"""Makes the two ends of a call's sound; it is told the codec's rate, so that it can choose the same."""


class Intake:
    """A source at the codec's rate, in blocks of 10 ms."""

    def __init__(self, source: Source, clock_hz: int) -> None:
        self.source = source
        self._samples = source.clock_hz // 100
        self._resampler = Resampler(source.clock_hz, clock_hz)

    def read(self) -> Pcm:
        """10 ms."""
        return self._resampler.feed(self.source.read(self._samples))


class Outlet:
    """A sink at the codec's rate."""

    def __init__(self, sink: Sink, clock_hz: int) -> None:
        self.sink = sink
        self._resampler = Resampler(clock_hz, sink.clock_hz)

    def write(self, pcm: Pcm) -> None:
        """10 ms."""
        self.sink.write(self._resampler.feed(pcm))
