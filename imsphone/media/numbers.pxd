from libc.stdint cimport int64_t

cdef enum:
    REMEMBERED = 1024

cdef class Numbers:
    cdef readonly bint has_begun
    cdef readonly unsigned int ssrc
    cdef readonly int64_t first_timestamp, timestamp, sequence
    cdef int64_t farthest, highest_timestamp, highest_sequence
    cdef int64_t seen[REMEMBERED]

    cdef bint belongs(self, unsigned int ssrc, unsigned int timestamp, int sequence, bint was_silent) noexcept nogil
    cdef bint note(self, unsigned int timestamp, int sequence) noexcept nogil
    cdef int missing(self, int64_t after, int64_t before) noexcept nogil
