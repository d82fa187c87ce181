"""What happened to a stream so far: packets first, then samples.

    packets   played   late (also those that an overflow cut)   lost   duplicated   restarted (streams, not packets)
    samples   sounded ⊇ concealed ⊇ waited                      inserted, removed

`sounded` is everything that left since the first packet was played; `concealed` of it was made up, and `waited` of that
because nothing was there, not because something was lost. `inserted` and `removed` were so by stretching.
"""


cdef class Counts:
    """Numbers to be read at any time."""

    @property
    def concealed_percent(self):
        """Sound made up, of all sound played."""
        return 100.0 * self.concealed / max(1, self.sounded)
