cdef class Pace:
    cdef double owed_ms
    cdef double change(self, double delay_ms, double target_ms, double there_ms, bint is_overdue,
                       bint is_pause) noexcept nogil
    cdef void did(self, double ms) noexcept nogil
    cdef void tick(self) noexcept nogil
