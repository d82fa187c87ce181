from libc.stdint cimport int64_t

cdef enum:
    MOST_PACKETS = 256

cdef struct Waiting:
    int64_t timestamp
    int64_t sequence
    int samples
    int payload_type
    int size
    int room
    unsigned char *data

cdef class PacketBuffer:
    cdef Waiting slots[MOST_PACKETS]
    cdef int order[MOST_PACKETS]
    cdef int free[MOST_PACKETS]
    cdef readonly int count
    cdef readonly int64_t samples

    cdef int insert(self, int64_t timestamp, int64_t sequence, int samples, int payload_type,
                    const unsigned char *data, int size) noexcept nogil
    cdef Waiting *first(self) noexcept nogil
    cdef void pop(self) noexcept nogil
    cdef void clear(self) noexcept nogil
    cdef int64_t reach(self, int64_t start, int64_t enough) noexcept nogil
