"""Playing faster or slower without changing the voice: one pitch period is left out, or played twice.

    shorten   │─P─│─fade─│········▶      │fade│········▶        the sound P later fades in over the sound now
    lengthen  ···─P─│─fade─│······▶      the sound now fades into the sound P ago, which leads back to now

Both begin with the very next sample to be heard and end with a sample that continues as it did, so neither clicks. In a
pause, where nothing repeats but nothing is heard either, the best shift will do, whatever it is worth. In speech it
must be a good likeness; but a hiss (s, f), which is like nothing, has no period that could be heard to be wrong. Where
sound is about to run out, anything real is better than what would be made up instead.
Source of the idea: Verhelst and Roelands, "An overlap-add technique based on waveform similarity (WSOLA)", 1993.
Lengths in samples.
"""

from imsphone.media.pcm cimport samples_in
from imsphone.media.pitch cimport Pitch, find

from libc.string cimport memcpy, memmove

import numpy as np

cdef enum:
    MOST_WINDOW = 2048

# Two periods so alike differ by -5 dB of their level: the fade hides that much.
cdef float ALIKE = 0.9
# Below this there is no voice in the window, and any shift sounds as good as another.
cdef float HISS = 0.35
# Lengthening is rationed by the change, not by the sample, so of two likely periods the longer one is wanted.
cdef float LONGER = 0.1


def shortened(pcm, int clock_hz, int most, bint is_pause=False):
    """`pcm` (25 ms or more, to be heard next) without one period, at most `most` samples; the same where none fits."""
    sound = np.array(pcm, np.int16)
    return sound[: sound.size - shorten(samples_in(sound), sound.size, clock_hz, most, is_pause)]


def lengthened(history, pcm, int clock_hz, int most, bint is_pause=False,
               bint is_urgent=False):
    """`pcm` (to be heard next) with one period more, at most `most` samples; the same where none fits.

    `history` (`most` samples or more) is what was heard just before.
    """
    if history.size < most:
        raise ValueError(f"{most} samples of history are needed, not {history.size}")
    sound = np.concatenate((history, pcm, np.zeros(max(0, most), np.int16))).astype(np.int16)
    cdef int begin = history.size, n = pcm.size
    return sound[begin : begin + n + lengthen(samples_in(sound) + begin, n, clock_hz, most, is_pause, is_urgent)]


cdef int shorten(short *pcm, int n, int clock_hz, int most, bint is_pause) noexcept nogil:
    """Takes a period out of `pcm[:n]` at its beginning; how long it was, 0 where none fits."""
    cdef int window = clock_hz // 100, shortest = clock_hz // 400
    cdef int longest = min(min(clock_hz * 15 // 1000, most), n - window)
    cdef Pitch pitch
    if longest < (1 if is_pause else shortest):
        return 0
    pitch = find(pcm, 1, window, min(shortest, longest), longest, clock_hz, LONGER)
    if is_pause and pitch.likeness < ALIKE:
        pitch.period = longest
    elif not is_pause and not _fits(pitch.likeness, longest, clock_hz):
        return 0
    fade(pcm, pcm, pcm + pitch.period, window)
    memmove(pcm + window, pcm + pitch.period + window, (n - pitch.period - window) * sizeof(short))
    return pitch.period


cdef int lengthen(short *pcm, int n, int clock_hz, int most, bint is_pause, bint is_urgent) noexcept nogil:
    """Puts a period into `pcm[:n]` at its beginning; how long it is, 0 where none fits.

    There must be `most` samples before `pcm`, and room for as many behind `pcm[:n]`.
    """
    cdef short faded[MOST_WINDOW]
    cdef int window = min(min(clock_hz // 100, n), MOST_WINDOW), shortest = clock_hz // 400
    cdef int longest = min(clock_hz * 15 // 1000, most)
    cdef Pitch pitch
    if longest < shortest or window < clock_hz // 250:
        return 0
    pitch = find(pcm, -1, window, shortest, longest, clock_hz, LONGER)
    if is_pause and pitch.likeness < ALIKE:
        pitch.period = longest
    elif not is_pause and not is_urgent and not _fits(pitch.likeness, longest, clock_hz):
        return 0
    fade(faded, pcm, pcm - pitch.period, window)
    memmove(pcm + window, pcm + window - pitch.period, (n - window + pitch.period) * sizeof(short))
    memcpy(pcm, faded, window * sizeof(short))
    return pitch.period


cdef void fade(short *out, const short *old, const short *new, int n) noexcept nogil:
    """A linear fade from `old` to `new`; `out` may be either."""
    cdef int i
    cdef float step = <float> 1.0 / (n + 1), weight = 0
    for i in range(n):
        weight += step
        out[i] = <short> (old[i] + (new[i] - old[i]) * weight)


cdef bint _fits(float likeness, int longest, int clock_hz) noexcept nogil:
    """Whether a period may go or come within speech; nothing is a hiss that was not looked at over every period."""
    return likeness >= ALIKE or (likeness <= HISS and longest * 100 >= clock_hz)
