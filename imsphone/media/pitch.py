r"""The pitch period: the shift at which a piece of sound looks most like what came before it.

    ··· /\  /\  /\  /\  /\ |          speech is nearly periodic for tens of milliseconds, so a period can be
          └──P──┘└──P──┘              repeated, left out or appended, and hardly anybody hears it

The measure is the normalized cross-correlation over shifts of 2.5 to 15 ms (400 to 66 Hz: every voice).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from imsphone.media.codecs.codec import Pcm

SHORTEST_MS, LONGEST_MS = 2.5, 15.0


class Pitch(NamedTuple):
    """A period in samples, and how alike one period is to the next: 1 the same, 0 nothing in common."""

    period: int
    likeness: float


def pitch_of(pcm: Pcm, window: int, shortest: int, longest: int) -> Pitch:
    """The shift between `shortest` and `longest` at which the last `window` samples repeat best.

    Needs `window + longest` samples. Silence repeats perfectly at the longest shift.
    """
    sound = pcm[-(window + longest) :].astype(np.float32)
    tail = sound[longest:]
    # correlate()[k] is the shift longest - k.
    products = np.correlate(sound[: window + longest - shortest], tail, "valid")
    energy = np.concatenate(([0.0], np.cumsum(sound * sound, dtype=np.float64)))
    count = longest - shortest + 1
    energies = energy[window : window + count] - energy[:count]
    own = energy[-1] - energy[longest]
    likeness = (products + 1.0) / np.sqrt((energies + 1.0) * (own + 1.0))
    best = int(np.argmax(likeness))
    return Pitch(longest - best, min(1.0, float(likeness[best])))
