cdef enum:
    MOST_QUIET = 1440
    MOST_ORDER = 12

cdef class Comfort:
    cdef int clock_hz, grain, kept, filled, at, order
    cdef bint is_described, has_quiet
    cdef unsigned int seed
    cdef readonly float background, loudest
    cdef float gain
    cdef short quiet[MOST_QUIET]
    cdef int here, there
    cdef float reflection[MOST_ORDER]
    cdef float backward[MOST_ORDER + 1]

    cdef void listen(self, const short *pcm, int n) noexcept nogil
    cdef bint is_pause(self, const short *pcm, int n) noexcept nogil
    cdef void describe(self, const unsigned char *data, int size) noexcept nogil
    cdef void make(self, short *out, int n) noexcept nogil
