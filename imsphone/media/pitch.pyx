r"""The pitch period: the shift at which a piece of sound looks most like its surroundings.

    ··· /\  /\  /\  /\  /\ |          speech is nearly periodic for tens of milliseconds, so a period can be
          └──P──┘└──P──┘              repeated, left out or appended, and hardly anybody hears it

The measure is the normalized cross-correlation over shifts of 2.5 to 15 ms (400 to 66 Hz: every voice). It is looked for
twice: over all shifts at about 4 kHz, where voices have their pitch and a sixteenth of the work is left, then around the
best at the full rate. Periods and windows are in samples.
"""

from imsphone.media.pcm cimport samples_in

from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.string cimport memset

import numpy as np

cdef enum:
    COARSE_HZ = 4000
    MOST_COARSE = 512

SHORTEST_MS, LONGEST_MS = 2.5, 15.0


def pitch_of(pcm, int window, int shortest, int longest, int clock_hz):
    """The shift between `shortest` and `longest` at which the last `window` samples repeat best, and how well.

    Likeness: 1 the same, 0 nothing in common. Needs `window + longest` samples. Silence repeats perfectly.
    """
    cdef Pitch pitch
    sound = np.ascontiguousarray(pcm, np.int16)
    cdef int n = sound.size
    if shortest < 1 or longest < shortest or window * 1000 < clock_hz or n < window + longest:
        raise ValueError(f"{window} + {longest} samples are needed to look for a pitch, not {n}")
    pitch = find(samples_in(sound) + n - window, -1, window, shortest, longest, clock_hz, 0.0)
    return pitch.period, pitch.likeness


cdef Pitch find(const short *pcm, int direction, int window, int shortest, int longest, int clock_hz,
                float favour) noexcept nogil:
    """The shift at which `pcm[:window]` is most like what lies that much later (direction 1) or earlier (-1).

    `favour` is the likeness that the longest shift may lack against the shortest one.
    """
    cdef int factor = max(1, clock_hz // COARSE_HZ)
    cdef float low[MOST_COARSE]
    cdef int reach, size, own, first, last, shift, best, i, j
    cdef const short *region
    cdef int total
    cdef float score, best_score, mine, its
    cdef const float *other
    cdef Pitch pitch
    while (window + longest) // factor + 2 > MOST_COARSE:
        factor += 1
    reach = (longest + factor - 1) // factor
    size = reach + max(1, window // factor)
    region = pcm if direction > 0 else pcm - reach * factor
    # What lies beyond `longest` may not be ours to read.
    memset(low, 0, sizeof(low))
    first = 0 if direction > 0 else reach * factor - longest
    last = window + longest if direction > 0 else size * factor
    for i in range(size):
        total = 0
        for j in range(max(i * factor, first), min(i * factor + factor, last)):
            total += region[j]
        low[i] = total
    own = 0 if direction > 0 else reach
    best, best_score, size = shortest // factor, -2.0, size - reach
    first = max(1, shortest // factor)
    mine = _product(&low[own], &low[own], size) + 1
    its = _product(&low[own + direction * first], &low[own + direction * first], size) + 1
    for shift in range(first, longest // factor + 1):
        other = &low[own + direction * shift]
        if shift > first:  # the window moved on by one
            its += other[size - 1] * other[size - 1] - (other - 1)[0] * (other - 1)[0] if direction > 0 else (
                other[0] * other[0] - other[size] * other[size])
        score = (_product(&low[own], other, size) + 1) / sqrt(mine * max(its, <float> 1)) + favour * shift / reach
        if score > best_score:
            best, best_score = shift, score
    first, last = max(shortest, best * factor - factor), min(longest, best * factor + factor)
    pitch.period, pitch.likeness = min(max(best * factor, shortest), longest), -1.0
    for shift in range(first, last + 1):
        score = _likeness_of_pcm(pcm, pcm + direction * shift, window)
        if score > pitch.likeness:
            pitch.period, pitch.likeness = shift, score
    return pitch


cdef float _product(const float *one, const float *other, int n) noexcept nogil:
    """The sum of the products, in four lanes so that additions need not wait for each other."""
    cdef float product[4]
    cdef int i, k
    for k in range(4):
        product[k] = 0
    for i in range(0, n - 3, 4):
        for k in range(4):
            product[k] += one[i + k] * other[i + k]
    for i in range(n - n % 4, n):
        product[0] += one[i] * other[i]
    return product[0] + product[1] + product[2] + product[3]


cdef float _likeness_of_pcm(const short *one, const short *other, int n) noexcept nogil:
    cdef int64_t product = 1, own = 1, its = 1
    cdef int i
    for i in range(n):
        product += <int> one[i] * other[i]
        own += <int> one[i] * one[i]
        its += <int> other[i] * other[i]
    return <float> product / sqrt(<float> own * <float> its)
