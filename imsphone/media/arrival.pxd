from libc.stdint cimport int64_t

cdef class Arrivals:
    cdef readonly int64_t pulls, count
    cdef readonly double least_ms, usual_ms, jitter_ms, moved_ms
    cdef double older_ms, newer_ms, oldest_stamp_ms, older_stamp_ms, newer_stamp_ms
    cdef int64_t since, epoch_ns
    cdef double transit_ms, clock_ms

    cdef double note(self, double timestamp_ms, int64_t arrival_ns) noexcept nogil
    cdef double waited(self, double timestamp_ms) noexcept nogil
    cdef double to_stamps(self) noexcept nogil
