cdef int shorten(short *pcm, int n, int clock_hz, int most, bint is_pause) noexcept nogil
cdef int lengthen(short *pcm, int n, int clock_hz, int most, bint is_pause, bint is_urgent) noexcept nogil
cdef void fade(short *out, const short *old, const short *new, int n) noexcept nogil
