"""Packets that wait for their turn, in the order of their timestamps.

    insert ──▶ [ 160 ][ 320 ]      [ 640 ][ 800 ] ◀── latest           (timestamps; 480 is lost or on its way)
                  └─ first ──▶ the next to be decoded

Unit: samples of the stream's clock, unrolled (they do not wrap), as are the sequence numbers. What the peer can send
without end is bounded: of more than `MOST_PACKETS` packets (5 s of 20 ms) the oldest goes, since sound that old is worth
least. Slots are laid once; a slot grows to the longest payload that it ever held, and then nothing is allocated.
Nearly every packet comes in order, so the place is looked for from the end.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

TAKEN, PUT, FULL = range(3)


cdef class PacketBuffer:
    """The packets of one stream."""

    def __cinit__(self):
        self.clear()

    def __dealloc__(self):
        cdef int i
        for i in range(MOST_PACKETS):
            free(self.slots[i].data)

    def __len__(self):
        return self.count

    def put(self, timestamp, sequence, samples, payload_type, bytes payload):
        """Puts a packet in its place: `PUT`, `TAKEN` where that timestamp is there already, `FULL`: the oldest went."""
        return self.insert(timestamp, sequence, samples, payload_type, payload, len(payload))

    def take(self):
        """The first packet as (timestamp, sequence, samples, payload type, payload), or None; it leaves the buffer."""
        cdef Waiting *waiting = self.first()
        if waiting == NULL:
            return None
        packet = (waiting.timestamp, waiting.sequence, waiting.samples, waiting.payload_type,
                  <bytes> waiting.data[:waiting.size] if waiting.size else b"")
        self.pop()
        return packet

    def reach_from(self, start):
        """How many samples from `start` on are here without a gap."""
        return self.reach(start, 1 << 62)

    cdef int insert(self, int64_t timestamp, int64_t sequence, int samples, int payload_type,
                    const unsigned char *data, int size) noexcept nogil:
        cdef int at = self.count, slot, result = 1
        cdef Waiting *waiting
        cdef void *room
        while at and self.slots[self.order[at - 1]].timestamp > timestamp:
            at -= 1
        if at and self.slots[self.order[at - 1]].timestamp == timestamp:
            return 0
        if self.count == MOST_PACKETS:
            if at == 0:
                return 2  # itself the oldest
            self.pop()
            at -= 1
            result = 2
        slot = self.free[MOST_PACKETS - 1 - self.count]
        waiting = &self.slots[slot]
        if size > waiting.room:
            room = realloc(waiting.data, size)
            if room == NULL:
                return 0
            waiting.data = <unsigned char *> room
            waiting.room = size
        if size:
            memcpy(waiting.data, data, size)
        waiting.timestamp, waiting.sequence = timestamp, sequence
        waiting.samples, waiting.payload_type, waiting.size = samples, payload_type, size
        memmove(&self.order[at + 1], &self.order[at], (self.count - at) * sizeof(int))
        self.order[at] = slot
        self.count += 1
        self.samples += samples
        return result

    cdef Waiting *first(self) noexcept nogil:
        """The next in turn, NULL where none waits; good until the next `insert`."""
        return &self.slots[self.order[0]] if self.count else NULL

    cdef void pop(self) noexcept nogil:
        cdef int slot = self.order[0]
        self.count -= 1
        self.samples -= self.slots[slot].samples
        memmove(&self.order[0], &self.order[1], self.count * sizeof(int))
        self.free[MOST_PACKETS - 1 - self.count] = slot

    cdef void clear(self) noexcept nogil:
        cdef int i
        self.count, self.samples = 0, 0
        for i in range(MOST_PACKETS):
            self.free[i] = i

    cdef int64_t reach(self, int64_t start, int64_t enough) noexcept nogil:
        """How many samples from `start` on are here without a gap; it stops counting at `enough`."""
        cdef int64_t end = start
        cdef int i
        cdef Waiting *waiting
        for i in range(self.count):
            waiting = &self.slots[self.order[i]]
            if waiting.timestamp > end or end - start >= enough:
                break
            end = max(end, waiting.timestamp + waiting.samples)
        return end - start
