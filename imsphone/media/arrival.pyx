"""When packets came, on two rulers.

The buffer acts only when it is pulled, every 10 ms of the sound card. So what decides whether a packet is in time is
the *pull* before which it was there; that ruler needs no clock, and drift between the two ends is simply measured:

    pulls        k-1         k          k+1         k+2
    ─────────────┼───────────┼───────────┼───────────┼──▶      waited = 10 ms * (k+1) - the packet's timestamp
    packets             ▲ comes here and can be used first at pull k+1

The other ruler is the arrival stamp of the kernel, in nanoseconds: it says to the millisecond how long sound waited
above the fastest packet, which is the figure to report. When pulls happen is nowhere told, but each packet narrows it:
it came after one pull and before the next.

Both rulers know the *least* transit of the last 5 to 10 s, in ms, by the minimum over two buckets of 5 s: long enough
that the fastest packet of a busy link is in it, short enough to follow a route step within 10 s and clocks that are
500 ppm apart to 5 ms. A lesser one is believed at once. Sources: RFC 3550 6.4.1 and A.8 for `jitter_ms`.
"""

from libc.math cimport fabs
from libc.stdint cimport int64_t

cdef enum:
    BUCKET_PULLS = 500

cdef double PULL_MS = 10.0
# `usual_ms` climbs so much for each packet above it and sinks so much for each below: it
# rests where one packet in three is later. A network that changes is followed within a hundred packets.
cdef double CLIMB_MS = 0.4, SINK_MS = 0.2
cdef double CLOCK_LEAK_MS = 0.01  # a packet: 500 ppm of 20 ms, so that the sound card's clock is followed


cdef class Arrivals:
    """The arrivals of one stream; timestamps in milliseconds of the stream."""

    def __init__(self):
        self.pulls = self.count = self.since = self.epoch_ns = 0
        self.least_ms = self.moved_ms = self.jitter_ms = self.transit_ms = self.clock_ms = 0.0
        self.usual_ms = PULL_MS

    def came(self, timestamp_ms, arrival_ns):
        """A packet came: its first sample's time in the stream and its arrival stamp. Its delay above the least, ms."""
        return self.note(timestamp_ms, arrival_ns)

    def pulled(self):
        """Ten milliseconds passed."""
        self.pulls += 1

    def delay_ms(self, timestamp_ms):
        """How late the next pull is for that time in the stream, above the least transit, on the ruler of pulls."""
        return self.waited(timestamp_ms)

    @property
    def to_stamps_ms(self):
        """What to add to a `delay_ms` to have it by the arrival stamps."""
        return self.to_stamps()

    cdef double note(self, double timestamp_ms, int64_t arrival_ns) noexcept nogil:
        cdef double waited = PULL_MS * self.pulls - timestamp_ms
        cdef double arrival_ms, transit, least, clock, over
        if not self.count:
            self.epoch_ns = arrival_ns
        arrival_ms = (arrival_ns - self.epoch_ns) / 1e6
        transit = arrival_ms - timestamp_ms
        # The next pull is later than this packet: by the greatest such bound its time is known, at most 10 ms early.
        clock = arrival_ms - PULL_MS * self.pulls
        if not self.count:
            self.older_ms = self.newer_ms = self.least_ms = waited
            self.older_stamp_ms = self.newer_stamp_ms = transit
            self.clock_ms = clock
            self.since = self.pulls
        elif self.pulls - self.since >= BUCKET_PULLS:
            self.older_ms, self.newer_ms = self.newer_ms, waited
            self.older_stamp_ms, self.newer_stamp_ms = self.newer_stamp_ms, transit
            self.since = self.pulls
        else:
            self.newer_ms = min(self.newer_ms, waited)
            self.newer_stamp_ms = min(self.newer_stamp_ms, transit)
            self.jitter_ms += (fabs(transit - self.transit_ms) - self.jitter_ms) / 16
        self.clock_ms = max(clock, self.clock_ms - CLOCK_LEAK_MS)
        self.transit_ms = transit
        least = min(self.older_ms, self.newer_ms)
        self.moved_ms = least - self.least_ms
        self.least_ms = least
        self.count += 1
        over = waited - least
        self.usual_ms = max(0.0, self.usual_ms + (CLIMB_MS if over > self.usual_ms else -SINK_MS))
        return over

    cdef double waited(self, double timestamp_ms) noexcept nogil:
        return PULL_MS * self.pulls - timestamp_ms - self.least_ms

    cdef double to_stamps(self) noexcept nogil:
        cdef double least = min(self.older_stamp_ms, self.newer_stamp_ms)
        return self.clock_ms + self.least_ms - least if self.count else 0.0
