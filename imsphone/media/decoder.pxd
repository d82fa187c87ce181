from imsphone.media.buffer cimport Waiting
from imsphone.media.comfort cimport Comfort

cdef class Decoder:
    cdef readonly int clock_hz
    cdef dict codecs
    cdef int kinds[128]
    cdef short *tables[128]

    cdef int samples_in(self, int payload_type, bytes payload)
    cdef bint is_noise(self, int payload_type) noexcept nogil
    cdef void decode(self, Waiting *waiting, int begin, short *out, Comfort comfort) noexcept nogil
    cdef void decode_foreign(self, Waiting *waiting, short *out) noexcept with gil
