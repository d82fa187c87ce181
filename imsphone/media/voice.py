"""Both directions of one call's voice: samples to packets, packets to samples, and what the two ends report.

    pcm ──packet()──▶ encode, number ──▶ RTP ───────────────▶ the far end
    pcm ◀──pull()─── Playout ◀── Reception ◀──received()───── RTP
                        │            │
              figures() ┴────────────┴── rtcp() ──▶ SR or RR, SDES ◀── received_rtcp()

No socket and no clock: octets and arrival stamps (Unix time in nanoseconds) come in, octets go out. Nothing that the
peer sends raises; `received` says what was wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from imsphone.errors import ParseError
from imsphone.media.codecs.codec import Codec, Pcm
from imsphone.media.playout import Playout
from imsphone.media.quality import Measured, mos_of, rating
from imsphone.rtp import packet as rtp
from imsphone.rtp import rtcp as control
from imsphone.rtp.reception import Reception

BLOCK_MS = 10


class Voice:
    """One call's voice. `receives` says how each payload type that the peer may send is decoded.

    Samples, sequence and timestamp count on from the first ones given; `cname` names this end (RFC 7022).
    """

    def __init__(
        self,
        codec: Codec,
        payload_type: int,
        *,
        ssrc: int,
        first_sequence: int,
        first_timestamp: int,
        cname: str,
        ptime_ms: int = 20,
        receives: Mapping[int, Codec] | None = None,
    ) -> None:
        self.codec = codec
        self.payload_type = payload_type
        self.ptime_ms = ptime_ms
        self.ssrc = ssrc
        self._sequence = first_sequence & 0xFFFF
        self._timestamp = first_timestamp & 0xFFFFFFFF
        self._cname = cname
        self._begins_talkspurt = True
        self._sent = self._sent_octets = self._reported = 0
        self._playout = Playout(receives or {payload_type: codec})
        self._reception = Reception(codec.clock_hz)
        self._unbelieved: tuple[rtp.Packet, int] | None = None
        self._payload_types = frozenset(receives or {payload_type: codec})
        self._round_trip_s: float | None = None
        self._remote_lost: int | None = None

    # Out ----------------------------------------------------------------------------------------------------------

    @property
    def samples_a_packet(self) -> int:
        """What `packet` wants."""
        return self.codec.clock_hz * self.ptime_ms // 1000

    def packet(self, pcm: Pcm) -> bytes:
        """The next RTP packet, with this sound; the marker bit begins a talkspurt (RFC 3551 4.1)."""
        payload = self.codec.encode(pcm)
        packet = rtp.Packet(
            self.payload_type, self._sequence, self._timestamp, self.ssrc, payload, marker=self._begins_talkspurt
        )
        self._begins_talkspurt = False
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + pcm.size) & 0xFFFFFFFF
        self._sent += 1
        self._sent_octets += len(payload)
        return bytes(packet)

    def skip(self, samples: int) -> None:
        """So much time passes without a packet: the timestamp runs on (RFC 3550 5.1)."""
        self._timestamp = (self._timestamp + samples) & 0xFFFFFFFF
        self._begins_talkspurt = True

    # In -----------------------------------------------------------------------------------------------------------

    def received(self, data: bytes, arrival_ns: int) -> str | None:
        """A datagram came to the RTP port. What was wrong with it, or None."""
        try:
            packet = rtp.parse(data)
        except ParseError as error:
            return f"not RTP: {error}"
        if packet.payload_type not in self._payload_types:
            return f"payload type {packet.payload_type} was not agreed on"
        if not self._reception.update(packet, arrival_ns):
            self._unbelieved = packet, arrival_ns
            return None
        if self._unbelieved is not None:
            earlier, came_ns = self._unbelieved
            self._unbelieved = None
            if earlier.ssrc == packet.ssrc and (earlier.sequence + 1) & 0xFFFF == packet.sequence:
                self._playout.insert(earlier, came_ns)  # the first of the pair that made the source believed
        self._playout.insert(packet, arrival_ns)
        return None

    def pull(self) -> Pcm:
        """The next 10 ms to be heard, always."""
        return self._playout.pull()

    # RTCP ---------------------------------------------------------------------------------------------------------

    def rtcp(self, now_ns: int) -> bytes:
        """The report that is due: SR where something was sent since the last one, else RR; with our CNAME."""
        return control.compound(self._report(now_ns))

    def bye(self, now_ns: int) -> bytes:
        """The last report, and goodbye; no BYE from who never sent anything (RFC 3550 6.3.7)."""
        return control.compound([*self._report(now_ns), *([control.Bye((self.ssrc,))] if self._sent else [])])

    def _report(self, now_ns: int) -> list[control.Rtcp]:
        block = self._reception.report_block(now_ns)
        blocks = (block,) if block else ()
        report: control.Rtcp = control.ReceiverReport(self.ssrc, blocks)
        if self._sent > self._reported:
            ntp = control.ntp_of(now_ns)
            report = control.SenderReport(
                self.ssrc, ntp, self._timestamp, self._sent & 0xFFFFFFFF, self._sent_octets & 0xFFFFFFFF, blocks
            )
        self._reported = self._sent
        return [report, control.SourceDescription.named(self.ssrc, self._cname)]

    def received_rtcp(self, data: bytes, arrival_ns: int) -> str | None:
        """A datagram came to the RTCP port. What was wrong with it, or None."""
        try:
            packets = control.parse(data)
        except ParseError as error:
            return f"not RTCP: {error}"
        for packet in packets:
            if isinstance(packet, control.SenderReport):
                self._reception.sender_report(packet, arrival_ns)
            if isinstance(packet, control.SenderReport | control.ReceiverReport):
                for block in packet.blocks:
                    if block.ssrc == self.ssrc:
                        self._round_trip_s = block.round_trip_s(arrival_ns) or self._round_trip_s
                        self._remote_lost = block.cumulative_lost
        return None

    # Figures ------------------------------------------------------------------------------------------------------

    def figures(self) -> Measured:
        """Everything measured from the beginning until now.

        R counts as delay from mouth to ear what is known of it: a packet's length, half the round trip and the playout.
        """
        playout, reception = self._playout, self._reception
        mean_ms = playout.delays.mean_ms
        round_trip_ms = None if self._round_trip_s is None else self._round_trip_s * 1000
        delay_ms = self.ptime_ms + (round_trip_ms or 0.0) / 2 + mean_ms
        r = rating(delay_ms, playout.counts.concealed_percent, playout.bursts.burst_ratio)
        remote_lost = self._remote_lost
        return Measured(
            sent=self._sent,
            received=reception.received,
            lost=reception.lost,
            late=playout.counts.late,
            duplicated=reception.duplicated,
            jitter_ms=reception.jitter_ms,
            playout_mean_ms=mean_ms,
            playout_p95_ms=playout.delays.p95_ms,
            target_ms=playout.target_ms,
            fill_ms=playout.fill_ms,
            concealed_percent=playout.counts.concealed_percent,
            r=r,
            mos=mos_of(r),
            round_trip_ms=round_trip_ms,
            remote_lost_percent=None if remote_lost is None else 100.0 * max(0, remote_lost) / max(1, self._sent),
        )
