from imsphone.media.comfort cimport Comfort

cdef enum:
    MOST_CYCLE = 3 * 720
    MOST_FADE = 480

cdef class Concealment:
    cdef int clock_hz, period, cycles, at, old_cycles, old_at, seam, since
    cdef readonly int made
    cdef readonly bint is_active
    cdef float step
    cdef Comfort comfort
    cdef float cycle[3][MOST_CYCLE]
    cdef short noise[MOST_FADE]

    cdef void begin(self, const short *end) noexcept nogil
    cdef void make(self, short *out, int n) noexcept nogil
    cdef int merge(self, short *pcm, int n, int most) noexcept nogil
    cdef void stop(self) noexcept nogil
