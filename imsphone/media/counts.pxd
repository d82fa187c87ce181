from libc.stdint cimport int64_t

cdef class Counts:
    cdef readonly int64_t played, late, lost, duplicated, restarted
    cdef readonly int64_t sounded, concealed, waited, inserted, removed
