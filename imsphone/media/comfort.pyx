"""The sound of nobody speaking: what a pause sounds like, and how to tell one.

    heard      speech ▓▓▓▓░░▓▓▓  pause ░░░░   speech        level of a block
                                 └─ kept ─┘                 ── loudest, sinking by 0.4 dB/s
    not there                ░·░·░ ·░ ░··░ made of it       ── background: the least, rising by 1.3 dB/s

Where made-up speech has faded, or the peer sends nothing because nobody speaks, a dead line would make the listener ask
"hello?". So the quietest 20 ms heard lately are kept and played in grains of 5 ms from random places, faded into each
other: their spectrum without their period. A peer that describes its noise (RFC 3389: level in -dBov, then reflection
coefficients of an all-pole filter) gets exactly that. Randomness is a counter, so that runs repeat bit by bit.

A block is a pause when it lies 34 dB below the loudest, or within 6 dB of the background. Levels are mean squares of
samples.
"""

from imsphone.media.pcm cimport samples_in

from libc.math cimport sqrt
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

import numpy as np

cdef float SINKS = 0.999, RISES = 1.003  # a pull: 0.4 dB/s and 1.3 dB/s
cdef float BELOW_LOUDEST = 0.0004, ABOVE_BACKGROUND = 4.0  # -34 dB, 6 dB
# An idle line of G.711 wavers by a step or two (8 on 16 bits): that is silence, whatever came before.
cdef float IDLE = 64.0


cdef class Comfort:
    """The noise behind one voice."""

    def __init__(self, int clock_hz):
        self.clock_hz = clock_hz
        self.grain = clock_hz // 200
        self.kept = min(4 * self.grain, MOST_QUIET)
        self.background, self.loudest, self.gain = 1e9, 0, 0
        self.seed = 1
        self.filled = self.at = self.here = self.there = self.order = 0
        self.is_described = self.has_quiet = False
        memset(self.quiet, 0, sizeof(self.quiet))

    def heard(self, pcm):
        """True sound was played, 10 ms at a time."""
        sound = np.ascontiguousarray(pcm, np.int16)
        self.listen(samples_in(sound), sound.size)

    def pauses_in(self, pcm):
        """Whether nobody speaks in it."""
        sound = np.ascontiguousarray(pcm, np.int16)
        return self.is_pause(samples_in(sound), sound.size)

    def described(self, bytes payload not None):
        """The peer sent the payload of RFC 3389."""
        self.describe(payload, len(payload))

    def made(self, int n):
        """The next `n` samples of noise."""
        sound = np.zeros(n, np.int16)
        self.make(samples_in(sound), n)
        return sound

    cdef void listen(self, const short *pcm, int n) noexcept nogil:
        cdef float level = _level(pcm, n)
        self.loudest = max(level, self.loudest * SINKS)
        self.background = min(level, (self.background if self.background > 1 else 1) * RISES)
        if level > 2 * self.background or level >= 0.01 * self.loudest or n > self.kept:
            self.filled = 0
            return
        # Quiet from here to there: kept once it is long enough.
        memcpy(self.quiet + self.filled, pcm, min(n, self.kept - self.filled) * sizeof(short))
        self.filled += min(n, self.kept - self.filled)
        if self.filled == self.kept:
            self.filled = 0
            self.has_quiet = True
            self.is_described = False

    cdef bint is_pause(self, const short *pcm, int n) noexcept nogil:
        cdef float level = _level(pcm, n)
        return level <= IDLE or level <= BELOW_LOUDEST * self.loudest or (
            level <= ABOVE_BACKGROUND * self.background and level < 0.01 * self.loudest)

    cdef void describe(self, const unsigned char *data, int size) noexcept nogil:
        cdef int i, level
        cdef float left = 1, decibel
        if size < 1:
            return
        level = data[0] & 0x7F
        self.order = min(size - 1, MOST_ORDER)
        self.gain = 32768.0
        decibel = <float> 0.8912509  # -1 dB
        for i in range(level):
            self.gain *= decibel
        for i in range(self.order):
            # RFC 3389 3.2: quantized to 8 bits, 127 is zero
            self.reflection[i] = (data[i + 1] - <float> 127) / 128
            left *= 1 - self.reflection[i] * self.reflection[i]
        self.gain *= <float> sqrt(max(left, <float> 1e-6))
        memset(self.backward, 0, sizeof(self.backward))
        self.is_described = True

    cdef void make(self, short *out, int n) noexcept nogil:
        cdef int i, k
        cdef float forward, weight
        if self.is_described:
            for i in range(n):
                # White noise of the wanted power: uniform, so its peak is sqrt(3) of its level.
                forward = (<float> _next(&self.seed) / 32768 - 1) * <float> 1.7320508 * self.gain
                for k in range(self.order - 1, -1, -1):  # all-pole lattice
                    forward -= self.reflection[k] * self.backward[k]
                    self.backward[k + 1] = self.backward[k] + self.reflection[k] * forward
                self.backward[0] = forward
                out[i] = <short> min(max(forward, <float> -32768), <float> 32767)
        elif self.has_quiet:
            for i in range(n):
                if self.at == 0:
                    self.here = self.there
                    self.there = _next(&self.seed) % (self.kept - 2 * self.grain)
                weight = <float> self.at / self.grain
                # Fading uncorrelated sound keeps its power by square roots.
                out[i] = <short> (self.quiet[self.here + self.grain + self.at] * sqrt(1 - weight)
                                  + self.quiet[self.there + self.at] * sqrt(weight))
                self.at = (self.at + 1) % self.grain
        else:
            memset(out, 0, n * sizeof(short))


cdef float _level(const short *pcm, int n) noexcept nogil:
    cdef int64_t total = 0
    cdef int i
    for i in range(n):
        total += <int> pcm[i] * pcm[i]
    return <float> total / max(n, 1)


cdef int _next(unsigned int *seed) noexcept nogil:
    """0 ... 65,535, by the linear congruential generator of Numerical Recipes."""
    seed[0] = seed[0] * <unsigned int> 1664525 + <unsigned int> 1013904223
    return seed[0] >> 16
