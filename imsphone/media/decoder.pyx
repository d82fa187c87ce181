"""From payloads to samples, without the interpreter where it can be.

    payload type ──▶ TABLE     G.711: a look-up for each octet
                     LINEAR    L16: two octets swapped
                     NOISE     RFC 3389: ten milliseconds of the noise that it describes
                     FOREIGN   any other codec, written in Python: it takes the interpreter's lock for its call
                     UNKNOWN   nobody agreed on it: no sound

Which of them a payload type is, is settled once, when the stream is set up. Payloads come from the peer: what is wrong
with them makes silence, never an error.
"""

from imsphone.media.buffer cimport Waiting
from imsphone.media.comfort cimport Comfort
from imsphone.media.pcm cimport samples_in

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, memset

import sys

import numpy as np

COMFORT_NOISE = 13
"""The static payload type of RFC 3389."""

cdef enum:
    UNKNOWN, TABLE, LINEAR, FOREIGN, NOISE

cdef int MOST_SAMPLES = 1 << 20


cdef class Decoder:
    """The codecs of one stream, by payload type; all share one clock. Raises ValueError where it cannot be played."""

    def __cinit__(self, codecs):
        cdef int payload_type
        self.codecs = dict(codecs)
        self.clock_hz = next(iter(self.codecs.values())).clock_hz
        if not 8000 <= self.clock_hz <= 48000 or self.clock_hz % 4000:
            raise ValueError(f"a clock of {self.clock_hz} Hz cannot be played; 8,000, 16,000 and 48,000 Hz can")
        self.kinds[COMFORT_NOISE] = NOISE
        for payload_type, codec in self.codecs.items():
            payload_type &= 127
            self.kinds[payload_type] = FOREIGN
            if codec.name in ("PCMU", "PCMA"):
                self.tables[payload_type] = <short *> malloc(256 * sizeof(short))
                if self.tables[payload_type] == NULL:
                    raise MemoryError
                table = np.ascontiguousarray(codec.decode(bytes(range(256))), np.int16)
                memcpy(self.tables[payload_type], samples_in(table), 256 * sizeof(short))
                self.kinds[payload_type] = TABLE
            elif codec.name == "L16" and sys.byteorder == "little":
                self.kinds[payload_type] = LINEAR

    def __dealloc__(self):
        cdef int i
        for i in range(128):
            free(self.tables[i])

    def samples_of(self, payload_type, bytes payload not None):
        """How long a payload sounds, in samples; 0 where it does not."""
        return self.samples_in(payload_type & 127, payload)

    def decoded(self, payload_type, bytes payload not None, int begin=0):
        """The samples of a payload from `begin` on."""
        cdef Waiting waiting
        cdef const unsigned char *data = payload
        memset(&waiting, 0, sizeof(waiting))
        waiting.payload_type, waiting.size = payload_type & 127, <int> len(payload)
        waiting.data = <unsigned char *> data
        waiting.samples = self.samples_in(waiting.payload_type, payload)
        sound = np.zeros(waiting.samples, np.int16)
        if begin < waiting.samples:
            self.decode(&waiting, begin, samples_in(sound), Comfort(self.clock_hz))
        return sound[: max(0, waiting.samples - begin)]

    cdef int samples_in(self, int payload_type, bytes payload):
        cdef int kind = self.kinds[payload_type], size = <int> min(len(payload), MOST_SAMPLES)
        if kind == TABLE:
            return size
        if kind == LINEAR:
            return size // 2
        if kind == FOREIGN:
            return min(max(self.codecs[payload_type].samples_in(payload), 0), MOST_SAMPLES)
        return self.clock_hz // 100 if kind == NOISE and size else 0

    cdef bint is_noise(self, int payload_type) noexcept nogil:
        return self.kinds[payload_type] == NOISE

    cdef void decode(self, Waiting *waiting, int begin, short *out, Comfort comfort) noexcept nogil:
        """The samples from `begin` on; there must be room for all of the packet's."""
        cdef int kind = self.kinds[waiting.payload_type], n = waiting.samples - begin, i
        cdef const unsigned char *data = waiting.data + begin
        cdef const unsigned short *words = <const unsigned short *> waiting.data + begin
        cdef const short *table = self.tables[waiting.payload_type]
        if kind == TABLE:
            for i in range(n):
                out[i] = table[data[i]]
        elif kind == LINEAR:
            for i in range(n):
                out[i] = <short> (words[i] << 8 | words[i] >> 8)
        elif kind == FOREIGN:
            self.decode_foreign(waiting, out)
            memmove(out, out + begin, n * sizeof(short))
        else:
            comfort.describe(waiting.data, waiting.size)
            comfort.make(out, n)

    cdef void decode_foreign(self, Waiting *waiting, short *out) noexcept with gil:
        """All samples by a codec written in Python; silence where it gives less."""
        pcm = np.ascontiguousarray(
            self.codecs[waiting.payload_type].decode(<bytes> waiting.data[:waiting.size]), np.int16)
        cdef int n = min(<int> pcm.size, waiting.samples)
        memcpy(out, samples_in(pcm), n * sizeof(short))
        memset(out + n, 0, (waiting.samples - n) * sizeof(short))
