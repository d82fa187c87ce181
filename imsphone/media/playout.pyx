"""The jitter buffer: packets in whenever they come, 10 ms of sound out whenever asked.

    insert(packet, arrival) ──▶ PacketBuffer ──decode──▶ unplayed ──▶ pull() ──▶ 10 ms, always
                │                                          ▲   ▲
                └──▶ Arrivals ──▶ Target ──▶ Pace: shorten, lengthen
                                                               └── Concealment, Comfort, where nothing is there

Between pulls nothing happens; time is counted in them and never read. A pull does, in this order:
 1. sound that waits longer than the target is shortened by a pitch period, sound that waits less, or that runs out
    while the next packet is overdue, is lengthened;
 2. as long as 10 ms are not there, the next packet is decoded, or what is missing is made up;
 3. 10 ms leave.

Where a packet is missing and later ones are there, it is lost: the made-up sound stands for it and time goes on. Where
nothing is there at all, the next packet is late: the made-up sound fills the wait, and the delay grows by it. Where the
sequence goes on and the timestamp jumps, the peer was silent: nothing is missing, and the delay begins anew.

Sound lies in one line of samples: what was heard (for pitch and concealment), then what is decoded and unplayed:

    line ─┤ history, 65 ms │ unplayed ──▶ │ room │
                           └ begin

Everything runs without the interpreter's lock, except a codec that is written in Python (see `decoder`).
"""

from imsphone.media.arrival cimport Arrivals
from imsphone.media.buffer cimport PacketBuffer, Waiting
from imsphone.media.bursts cimport Bursts
from imsphone.media.comfort cimport Comfort
from imsphone.media.conceal cimport Concealment
from imsphone.media.counts cimport Counts
from imsphone.media.decision cimport Pace
from imsphone.media.decoder cimport Decoder
from imsphone.media.delay cimport Delays, Target
from imsphone.media.journal cimport DECODED, LENGTHENED, MADE, SHORTENED, Journal
from imsphone.media.numbers cimport Numbers
from imsphone.media.stretch cimport lengthen, shorten

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

import numpy as np

PULL_MS = 10.0

cdef int LONGEST_PACKET_MS = 240  # twice what any profile allows: what claims more is no sound
cdef int STRETCH_MS = 25  # `shorten` looks at 10 ms and a period of 15 ms more
cdef int64_t GAP_S = 2  # further away is another stream, and after so long a wait nothing is missed any more
cdef double EARLY_MS = 5.0  # half a pull: beginning now is nearer to the target than beginning with the next
# What was overdue and then came, or never did, is remembered over 16 packets: where most are lost, lengthening is for
# nothing.
cdef double HOPE_KEEPS = 1 / 16.0
cdef double COUNTED_MS = 10000.0  # shares of made-up sound are of this much sound at least, so that a start is no share


cdef class Playout:
    """One received stream, whatever its packets do.

    `codecs` says how each payload type is decoded; all of them share one clock. A counting one plays nothing: it does
    everything but the sound, for hundreds of streams at once. `counts`, `delays`, `bursts` may be read at any time.

    The target is the cheapest delay (see `delay`) within `minimum_ms` and `maximum_ms`: both the same is a fixed delay.
    `offset_ms` more is waited so that lips move with the words. All three may be set at any time.
    """

    def __cinit__(self, codecs, *, is_counting=False, minimum_ms=0.0, maximum_ms=1000.0, offset_ms=0.0):
        self.decoder = Decoder(codecs)
        self.clock_hz = self.decoder.clock_hz
        self.is_counting = is_counting
        self.minimum_ms, self.maximum_ms, self.offset_ms = minimum_ms, maximum_ms, offset_ms
        self.block = self.clock_hz // 100
        self.history = self.clock_hz * 65 // 1000
        self.room = self.clock_hz * 6 // 10
        self.line = <short *> calloc(self.block if is_counting else self.room, sizeof(short))
        if self.line == NULL:
            raise MemoryError
        self.begin = self.history
        self.hope = 1.0
        self.counts, self.delays, self.bursts = Counts(), Delays(), Bursts()
        self.packets, self.pace, self.journal = PacketBuffer(), Pace(), Journal()
        self.comfort = Comfort(self.clock_hz)
        self.concealment = Concealment(self.clock_hz, self.comfort)
        self.arrivals, self.target, self.numbers = Arrivals(), Target(), Numbers(self.clock_hz)

    def __dealloc__(self):
        free(self.line)

    # Packets ----------------------------------------------------------------------------------------------------------

    def insert(self, packet, arrival_ns):
        """A packet came at that time on the clock of the arrival stamps. What makes no sense is ignored."""
        if not isinstance(packet, tuple) or len(packet) < 5:
            raise TypeError(f"a Packet is inserted, not {type(packet).__name__}")
        # By place, not by name: `rtp.packet.Packet` is a named tuple, and five look-ups cost more than the buffer.
        cdef int64_t payload_type = <object> PyTuple_GET_ITEM(packet, 0)
        cdef int64_t sequence = <object> PyTuple_GET_ITEM(packet, 1)
        cdef int64_t timestamp = <object> PyTuple_GET_ITEM(packet, 2), ssrc = <object> PyTuple_GET_ITEM(packet, 3)
        cdef bytes payload = <object> PyTuple_GET_ITEM(packet, 4)
        cdef const unsigned char *data = payload
        cdef int size = <int> min(len(payload), 1 << 20), kind = payload_type & 127, number = sequence & 0xFFFF
        cdef int samples = self.decoder.samples_in(kind, payload)
        cdef unsigned int at = <unsigned int> timestamp
        cdef int64_t came_ns = arrival_ns
        if not 0 < samples <= self.clock_hz * LONGEST_PACKET_MS // 1000:
            return
        if not self.numbers.belongs(<unsigned int> ssrc, at, number, self.has_played and not self.is_playing):
            self._doubt(packet, arrival_ns)
            return
        self.stranger = None
        with nogil:
            self._insert(kind, number, at, samples, data, size, came_ns)

    def _doubt(self, packet, arrival_ns):
        """A packet of another stream: it is believed once the next one follows it directly (RFC 3550 A.1)."""
        first, self.stranger = self.stranger, packet
        if first is None or first.ssrc != packet.ssrc or (first.sequence + 1) & 0xFFFF != packet.sequence:
            return
        # Nothing stays of the old stream but the sound on its way out.
        cdef int64_t pulls = self.arrivals.pulls
        self.arrivals, self.target, self.numbers = Arrivals(), Target(), Numbers(self.clock_hz)
        self.arrivals.pulls = pulls
        self.packets.clear()
        self.has_next = self.has_last = self.is_playing = self.has_played = self.is_resting = self.is_stale = False
        self.held = 0
        self.counts.restarted += 1
        self.insert(first, arrival_ns)
        self.insert(packet, arrival_ns)

    cdef void _insert(self, int payload_type, int sequence, unsigned int timestamp, int samples,
                      const unsigned char *data, int size, int64_t arrival_ns) noexcept nogil:
        cdef int64_t order, at
        if not self.numbers.note(timestamp, sequence):
            self.counts.duplicated += 1
            return
        order, at = self.numbers.sequence, self.numbers.timestamp
        self.target.note(self.arrivals.note(self._ms(at), arrival_ns), self.arrivals.moved_ms,
                         samples * 1000.0 / self.clock_hz)
        self.is_stale = True
        if self.has_next and at + samples <= self.next:
            self.counts.late += 1
            # It was counted as lost when what came after it was played.
            if self.has_last and order < self.last_sequence and self.counts.lost > 0:
                self.counts.lost -= 1
        elif self.packets.insert(at, order, samples, payload_type, data, 0 if self.is_counting else size) != 1:
            self.counts.late += 1

    # Sound ------------------------------------------------------------------------------------------------------------

    def pull(self):
        """The next 10 ms: of sound, of made-up sound, or of silence."""
        pcm = np.empty(self.block, np.int16)
        self.pull_into(pcm)
        return pcm

    def pull_into(self, out):
        """The same into samples that are there already, exactly 10 ms of them: nothing is allocated."""
        cdef Py_buffer view
        PyObject_GetBuffer(out, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        try:
            if view.len != self.block * <Py_ssize_t> sizeof(short):
                raise ValueError(f"10 ms are {self.block} samples of 16 bits, not {view.len} octets")
            with nogil:
                self._pull(<short *> view.buf)
        finally:
            PyBuffer_Release(&view)

    cdef void _pull(self, short *out) noexcept nogil:
        self.made = 0
        self.journal.clear()
        if not self.is_counting and self.begin + self.unplayed + self.room // 2 > self.room:
            memmove(self.line, self.line + self.begin - self.history,
                    (self.history + self.unplayed) * sizeof(short))
            self.begin = self.history
        if self.is_stale:
            self._aim()
        if not self.is_playing:
            self._begin()
        if self.is_playing:
            self._stretch()
            self.counts.sounded += self.block
        while self.unplayed < self.block:
            self._supply()
        if 2 * self.made < self.block and self.is_playing:
            self.delays.add(self._delay_ms() + self.arrivals.to_stamps())
        self.unplayed -= self.block
        if self.is_counting:
            memset(out, 0, self.block * sizeof(short))
        else:
            memcpy(out, self.line + self.begin, self.block * sizeof(short))
            self.begin += self.block
            if self.is_playing and self.made == 0:
                self.comfort.listen(self.line + self.begin - self.block, self.block)
        self.pace.tick()
        self.arrivals.pulls += 1

    cdef void _aim(self) noexcept nogil:
        cdef double all_ms = self.counts.sounded * 1000.0 / self.clock_hz + COUNTED_MS
        self.target.choose(self.delays.recent_ms, self.counts.concealed * 100000.0 / self.clock_hz / all_ms,
                           self.counts.waited * 100000.0 / self.clock_hz / all_ms)
        self.target.ms = min(max(self.target.ms, self.minimum_ms), self.maximum_ms) + self.offset_ms
        self.is_stale = False

    cdef void _begin(self) noexcept nogil:
        """Sound begins, the first or after a silence of the peer, once what waits first has waited long enough."""
        cdef Waiting *waiting = self.packets.first()
        cdef double length_ms
        if waiting != NULL and not self.has_played:
            # What queued somewhere before the call began is no sound to begin with.
            while self.packets.count > 1:
                length_ms = waiting.samples * 1000.0 / self.clock_hz
                if self.arrivals.waited(self._ms(waiting.timestamp)) <= self.target.ms + length_ms:
                    break
                self.packets.pop()
                waiting = self.packets.first()
        if waiting != NULL and self.arrivals.waited(self._ms(waiting.timestamp)) >= self.target.ms - EARLY_MS:
            self.is_playing = self.has_played = True
            self.next = max(waiting.timestamp, self.next) if self.has_next else waiting.timestamp
            self.has_next = True
            self.held = 0
            if self.concealment.is_active and not self.concealment.made:
                self.concealment.stop()

    cdef void _supply(self) noexcept nogil:
        """At least one sample more to play."""
        cdef Waiting *waiting = self.packets.first()
        cdef int n = self.block - self.unplayed
        if not self.is_playing:
            self._make_up(n, False)
        elif waiting != NULL:
            self._continue(waiting)
        elif self.is_resting:
            # The peer said that it falls silent (a SID): nothing is missing.
            self._make_up(n, False)
            self.is_playing = False
        else:
            self.held += n
            self.counts.waited += n
            self._make_up(n, True)
            self.is_playing = self.held < GAP_S * self.clock_hz

    cdef void _continue(self, Waiting *waiting) noexcept nogil:
        """The next packet, or, where one before it is missing, a piece of the gap."""
        cdef int64_t gap = waiting.timestamp - self.next, filled, n
        # What was made up while nothing was there stands for the gap.
        filled = max(<int64_t> 0, min(gap, self.held))
        if gap > 0 and self.has_last and not self.numbers.missing(self.last_sequence, waiting.sequence):
            # The peer was silent, and so were we, rightly.
            self.counts.concealed -= self.held
            self.counts.waited -= self.held
            self.held = 0
            self.is_playing = False
            return
        self.held -= filled
        self.counts.waited -= filled
        self.next += filled
        if gap > filled:
            n = min(gap - filled, self.block - self.unplayed)
            self.next += n
            self._make_up(<int> n, True)
        else:
            self._decode(waiting)
            self.packets.pop()

    cdef void _decode(self, Waiting *waiting) noexcept nogil:
        """Appends the packet's sound from `next` on."""
        cdef int begin = <int> (self.next - waiting.timestamp), n = waiting.samples - begin, missing, i, most, skipped
        cdef short *out = self.line + self.begin + self.unplayed
        if n <= 0:  # a longer packet covered it
            self.counts.late += 1
            return
        if self.has_last:
            missing = self.numbers.missing(self.last_sequence, waiting.sequence)
            if self.is_hoping:
                self.hope += ((missing == 0) - self.hope) * HOPE_KEEPS
            for i in range(missing):
                self.counts.lost += 1
                self.bursts.count(True)
        self.is_hoping = False
        self.bursts.count(False)
        self.has_last, self.last_sequence = True, waiting.sequence
        self.is_resting = self.decoder.is_noise(waiting.payload_type)
        self.held = 0
        self.counts.played += 1
        self.journal.write(DECODED, waiting.sequence)
        self.next = waiting.timestamp + waiting.samples
        if self.is_counting:
            self.unplayed += n
            return
        self.decoder.decode(waiting, begin, out, self.comfort)
        if self.concealment.is_active:
            most = <int> ((self._delay_ms() - self.target.ms) * self.clock_hz / 1000)
            skipped = self.concealment.merge(out, n, max(0, most))
            n -= skipped
            self.counts.removed += skipped
            self.pace.did(skipped * 1000.0 / self.clock_hz)
        self.unplayed += n

    cdef void _make_up(self, int n, bint is_loss) noexcept nogil:
        """Appends `n` samples that nobody sent; a loss counts, a silence does not."""
        cdef short *out = self.line + self.begin + self.unplayed
        if is_loss:
            self.made += n
            self.counts.concealed += n
            self.journal.write(MADE, n)
        if not self.is_counting and (is_loss or self.concealment.is_active):
            if not self.concealment.is_active:
                self.concealment.begin(out)
            self.concealment.make(out, n)
        elif not self.is_counting:
            self.comfort.make(out, n)
        self.unplayed += n

    # Time -------------------------------------------------------------------------------------------------------------

    cdef void _stretch(self) noexcept nogil:
        """Brings the delay nearer to the target, and sees to it that a packet that is overdue finds more time."""
        cdef int stretch = self.clock_hz * STRETCH_MS // 1000, most, changed = 0
        cdef double delay_ms, there_ms, wanted_ms
        cdef bint is_overdue, is_pause
        cdef int64_t there
        if self.concealment.is_active or not self.has_next:
            return
        there = self.unplayed + self.packets.reach(self.next, stretch)
        there_ms = there * 1000.0 / self.clock_hz
        delay_ms = self._delay_ms()
        # Where later packets are there, the next one is lost rather than late.
        is_overdue = not self.packets.count and self.arrivals.waited(self._ms(self.next)) > self.arrivals.usual_ms
        self.is_hoping |= is_overdue
        is_overdue &= self.hope > 0.5
        # Twice: what a pause allows is asked only where it matters.
        wanted_ms = self.pace.change(delay_ms, self.target.ms, there_ms, is_overdue, True)
        if wanted_ms == 0:
            return
        self._decode_ahead(min(stretch, <int> there))
        is_pause = not self.is_counting and self.comfort.is_pause(
            self.line + self.begin, min(self.unplayed, 2 * self.block))
        wanted_ms = self.pace.change(delay_ms, self.target.ms, there_ms, is_overdue, is_pause)
        most = <int> (wanted_ms * self.clock_hz / 1000)
        if self.is_counting:
            changed = self.clock_hz // 125  # a period of a common voice, 125 Hz
            changed = changed if most > 0 else -changed if -most >= changed else 0
        elif most > 0:
            changed = lengthen(self.line + self.begin, self.unplayed, self.clock_hz, most, is_pause, is_overdue)
        elif most < 0:
            changed = -shorten(self.line + self.begin, self.unplayed, self.clock_hz, -most, is_pause)
        if changed > 0:
            self.counts.inserted += changed
            self.journal.write(LENGTHENED, changed)
        elif changed < 0:
            self.counts.removed -= changed
            self.journal.write(SHORTENED, -changed)
        self.unplayed += changed
        self.pace.did(changed * 1000.0 / self.clock_hz)

    cdef void _decode_ahead(self, int samples) noexcept nogil:
        """Decodes until so many are there or the next packet is missing."""
        cdef Waiting *waiting
        while self.unplayed < samples:
            waiting = self.packets.first()
            if waiting == NULL or waiting.timestamp > self.next:
                break
            self._decode(waiting)
            self.packets.pop()

    cdef double _ms(self, int64_t timestamp) noexcept nogil:
        return (timestamp - self.numbers.first_timestamp) * 1000.0 / self.clock_hz

    cdef double _delay_ms(self) noexcept nogil:
        """Of the sample to be heard next, above the least transit, on the ruler of pulls."""
        return self.arrivals.waited(self._ms(self.next - self.unplayed))

    # Figures ----------------------------------------------------------------------------------------------------------

    @property
    def events(self):
        """What the last pull did, in order: ("decoded", sequence), ("made", samples), ("lengthened", samples), …"""
        return self.journal.entries

    @property
    def position(self):
        """The timestamp (without wrap) of the sample to be heard next; None before the first."""
        return self.next - self.unplayed if self.has_next else None

    @property
    def target_ms(self):
        """How long sound should wait, above the fastest packet."""
        return max(0.0, self.target.ms + self.arrivals.to_stamps())

    @property
    def delay_ms(self):
        """How long the sample to be heard next has waited, above the fastest packet; 0 before the first."""
        return max(0.0, self._delay_ms() + self.arrivals.to_stamps()) if self.has_next else 0.0

    @property
    def fill_ms(self):
        """How much sound waits."""
        return (self.packets.samples + self.unplayed) * 1000.0 / self.clock_hz
