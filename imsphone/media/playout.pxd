from imsphone.media.arrival cimport Arrivals
from imsphone.media.buffer cimport PacketBuffer, Waiting
from imsphone.media.bursts cimport Bursts
from imsphone.media.comfort cimport Comfort
from imsphone.media.conceal cimport Concealment
from imsphone.media.counts cimport Counts
from imsphone.media.decision cimport Pace
from imsphone.media.decoder cimport Decoder
from imsphone.media.delay cimport Delays, Target
from imsphone.media.journal cimport Journal
from imsphone.media.numbers cimport Numbers

from libc.stdint cimport int64_t

cdef class Playout:
    cdef readonly int clock_hz
    cdef readonly Counts counts
    cdef readonly Delays delays
    cdef readonly Bursts bursts
    cdef readonly Arrivals arrivals
    cdef readonly bint is_counting
    cdef public double minimum_ms, maximum_ms, offset_ms
    cdef readonly int made
    cdef Decoder decoder
    cdef Numbers numbers
    cdef PacketBuffer packets
    cdef Target target
    cdef Pace pace
    cdef Comfort comfort
    cdef Concealment concealment
    cdef object stranger
    cdef short *line
    cdef int room, begin, unplayed, block, history
    cdef bint has_next, has_last, is_playing, has_played, is_resting, is_stale, is_hoping
    cdef double hope
    cdef int64_t last_sequence, next, held
    cdef Journal journal

    cdef void _insert(self, int payload_type, int sequence, unsigned int timestamp, int samples,
                      const unsigned char *data, int size, int64_t arrival_ns) noexcept nogil
    cdef void _pull(self, short *out) noexcept nogil
    cdef void _begin(self) noexcept nogil
    cdef void _stretch(self) noexcept nogil
    cdef void _supply(self) noexcept nogil
    cdef void _continue(self, Waiting *waiting) noexcept nogil
    cdef void _decode(self, Waiting *waiting) noexcept nogil
    cdef void _decode_ahead(self, int samples) noexcept nogil
    cdef void _make_up(self, int n, bint is_loss) noexcept nogil
    cdef void _aim(self) noexcept nogil
    cdef double _ms(self, int64_t timestamp) noexcept nogil
    cdef double _delay_ms(self) noexcept nogil
