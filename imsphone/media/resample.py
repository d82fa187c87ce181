"""From one sampling rate to another: 8, 16 and 48 kHz, and whatever lies in small whole ratios to them.

    8 kHz    ·   ·   ·   ·        up by L, low-pass, down by M; of the long filter each output needs only every
    16 kHz   · · · · · · · ·      L-th tap (its *phase*), and the zeroes in between are never multiplied

The filter is a sinc under a Kaiser window, 32 periods of the lower rate long. At 8 kHz it is flat to 3.2 kHz, 3 dB down
at 3.7 kHz, 60 dB from 4.4 kHz on, and takes 2 ms.
"""

from __future__ import annotations

from math import gcd

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from imsphone.errors import AudioError
from imsphone.media.codecs.codec import Pcm

Samples = npt.NDArray[np.float32]

PERIODS = 32
CUTOFF = 0.48
"""Of the lower rate: half the transition below its Nyquist frequency."""
MOST_PHASES = 480


class Resampler:
    """A stream from `from_hz` to `to_hz`; blocks of any size go in, and what they amount to comes out."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        common = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // common, from_hz // common
        if max(self._up, self._down) > MOST_PHASES:
            raise AudioError(f"{from_hz} Hz and {to_hz} Hz have no small ratio; use 8,000, 16,000 or 48,000 Hz")
        widest = max(self._up, self._down)
        taps = PERIODS * widest
        taps += -taps % self._up
        at = (np.arange(taps) - taps // 2) / widest
        kernel = 2 * CUTOFF * np.sinc(2 * CUTOFF * at) * np.kaiser(taps + 1, 6.0)[:taps]
        kernel *= self._up / kernel.sum()
        # Row p holds the taps of phase p, the newest sample last, as it lies in the buffer.
        self._phases = kernel.reshape(-1, self._up).T[:, ::-1].astype(np.float32).copy()
        self._past = np.zeros(self._phases.shape[1] - 1, np.float32)
        self._at = 0
        self.delay = taps // 2 / self._down
        """Of the filter, in output samples."""

    def feed(self, pcm: Pcm) -> Pcm:
        """The output that `pcm` makes possible; the same number each time where the sizes divide."""
        if self._up == self._down:
            return pcm
        sound = np.concatenate((self._past, pcm.astype(np.float32)))
        at = np.arange(self._at, pcm.size * self._up, self._down)
        self._at = self._at + at.size * self._down - pcm.size * self._up
        self._past = sound[sound.size - self._past.size :]
        if not at.size:
            return np.zeros(0, np.int16)
        windows = sliding_window_view(sound, self._phases.shape[1])[at // self._up]
        out: Samples = np.einsum("ij,ij->i", windows, self._phases[at % self._up])
        return np.rint(out).clip(-32768, 32767).astype(np.int16)


def resample(pcm: Pcm, from_hz: int, to_hz: int) -> Pcm:
    """A whole recording at another rate, nothing delayed."""
    if from_hz == to_hz:
        return pcm
    stream = Resampler(from_hz, to_hz)
    delay = round(stream.delay)
    flush = np.zeros(delay * from_hz // to_hz + 2, np.int16)
    return stream.feed(np.concatenate((pcm, flush)))[delay : delay + round(pcm.size * to_hz / from_hz)]
