r"""What is heard where a packet is missing: the last pitch period again and again, quieter and quieter.

    heard        missing                                then the packet after it
    ──/\─/\─/\─┤ /\─/\─/\─/\ ··fades over 60 ms·· ┤ fade into the true sound ──▶

For 10 ms the ear is fooled entirely, up to 30 ms nearly, beyond 60 ms silence is better than a buzzing voice. After
ITU-T G.711 appendix I, with one difference: nothing is delayed for the fade at the beginning; the small step between
the last sample and the repeated period is instead spread over the first 2 ms.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imsphone.media.codecs.codec import Pcm
from imsphone.media.pitch import LONGEST_MS, SHORTEST_MS, pitch_of
from imsphone.media.stretch import fade

WHOLE_MS = 10
"""For so long the made-up sound keeps its level ..."""
FADED_MS = 60
"""... and by then it is gone."""


class Concealment:
    """One stretch of made-up sound after `history` (35 ms or more of what was heard last)."""

    def __init__(self, history: Pcm, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._made = 0
        longest = clock_hz * int(LONGEST_MS) // 1000
        period, likeness = pitch_of(history, clock_hz // 50, int(clock_hz * SHORTEST_MS / 1000), longest)
        if likeness < 0.5:  # a hiss has no period, and a short one would make it a tone
            period = longest
        sound = history.astype(np.float32)
        cycle = sound[-period:].copy()
        seam = period // 4
        weight = np.arange(1, seam + 1, dtype=np.float32) / (seam + 1)
        cycle[-seam:] += (sound[-period - seam : -period] - cycle[-seam:]) * weight
        self._cycle: npt.NDArray[np.float32] = cycle
        self._step = float(sound[-1] - sound[-period - 1])

    @property
    def made(self) -> int:
        """Samples made up so far."""
        return self._made

    def make(self, n: int) -> Pcm:
        """The next `n` samples."""
        at = np.arange(self._made, self._made + n)
        ms = at * (1000.0 / self._clock_hz)
        sound: npt.NDArray[np.float64] = self._cycle[at % self._cycle.size] + self._step * np.maximum(
            0.0, 1.0 - ms / 2.0
        )
        sound *= np.clip((FADED_MS - ms) / (FADED_MS - WHOLE_MS), 0.0, 1.0)
        self._made += n
        return sound.clip(-32768, 32767).astype(np.int16)

    def merge(self, pcm: Pcm) -> Pcm:
        """`pcm`, the true sound again, faded in: over 4 ms, and longer after a longer gap (appendix I: up to 10 ms)."""
        gap_ms = self._made * 1000 // self._clock_hz
        n = min(pcm.size, self._clock_hz * min(10, 4 + max(0, gap_ms - 10) * 4 // 10) // 1000)
        return np.concatenate((fade(self.make(n), pcm[:n]), pcm[n:]))
