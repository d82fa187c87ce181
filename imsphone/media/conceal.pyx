r"""What is heard where a packet is missing: the last pitch periods again and again, quieter and quieter.

    heard          missing                                          then the packet after it
    ──/\─/\─/\─┤ /\─/\─ /\'/\"/\'/\" ··fades, noise comes up·· ┤ aligned, fade into the true sound ──▶
                 10 ms  10 ms 2 periods, then 3                  └─ up to one period of it left out

For 20 ms, one packet, the ear is fooled, up to 40 ms nearly, beyond 100 ms the sound of nobody speaking is better than a
buzzing voice. One period again and again would buzz, so after 10 ms two different ones are played in turn and after
20 ms three (ITU-T G.711 appendix I). Unlike there nothing is delayed for the fade at the beginning; the small step
between the last sample and the repeated period is instead spread over the first 2 ms.

When true sound comes back, it hardly ever comes in phase. Where the delay allows it, up to a period of it is left out,
so that it continues the made-up one (merge by correlation, as WebRTC's NetEQ does), and both are faded: over 4 ms, and
over more after a longer gap (appendix I: up to 10 ms). Lengths in samples.
"""

from imsphone.media.comfort cimport Comfort
from imsphone.media.pcm cimport samples_in
from imsphone.media.pitch cimport Pitch, find
from imsphone.media.stretch cimport fade

from libc.math cimport sqrt
from libc.string cimport memmove

import numpy as np

HISTORY_MS = 65
"""How much of what was heard before is looked at."""

cdef int TURN_MS = 10  # after so long, and again after as much, one more period is played in turn
cdef int WHOLE_MS = 20  # for so long the made-up sound keeps its level ...
cdef int FADED_MS = 100  # ... and by then it is gone
cdef float VOICED = 0.5  # a hiss has no period, and a short one would make it a tone


cdef class Concealment:
    """Made-up sound, one gap after another."""

    def __init__(self, int clock_hz, Comfort comfort not None):
        self.clock_hz = clock_hz
        self.comfort = comfort
        self.is_active = False
        self.made = 0

    def begins(self, history):
        """A gap begins after `history` (`HISTORY_MS` or more of what was heard last)."""
        sound = np.ascontiguousarray(history, np.int16)
        if sound.size * 1000 < HISTORY_MS * self.clock_hz:
            raise ValueError(f"{HISTORY_MS} ms of history are needed")
        self.begin(samples_in(sound) + <int> sound.size)

    def makes(self, int n):
        """The next `n` samples."""
        sound = np.zeros(n, np.int16)
        self.make(samples_in(sound), n)
        return sound

    def merges(self, pcm, int most=0):
        """`pcm`, the true sound again, without at most `most` samples of its beginning, faded in; the gap ends."""
        sound = np.array(pcm, np.int16)
        return sound[: sound.size - self.merge(samples_in(sound), sound.size, most)]

    cdef void begin(self, const short *end) noexcept nogil:
        """A gap begins; what was heard last ends at `end`."""
        cdef int longest = self.clock_hz * 15 // 1000, window = self.clock_hz // 50, size, i, k
        cdef Pitch pitch = find(end - window, -1, window, self.clock_hz // 400, longest, self.clock_hz, 0.0)
        cdef float weight
        self.period = pitch.period if pitch.likeness >= VOICED else longest
        self.seam = max(1, self.period // 4)
        for k in range(3):
            size = (k + 1) * self.period
            for i in range(size):
                self.cycle[k][i] = end[i - size]
            for i in range(self.seam):  # its end leads to its beginning
                weight = <float> (i + 1) / (self.seam + 1)
                self.cycle[k][size - self.seam + i] += (
                    end[i - size - self.seam] - self.cycle[k][size - self.seam + i]) * weight
        self.step = (end - 1)[0] - (end - 1 - self.period)[0]
        self.made = self.at = self.old_at = 0
        self.cycles = self.old_cycles = 1
        self.since = self.seam
        self.is_active = True

    cdef void make(self, short *out, int n) noexcept nogil:
        cdef int i, done = 0, part, whole = self.clock_hz * WHOLE_MS // 1000, faded = self.clock_hz * FADED_MS // 1000
        cdef int soft = self.clock_hz // 500, turn = self.clock_hz * TURN_MS // 1000
        cdef float value, gain, weight
        while done < n:
            part = min(n - done, MOST_FADE)
            if self.made + part > whole:
                self.comfort.make(self.noise, part)
            for i in range(part):
                if self.made == turn or self.made == 2 * turn:
                    # One period more in turn; it begins where this one is, one period earlier, and is faded in.
                    self.old_cycles, self.old_at = self.cycles, self.at
                    self.cycles += 1
                    self.since = 0
                value = self.cycle[self.cycles - 1][self.at]
                if self.since < self.seam:
                    weight = <float> (self.since + 1) / (self.seam + 1)
                    value = self.cycle[self.old_cycles - 1][self.old_at] * (1 - weight) + value * weight
                    self.old_at = (self.old_at + 1) % (self.old_cycles * self.period)
                    self.since += 1
                self.at = (self.at + 1) % (self.cycles * self.period)
                if self.made < soft:
                    value += self.step * (1 - <float> self.made / soft)
                if self.made > whole:
                    gain = max(<float> 0, <float> (faded - self.made) / (faded - whole))
                    value = value * gain + self.noise[i] * sqrt(1 - gain)
                self.made += 1
                out[done + i] = <short> min(max(value, <float> -32768), <float> 32767)
            done += part

    cdef int merge(self, short *pcm, int n, int most) noexcept nogil:
        """Fades `pcm[:n]` in, in place; how many samples of its beginning were left out. The gap ends."""
        cdef int gap_ms = self.made * 1000 // self.clock_hz
        cdef int size = self.clock_hz * min(10, 4 + max(0, gap_ms - 10) * 4 // 10) // 1000
        cdef short made[MOST_FADE]
        cdef int skip = 0, i, shift
        cdef float product, its, score, best
        size = min(min(size, n), MOST_FADE)
        self.make(made, size)
        self.is_active = False
        if gap_ms < FADED_MS:
            most = min(min(most, self.period), n - size)
            best = 0
            for shift in range(most + 1):
                product, its = 0, 1
                for i in range(0, size, 2):
                    product += <float> made[i] * pcm[shift + i]
                    its += <float> pcm[shift + i] * pcm[shift + i]
                score = product / sqrt(its)
                if score > best:
                    skip, best = shift, score
        fade(pcm, made, pcm + skip, size)
        if skip:
            memmove(pcm + size, pcm + size + skip, (n - size - skip) * sizeof(short))
        return skip

    cdef void stop(self) noexcept nogil:
        self.is_active = False
