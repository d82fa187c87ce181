from libc.stdint cimport int64_t

cdef enum:
    MOST_ENTRIES = 64

cdef enum:
    DECODED, MADE, LENGTHENED, SHORTENED

cdef class Journal:
    cdef int kinds[MOST_ENTRIES]
    cdef int64_t values[MOST_ENTRIES]
    cdef readonly int count

    cdef void write(self, int kind, int64_t value) noexcept nogil
    cdef void clear(self) noexcept nogil
