"""The numbers of a stream: sequence and timestamp without their wrap, and which packets were seen.

    on the wire     65534  65535      0      1          ... unrolled   65534  65535  65536  65537
                    one step forward is 1, however it is written; half the circle away is before or after, as is nearer

A packet whose numbers lie further from the latest than losses and reordering explain (1,024 packets, 2 s), or with
another SSRC, belongs to another stream, until a second one like it says otherwise (RFC 3550 A.1; see `playout`). After
a silence of the peer the timestamp may have run on for as long as it likes.

"""

from libc.stdint cimport int64_t
from libc.string cimport memset

cdef int64_t FARTHEST_S = 2


cdef class Numbers:
    """The numbers of one stream, timestamps in samples."""

    def __init__(self, int clock_hz):
        self.farthest = FARTHEST_S * clock_hz
        self.has_begun = False
        memset(self.seen, 0xFF, sizeof(self.seen))

    def is_ours(self, ssrc, timestamp, sequence, was_silent=False):
        """Whether a packet belongs to this stream; the first one always does, and begins it."""
        return self.belongs(ssrc, timestamp, sequence, was_silent)

    def came(self, timestamp, sequence):
        """A packet came; its numbers stand in `timestamp` and `sequence` then. False: it was here before."""
        return self.note(timestamp, sequence)

    def missing_between(self, after, before):
        """How many packets between two sequence numbers never came."""
        return self.missing(after, before)

    cdef bint belongs(self, unsigned int ssrc, unsigned int timestamp, int sequence, bint was_silent) noexcept nogil:
        cdef int64_t samples
        cdef int packets
        if not self.has_begun:
            self.has_begun, self.ssrc = True, ssrc
            self.first_timestamp = self.highest_timestamp = timestamp
            self.highest_sequence = sequence
            return True
        if ssrc != self.ssrc:
            return False
        samples = <int> (timestamp - <unsigned int> self.highest_timestamp)
        packets = <short> (sequence - <int> (self.highest_sequence & 0xFFFF))
        if was_silent and 0 < packets < REMEMBERED and samples > 0:
            return True
        return -self.farthest < samples < self.farthest and -REMEMBERED < packets < REMEMBERED

    cdef bint note(self, unsigned int timestamp, int sequence) noexcept nogil:
        self.sequence = self.highest_sequence + <short> (sequence - <int> (self.highest_sequence & 0xFFFF))
        self.timestamp = self.highest_timestamp + <int> (timestamp - <unsigned int> self.highest_timestamp)
        if self.seen[self.sequence & (REMEMBERED - 1)] == self.sequence:
            return False
        self.seen[self.sequence & (REMEMBERED - 1)] = self.sequence
        self.highest_sequence = max(self.highest_sequence, self.sequence)
        self.highest_timestamp = max(self.highest_timestamp, self.timestamp)
        return True

    cdef int missing(self, int64_t after, int64_t before) noexcept nogil:
        cdef int64_t sequence
        cdef int missing = 0
        for sequence in range(max(after + 1, before - REMEMBERED), before):
            missing += self.seen[sequence & (REMEMBERED - 1)] != sequence
        return missing
