"""What one pull did, in order, for whoever replays a trace and wants to know.

    decoded 17 · lengthened 84 · made 76          a sequence number; samples

A page of 64 entries, written over by the next pull: nothing is allocated for it, and a live call never reads it.
"""

from libc.stdint cimport int64_t

NAMES = {DECODED: "decoded", MADE: "made", LENGTHENED: "lengthened", SHORTENED: "shortened"}


cdef class Journal:
    """The page of the last pull."""

    @property
    def entries(self):
        """(what, sequence number or samples), oldest first."""
        return [(NAMES[self.kinds[i]], self.values[i]) for i in range(self.count)]

    def written(self, what, value):
        """One entry more, `what` one of `NAMES`; none beyond the page."""
        self.write({name: kind for kind, name in NAMES.items()}[what], value)

    cdef void write(self, int kind, int64_t value) noexcept nogil:
        if self.count < MOST_ENTRIES:
            self.kinds[self.count], self.values[self.count] = kind, value
            self.count += 1

    cdef void clear(self) noexcept nogil:
        self.count = 0
