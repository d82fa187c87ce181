from libc.stdint cimport int64_t

cdef class Bursts:
    cdef int64_t c11, c13, c14, c22, c23, c33, c31, c32, good, lost_in_burst
    cdef readonly int64_t packets, lost, gaps

    cdef void count(self, bint is_lost) noexcept nogil
