cdef enum:
    CANDIDATES = 128
    LONGEST_MS = 4096

cdef class Target:
    cdef readonly double ms
    cdef float wait[CANDIDATES]
    cdef float delay[CANDIDATES]
    cdef float short_made[CANDIDATES]
    cdef float short_delay[CANDIDATES]
    cdef float long_made[CANDIDATES]
    cdef float long_delay[CANDIDATES]
    cdef float short_weight, long_weight

    cdef void note(self, double waited_ms, double moved_ms, double packet_ms) noexcept nogil
    cdef double choose(self, double mean_ms, double made_percent, double late_percent) noexcept nogil
    cdef void lift(self, double moved_ms) noexcept nogil

cdef class Delays:
    cdef int bins[LONGEST_MS]
    cdef readonly long count
    cdef double sum_ms, recent_ms, recent_count

    cdef void add(self, double delay_ms) noexcept nogil
