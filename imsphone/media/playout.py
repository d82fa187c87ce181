"""The jitter buffer: packets in whenever they come, 10 ms of sound out whenever asked.

    insert(packet, arrival) ──▶ PacketBuffer ──decode──▶ unplayed ──▶ pull() ──▶ 10 ms, always
                │                                          ▲   ▲
                └──▶ Arrivals ──▶ target ── shorten, lengthen  └── Concealment, where nothing is there

Between pulls nothing happens; time is counted in them. A pull does, in this order:
 1. sound that waits longer than the target is shortened by a pitch period, sound that waits less is lengthened;
 2. as long as 10 ms are not there, the next packet is decoded, or what is missing is made up;
 3. 10 ms leave.

Where a packet is missing and later ones are there, it is lost: the made-up sound stands for it and time goes on. Where
nothing is there at all, the next packet is late: the made-up sound fills the wait, and the delay grows by it. Where the
sequence goes on and the timestamp jumps, the peer was silent: nothing is missing, and the delay begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from imsphone.media.arrival import PULL_MS, Arrivals
from imsphone.media.buffer import PacketBuffer, Waiting
from imsphone.media.codecs.codec import Codec, Pcm
from imsphone.media.conceal import Concealment
from imsphone.media.delay import Delays, Plan, plan
from imsphone.media.stretch import is_pause, lengthen, shorten
from imsphone.rtp.packet import Packet
from imsphone.rtp.sequence import Unrolled

HISTORY_MS = 40
STRETCH_MS = 25
"""What `shorten` wants to see, and one period more than `lengthen` adds."""
PLAN_EVERY = 10
"""Pulls between two looks at the target."""
TOLERANCE_MS = 2.0
BEHIND_MS = 5.0
"""The delay may be so much above the target, or below, before anything is done."""
SPEECH_MS = 25.0
"""Speech itself is shortened only where it waits so much too long; less can wait for the next pause."""
FAR_MS = 40.0
"""Above the target by more than this, every pull but one is used to come nearer."""
LONGEST_GAP_MS = 2000.0
"""Sound further away than this belongs to another stream, and after so long a wait nothing is missed any more."""
REMEMBERED = 1024
"""Sequence numbers by which a duplicate is known."""


@dataclass(slots=True)
class Counts:
    """What happened so far; packets first, then samples."""

    played: int = 0
    late: int = 0
    lost: int = 0
    duplicated: int = 0
    bursts: int = 0
    """Gaps that the lost packets left."""
    sounded: int = 0
    """Everything that left since the first packet was played, pauses of the peer included."""
    concealed: int = 0
    inserted: int = 0
    removed: int = 0


class Playout:
    """One received stream, whatever its packets do.

    `codecs` says how each payload type is decoded; all of them share one clock. `counts` may be read at any time.
    """

    def __init__(self, codecs: Mapping[int, Codec]) -> None:
        self._codecs = dict(codecs)
        self.clock_hz = next(iter(self._codecs.values())).clock_hz
        self._block = int(self.clock_hz * PULL_MS) // 1000
        self._gap = int(self.clock_hz * LONGEST_GAP_MS) // 1000
        self.counts = Counts()
        self.delays = Delays()
        self._history: Pcm = np.zeros(self.clock_hz * HISTORY_MS // 1000, np.int16)
        self._unplayed: Pcm = np.zeros(0, np.int16)
        self._concealment: Concealment | None = None
        self._stranger: Packet | None = None
        self._packets = PacketBuffer()
        self._begin()

    def _begin(self) -> None:
        """A stream begins, the first or another: nothing of the old one but the sound on its way out."""
        self._packets.clear()
        self._arrivals = Arrivals()
        self._plan = Plan()
        self._ssrc: int | None = None
        self._timestamps, self._sequences = Unrolled(32), Unrolled(16)
        self._seen = [-1] * REMEMBERED
        self._epoch = 0
        self._next: int | None = None  # timestamp behind the last of `_unplayed`; None: nothing decoded yet
        self._last_sequence: int | None = None
        self._is_playing = False
        self._held = 0  # samples made up since the buffer ran dry
        self._rest = 0  # pulls until speech may be stretched again

    # Packets ----------------------------------------------------------------------------------------------------------

    def insert(self, packet: Packet, arrival_ns: int) -> None:
        """A packet came at that time on the clock of the arrival stamps. What makes no sense is ignored."""
        codec = self._codecs.get(packet.payload_type)
        samples = codec.samples_in(packet.payload) if codec else 0
        if not samples:
            return
        if self._ssrc is None:
            self._ssrc = packet.ssrc
            self._epoch = packet.timestamp
        elif packet.ssrc != self._ssrc or self._is_far(packet):
            self._doubt(packet, arrival_ns)
            return
        self._stranger = None
        sequence = self._sequences.unroll(packet.sequence)
        if self._seen[sequence % REMEMBERED] == sequence:
            self.counts.duplicated += 1
            return
        self._seen[sequence % REMEMBERED] = sequence
        timestamp = self._timestamps.unroll(packet.timestamp)
        self._arrivals.note(self._ms(timestamp), arrival_ns)
        is_late = self._next is not None and timestamp + samples <= self._next
        if is_late or not self._packets.insert(Waiting(timestamp, sequence, samples, packet)):
            self.counts.late += 1
            # It was counted as lost when what came after it was played.
            if is_late and self._last_sequence is not None and sequence < self._last_sequence:
                self.counts.lost = max(0, self.counts.lost - 1)

    def _is_far(self, packet: Packet) -> bool:
        """Whether its numbers lie further from the latest than losses and reordering explain, either way round."""
        samples = (packet.timestamp - (self._timestamps.highest or 0)) & 0xFFFFFFFF
        packets = (packet.sequence - (self._sequences.highest or 0)) & 0xFFFF
        return self._gap < samples < (1 << 32) - self._gap or REMEMBERED < packets < (1 << 16) - REMEMBERED

    def _doubt(self, packet: Packet, arrival_ns: int) -> None:
        """A packet of another stream: it is believed once the next one follows it directly (RFC 3550 A.1)."""
        first, self._stranger = self._stranger, packet
        if first is None or first.ssrc != packet.ssrc or (first.sequence + 1) & 0xFFFF != packet.sequence:
            return
        pulls = self._arrivals.pulls
        self._begin()
        self._arrivals.pulls = pulls
        self.insert(first, arrival_ns)
        self.insert(packet, arrival_ns)

    # Sound ------------------------------------------------------------------------------------------------------------

    def pull(self) -> Pcm:
        """The next 10 ms: of sound, of made-up sound, or of silence."""
        if not self._is_playing or self._arrivals.pulls % PLAN_EVERY == 0:
            self._plan = plan(self._arrivals)
        if self._is_playing and self._concealment is None:
            self._stretch()
            self.delays.note(self._delay_ms + self._plan.to_least_ms)
        while self._unplayed.size < self._block:
            self._supply()
        if self._is_playing:
            self.counts.sounded += self._block
        pcm, self._unplayed = self._unplayed[: self._block], self._unplayed[self._block :]
        self._history = np.concatenate((self._history[self._block :], pcm))
        self._arrivals.pulls += 1
        return pcm

    def _supply(self) -> None:
        """At least one sample more to play."""
        waiting = self._packets.first
        if waiting is None:
            self._wait()
        elif not self._is_playing:
            if self._arrivals.delay_ms(self._ms(waiting.timestamp)) < self._plan.target_ms:
                self._make_up(self._block)
            else:
                self._is_playing = True
                self._next = max(waiting.timestamp, self._next or waiting.timestamp)
                self._decode(self._packets.pop())
        else:
            self._continue(waiting)

    def _wait(self) -> None:
        """Nothing is there at all."""
        self._make_up(self._block)
        if self._is_playing:
            self._held += self._block
            self.counts.concealed += self._block
            self._is_playing = self._held < self._gap

    def _continue(self, waiting: Waiting) -> None:
        """The next packet, or, where one before it is missing, a piece of the gap."""
        assert self._next is not None
        gap = waiting.timestamp - self._next
        # What was made up while nothing was there stands for the gap.
        filled = max(0, min(gap, self._held))
        self._held -= filled
        if gap > 0 and waiting.sequence - 1 == self._last_sequence:
            self.counts.concealed -= filled
            self._is_playing = False
        elif gap > filled:
            n = min(gap - filled, self._block)
            self._make_up(n)
            self.counts.concealed += n
            self._next += filled + n
        else:
            self._next += filled
            self._decode(self._packets.pop())

    def _decode(self, waiting: Waiting) -> None:
        """Appends the packet's sound from `_next` on."""
        assert self._next is not None
        packet = waiting.packet
        pcm = self._codecs[packet.payload_type].decode(packet.payload)[self._next - waiting.timestamp :]
        if self._last_sequence is not None and waiting.sequence > self._last_sequence + 1:
            self.counts.lost += waiting.sequence - self._last_sequence - 1
            self.counts.bursts += 1
        self._last_sequence = waiting.sequence
        self._next = max(self._next, waiting.timestamp + waiting.samples)
        self._held = 0
        self.counts.played += 1
        if self._concealment is not None:
            pcm = self._concealment.merge(pcm)
            self._concealment = None
        self._unplayed = np.concatenate((self._unplayed, pcm))

    def _make_up(self, n: int) -> None:
        if self._concealment is None:
            self._concealment = Concealment(np.concatenate((self._history, self._unplayed)), self.clock_hz)
        self._unplayed = np.concatenate((self._unplayed, self._concealment.make(n)))

    # Time -------------------------------------------------------------------------------------------------------------

    def _stretch(self) -> None:
        """Brings the delay nearer to the target, and sees to it that a packet that is overdue finds more time."""
        self._rest = max(0, self._rest - 1)
        excess_ms = self._delay_ms - self._plan.target_ms
        before = self._unplayed.size
        if excess_ms > TOLERANCE_MS:
            before += self._decode_ahead(self.clock_hz * STRETCH_MS // 1000)
            may = is_pause(self._unplayed) or (not self._rest and excess_ms > SPEECH_MS)
            if before * 1000 >= STRETCH_MS * self.clock_hz and may:
                self._unplayed = shorten(self._unplayed, self.clock_hz, int(excess_ms * self.clock_hz / 1000))
        else:
            before += self._decode_ahead(self._block)
            is_behind = excess_ms < -BEHIND_MS and not self._rest
            if before >= self._block and (is_behind or self._is_overdue):
                self._unplayed = lengthen(self._history, self._unplayed, self.clock_hz)
        change = self._unplayed.size - before
        self.counts.inserted += max(0, change)
        self.counts.removed += max(0, -change)
        if change:
            self._rest = 2 if excess_ms > FAR_MS else 4

    def _decode_ahead(self, samples: int) -> int:
        """Decodes until so many are there or the next packet is missing; how many came."""
        before = self._unplayed.size
        while self._unplayed.size < samples:
            waiting = self._packets.first
            if waiting is None or self._next is None or waiting.timestamp > self._next:
                break
            self._decode(self._packets.pop())
        return self._unplayed.size - before

    @property
    def _is_overdue(self) -> bool:
        """Whether sound ends with the next pull, and the packet that should follow is later than nearly all were."""
        if len(self._packets) or self._next is None or self._unplayed.size >= 2 * self._block:
            return False
        return self._arrivals.delay_ms(self._ms(self._next)) > self._plan.usual_ms

    def _ms(self, timestamp: int) -> float:
        return (timestamp - self._epoch) * 1000.0 / self.clock_hz

    @property
    def _delay_ms(self) -> float:
        """Of the sample to be heard next, on the ruler of pulls."""
        return self._arrivals.delay_ms(self._ms(self.position or 0))

    # Figures ----------------------------------------------------------------------------------------------------------

    @property
    def position(self) -> int | None:
        """The timestamp (without wrap) of the sample to be heard next; None before the first."""
        return None if self._next is None else self._next - self._unplayed.size

    @property
    def target_ms(self) -> float:
        """How long sound should wait, above the fastest packet."""
        return max(0.0, self._plan.target_ms + self._plan.to_least_ms)

    @property
    def fill_ms(self) -> float:
        """How much sound waits."""
        return (self._packets.samples + self._unplayed.size) * 1000.0 / self.clock_hz

    @property
    def concealed_percent(self) -> float:
        """Sound made up, of all sound played."""
        made_up = self.counts.concealed
        return 100.0 * made_up / max(1, made_up, self.counts.sounded)

    @property
    def burst_ratio(self) -> float:
        """How much longer losses last than if they came independently (G.107 3): 1 at least."""
        counts = self.counts
        if not counts.bursts:
            return 1.0
        share = counts.lost / (counts.lost + counts.played)
        return max(1.0, counts.lost / counts.bursts * (1 - share))
