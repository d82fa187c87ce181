"""How losses come: one by one, or in bursts (RFC 3611 4.7.2 and appendix A.2).

    received .........x.............xx.x.xxx..x...........................x......
                      └ gap          └──── burst ───┘  16 received in a row end a burst

A packet counts as lost when it never came or came too late to be played. The counters are those of a chain of four
states, bumped at each loss by how many packets were received since the one before: c31 bursts began, and so on. Packets
are counted in the order in which they should have sounded.
"""

from libc.stdint cimport int64_t

cdef int64_t G_MIN = 16  # RFC 3611's default


cdef class Bursts:
    """The losses of one stream."""

    def __init__(self):
        self.c11 = self.c13 = self.c14 = self.c22 = self.c23 = self.c33 = self.c31 = self.c32 = 0
        self.good = self.lost_in_burst = self.packets = self.lost = self.gaps = 0

    def note(self, bint is_lost):
        """The next packet was lost, or not."""
        self.count(is_lost)

    cdef void count(self, bint is_lost) noexcept nogil:
        self.packets += 1
        if not is_lost:
            self.good += 1
            return
        if self.good or not self.lost:
            self.gaps += 1
        self.lost += 1
        if self.good >= G_MIN:
            if self.lost_in_burst <= 1:
                self.c14 += 1
            else:
                self.c13 += 1
            self.lost_in_burst = 1
            self.c11 += self.good
        else:
            self.lost_in_burst += 1
            if self.good == 0:
                self.c33 += 1
            else:
                self.c23 += 1
                self.c22 += self.good - 1
        self.good = 0

    @property
    def burst_ratio(self):
        """How much longer losses last than if they came independently (G.107 3): 1 at least."""
        if not self.gaps:
            return 1.0
        share = <double> self.lost / self.packets
        return max(1.0, <double> self.lost / self.gaps * (1 - share))

    def densities(self, double packet_ms):
        """Burst density, gap density (shares of packets lost), burst duration, gap duration (ms), as A.2 has them."""
        cdef double c11 = self.c11 + self.good, c31 = self.c13, c32 = self.c23, total, p32, p23
        total = c11 + self.c14 + self.c13 + self.c22 + self.c23 + c31 + self.c33 + c32
        p32 = 0.0 if self.c33 + c31 + c32 == 0 else c32 / (c31 + c32 + self.c33)
        p23 = 1.0 if self.c22 + self.c23 == 0 else 1 - self.c22 / (self.c22 + self.c23)
        burst_density = 100 * p23 / (p23 + p32) if self.c33 + c32 else 0.0
        gap_density = 100 * self.c14 / (c11 + self.c14) if c11 + self.c14 else 0.0
        if not self.c13:
            return burst_density / 100, gap_density / 100, 0.0, total * packet_ms
        gap_ms = (c11 + self.c14 + self.c13) * packet_ms / self.c13
        burst_ms = total * packet_ms / self.c13 - gap_ms
        return burst_density / 100, gap_density / 100, max(0.0, burst_ms), gap_ms
