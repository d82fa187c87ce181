cdef struct Pitch:
    int period
    float likeness

cdef Pitch find(const short *pcm, int direction, int window, int shortest, int longest, int clock_hz,
                float favour) noexcept nogil
