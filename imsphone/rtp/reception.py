"""What a receiver counts of the stream that it hears (RFC 3550 appendix A).

A source is believed only after two packets in a row, at the start, after a wild jump, and when its SSRC changes: one
stray or forged packet moves nothing (A.1). Near the highest number so far there are three kinds of packet:

        ◀──── 99 behind ────▶◀───── 2999 ahead ─────▶
    ────┬────────────────────┬───────────────────────┬────
    jump│  late or duplicate │    next, or a gap     │jump        highest = 0 in this picture
    ────┴────────────────────┴───────────────────────┴────

What RFC 3550 reports and what a person wants to read differ in two points. Reports start afresh when the source does,
the figures of a call do not; and a duplicate makes up for a loss in a report (A.3), but not in the figures.
"""

from __future__ import annotations

from imsphone.rtp.packet import Packet
from imsphone.rtp.rtcp import ReportBlock, SenderReport, middle_of

_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_WINDOW = (1 << _MAX_MISORDER) - 1
_CANDIDATES = 4  # sources on probation at a time


class Reception:
    """The statistics of one stream; constant memory, whatever comes.

    Arrival times are nanoseconds on one clock, best the kernel's stamps; `now_ns` is on the same clock. `clock_hz` is
    the RTP clock.
    """

    __slots__ = (
        "_arrival_ns",
        "_base",
        "_candidates",
        "_clock_hz",
        "_expected_before",
        "_expected_prior",
        "_highest",
        "_jitter",
        "_received",
        "_received_before",
        "_received_prior",
        "_sender_report",
        "_timestamp",
        "_window",
        "discarded",
        "duplicated",
        "reordered",
        "restarts",
        "ssrc",
    )

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self.ssrc: int | None = None
        """The source that is believed; None before the first."""
        self.duplicated = 0
        """Packets that had come before (of the last hundred numbers)."""
        self.reordered = 0
        """Packets that came after one with a higher number."""
        self.discarded = 0
        """Packets that were not believed."""
        self.restarts = 0
        """How often the source changed, or jumped."""
        # SSRC of a packet not believed: the number that would prove it, its timestamp and arrival
        self._candidates: dict[int, tuple[int, int, int]] = {}
        self._base = self._highest = 0  # the first and the highest number of this source, extended
        self._window = 0  # bit n: highest - n has come
        self._received = self._expected_prior = self._received_prior = 0
        self._expected_before = self._received_before = 0  # of sources before this one
        self._jitter = 0.0  # in units of the RTP clock
        self._arrival_ns = self._timestamp = 0  # of the packet before
        self._sender_report: tuple[int, int, int] | None = None  # SSRC, LSR, arrival

    def update(self, packet: Packet, arrival_ns: int) -> bool:
        """Count a packet. False: not (yet) believed, do not play it.

        The packet before one that is believed after others were not was the first of its pair and is counted
        belatedly; whoever kept it may play it after all (A.1 leaves the choice).
        """
        sequence = packet.sequence
        ahead = (sequence - self._highest) & 0xFFFF
        if packet.ssrc != self.ssrc:
            return self._audition(packet, arrival_ns)
        if 0 < ahead < _MAX_DROPOUT:
            self._highest += ahead
            self._window = (self._window << ahead | 1) & _WINDOW if ahead < _MAX_MISORDER else 1
        elif ahead == 0 or ahead > 0x10000 - _MAX_MISORDER:
            self._count_late((0x10000 - ahead) & 0xFFFF)
        else:
            return self._audition(packet, arrival_ns)
        self._received += 1
        if self._candidates:
            self._candidates.clear()  # A.1: it is the next packet that must prove a jump
        self._measure(packet.timestamp, arrival_ns)
        return True

    def sender_report(self, report: SenderReport, arrival_ns: int) -> None:
        """An SR came; the next report block of its source says so, and when."""
        self._sender_report = (report.ssrc, middle_of(report.ntp), arrival_ns)

    def report_block(self, now_ns: int) -> ReportBlock | None:
        """What to say of the source in a report sent now, after which a new interval begins.

        None where nothing came from it since the last report (RFC 3550 6.4).
        """
        received = self._received - self._received_prior
        if self.ssrc is None or not received:
            return None
        expected_all = self._highest - self._base + 1
        expected = expected_all - self._expected_prior
        self._expected_prior, self._received_prior = expected_all, self._received
        lost = expected - received
        lsr, delay_ns = 0, 0
        if self._sender_report and self._sender_report[0] == self.ssrc:
            _, lsr, arrival_ns = self._sender_report
            delay_ns = max(now_ns - arrival_ns, 0)
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=(lost << 8) // expected if lost > 0 else 0,
            cumulative_lost=min(max(expected_all - self._received, -0x80_0000), 0x7F_FFFF),
            highest_sequence=self._highest & 0xFFFF_FFFF,
            jitter=min(int(self._jitter), 0xFFFF_FFFF),
            lsr=lsr,
            dlsr=min(delay_ns * 65536 // 1_000_000_000, 0xFFFF_FFFF),
        )

    # The figures of the whole call ----------------------------------------------------------------------------------

    @property
    def received(self) -> int:
        """Packets believed, duplicates too."""
        return self._received_before + self._received

    @property
    def expected(self) -> int:
        """Packets that must have been sent, from the first to the highest of each source."""
        return self._expected_before + (self._highest - self._base + 1 if self.ssrc is not None else 0)

    @property
    def lost(self) -> int:
        """Packets that never came."""
        return max(self.expected - (self.received - self.duplicated), 0)

    @property
    def jitter_ms(self) -> float:
        """The interarrival jitter of RFC 3550 6.4.1 as it is now."""
        return self._jitter * 1000 / self._clock_hz

    def figures(self) -> dict[str, float]:
        """The figures of a call's report."""
        return {
            "packets_received": self.received,
            "packets_expected": self.expected,
            "packets_lost": self.lost,
            "packets_duplicated": self.duplicated,
            "packets_reordered": self.reordered,
            "packets_discarded": self.discarded,
            "jitter_ms": self.jitter_ms,
        }

    # ----------------------------------------------------------------------------------------------------------------

    def _count_late(self, behind: int) -> None:
        bit = 1 << behind
        if self._window & bit:
            self.duplicated += 1
            return
        self._window |= bit
        self.reordered += 1
        self._base = min(self._base, self._highest - behind)

    def _measure(self, timestamp: int, arrival_ns: int) -> None:
        # A.8, in the order of arrival; the difference of two timestamps is signed
        sent = ((timestamp - self._timestamp) & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
        spread = abs((arrival_ns - self._arrival_ns) * self._clock_hz / 1_000_000_000 - sent)
        self._jitter += (spread - self._jitter) / 16
        self._timestamp, self._arrival_ns = timestamp, arrival_ns

    def _audition(self, packet: Packet, arrival_ns: int) -> bool:
        ssrc, sequence = packet.ssrc, packet.sequence
        awaited, timestamp, before_ns = self._candidates.pop(ssrc, (-1, 0, 0))
        if sequence != awaited:
            if len(self._candidates) == _CANDIDATES:
                self._candidates.clear()
            self._candidates[ssrc] = ((sequence + 1) & 0xFFFF, packet.timestamp, arrival_ns)
            self.discarded += 1
            return False
        if self.ssrc is not None:
            self.restarts += 1
            self._expected_before, self._received_before = self.expected, self.received
        self.ssrc = ssrc
        self.discarded -= 1
        self._candidates.clear()
        self._base, self._highest, self._window = sequence - 1, sequence, 0b11
        self._received, self._received_prior, self._expected_prior = 2, 0, 0
        self._jitter, self._timestamp, self._arrival_ns = 0.0, timestamp, before_ns
        self._measure(packet.timestamp, arrival_ns)
        return True
