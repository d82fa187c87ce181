"""Playing faster or slower without changing the voice: one pitch period is left out, or played twice.

    shorten   │─P─│─fade─│········▶      │fade│········▶        the sound P later fades in over the sound now
    lengthen  ···─P─│─fade─│······▶      the sound now fades into the sound P ago, which leads back to now

Both begin with the very next sample to be heard and end with a sample that continues as it did, so neither clicks. In a
pause, where nothing repeats but nothing is heard either, any shift will do; in speech only a good likeness is taken.
Source of the idea: Verhelst and Roelands, "An overlap-add technique based on waveform similarity (WSOLA)", 1993.
"""

from __future__ import annotations

import numpy as np

from imsphone.media.codecs.codec import Pcm
from imsphone.media.pitch import LONGEST_MS, SHORTEST_MS, pitch_of

ALIKE = 0.75
"""The likeness from which a period may be left out or repeated within speech."""
PAUSE_RMS = 100.0
"""Below this level (-50 dB of full scale) a block is a pause."""


def is_pause(pcm: Pcm) -> bool:
    """Whether nothing worth hearing is in it."""
    return bool(np.dot(pcm.astype(np.float32), pcm.astype(np.float32)) <= PAUSE_RMS**2 * pcm.size)


def shorten(pcm: Pcm, clock_hz: int, most: int) -> Pcm:
    """`pcm` (25 ms or more, to be heard next) without one period, at most `most` samples; unchanged where none fits."""
    window = clock_hz // 100
    shortest = int(clock_hz * SHORTEST_MS / 1000)
    longest = min(int(clock_hz * LONGEST_MS / 1000), most, pcm.size - window)
    if is_pause(pcm[: window + max(longest, 0)]):
        period = longest
        if period < 1:
            return pcm
    elif longest < shortest:
        return pcm
    else:
        # Turned around, the block's beginning is its end: the same search looks ahead instead of back.
        period, likeness = pitch_of(pcm[: window + longest][::-1], window, shortest, longest)
        if likeness < ALIKE:
            return pcm
    return np.concatenate((fade(pcm[:window], pcm[period : period + window]), pcm[period + window :]))


def lengthen(history: Pcm, pcm: Pcm, clock_hz: int) -> Pcm:
    """`pcm` (10 ms or more, to be heard next) with one period more; unchanged where none fits.

    `history` (15 ms or more) is what was heard just before.
    """
    window = clock_hz // 100
    shortest = int(clock_hz * SHORTEST_MS / 1000)
    longest = int(clock_hz * LONGEST_MS / 1000)
    both = np.concatenate((history[-(longest + window) :], pcm[:window]))
    period, likeness = pitch_of(both, window, shortest, longest)
    if likeness < ALIKE and not is_pause(both):
        return pcm
    again = both[both.size - window - period :]  # starts one period ago, ends where the block does
    return np.concatenate((fade(pcm[:window], again[:window]), again[window:], pcm[window:]))


def fade(old: Pcm, new: Pcm) -> Pcm:
    """A linear fade from one block to another of the same length."""
    weight = np.arange(1, old.size + 1, dtype=np.float32) / (old.size + 1)
    return (old + (new.astype(np.float32) - old) * weight).astype(np.int16)
