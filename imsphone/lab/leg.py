"""The sound of a call at the far end: it comes back, or it is kept.

    RTP ──▶ link in ──▶ heap ──▶ counted ──▶ echo: own SSRC, same payload ──▶ link out ──▶ heap ──▶ RTP
                                        └──▶ recorder: payload kept          RTCP: a report now and then

The echo is a mirror, not a new speaker: numbers and timestamps of what it sends keep the distances of what it heard (as
a translator's do, RFC 3550 7.1), so a packet that was lost on the way here is missing on the way back as well, and the
listener's figures speak of both ways. The SSRC is its own, or the phone would hear its own source and call it a loop
(RFC 3550 8.2).

Both links are driven by the machine's own deadline: nothing here sleeps.
"""

from __future__ import annotations

import heapq
from typing import Final, Literal

from imsphone.errors import ParseError
from imsphone.lab.link import Link
from imsphone.machine import Address, Effect, Flow, Ids, Send
from imsphone.rtp import packet as rtp
from imsphone.rtp import rtcp
from imsphone.rtp.packet import Packet
from imsphone.rtp.reception import Reception
from imsphone.sdp.offer import Agreement

Service = Literal["echo", "recorder"]

MOST_RECORDED_BYTES: Final = 16 << 20
_MOST_UNDER_WAY: Final = 2000


class Leg:
    """One stream each way. `links` are the way in and the way out; None: nothing stands between."""

    def __init__(
        self, agreement: Agreement, service: Service, ids: Ids, now: float, links: tuple[Link, Link] | None = None
    ) -> None:
        self.recorded = bytearray()
        self.received = 0
        self.sent = 0
        self._agreement = agreement
        self._service = service
        self._ids = ids
        self._links = links
        self._under_way: list[tuple[float, int, bool, bytes]] = []  # when, order, is going out, octets
        self._order = 0
        self._ssrc = ids.number(32)
        self._reception = Reception(agreement.clock_hz)
        self._schedule = rtcp.RtcpSchedule(now, self._factor(), rtcp_bps=agreement.rtcp_bps)
        self._heard_ssrc: int | None = None
        self._sequence_shift = self._timestamp_shift = 0
        self._next_sequence = ids.number(16)
        self._last: tuple[int, float] | None = None  # timestamp of the last packet sent, and when
        self._sent_octets = 0

    @property
    def deadline(self) -> float | None:
        """The next packet that comes out of a link, or the next report."""
        times = (self._under_way[0][0] if self._under_way else None, self._schedule.deadline)
        return min((at for at in times if at is not None), default=None)

    def change(self, agreement: Agreement) -> None:
        """A later offer and answer."""
        self._agreement = agreement

    def receive(self, data: bytes, now: float) -> list[Effect]:
        """A datagram on the RTP address."""
        if self._links is None:
            return self._hear(data, now)
        self._send_through(self._links[0], data, now, is_going_out=False)
        return []

    def receive_rtcp(self, data: bytes, now: float) -> list[Effect]:
        """A datagram on the RTCP address."""
        try:
            packets = rtcp.parse(data)
        except ParseError:
            return []
        self._schedule.rtcp_received(len(data), now)
        for packet in packets:
            if isinstance(packet, rtcp.SenderReport):
                self._reception.sender_report(packet, _ns(now))
            elif isinstance(packet, rtcp.Bye):
                self._schedule.bye_received()
        return []

    def tick(self, now: float) -> list[Effect]:
        """What has come through a link by now, and the report that is due."""
        effects: list[Effect] = []
        while self._under_way and self._under_way[0][0] <= now:
            _, _, is_going_out, data = heapq.heappop(self._under_way)
            effects += [self._out(data)] if is_going_out else self._hear(data, now)
        if self._schedule.is_due(now, self._factor()):
            effects += self._report(now)
        return effects

    def close(self, now: float) -> list[Effect]:
        """The call is over: say goodbye to the source's listeners (RFC 3550 6.3.7)."""
        return self._send_rtcp([self._head(now), self._name(), rtcp.Bye((self._ssrc,))], now) if self.sent else []

    # RTP --------------------------------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> list[Effect]:
        try:
            packet = rtp.parse(data)
        except ParseError:
            return []
        if not any(packet.payload_type == known.payload_type for known in self._agreement.receives):
            return []
        self._reception.update(packet, _ns(now))
        self._schedule.rtp_received(now)
        self.received += 1
        if self._service == "recorder":
            room = MOST_RECORDED_BYTES - len(self.recorded)
            self.recorded += packet.payload[: max(0, room)]
            return []
        if self._agreement.direction not in ("sendrecv", "sendonly"):
            return []
        return self._mirror(packet, now)

    def _mirror(self, packet: Packet, now: float) -> list[Effect]:
        if packet.ssrc != self._heard_ssrc:
            self._heard_ssrc = packet.ssrc
            self._sequence_shift = self._next_sequence - packet.sequence
            if self._last is None:
                self._timestamp_shift = self._ids.number(32)
            else:  # a new source goes on where the old one was by now
                timestamp, at = self._last
                self._timestamp_shift = timestamp + int((now - at) * self._agreement.clock_hz) - packet.timestamp
        sequence = packet.sequence + self._sequence_shift & 0xFFFF
        timestamp = packet.timestamp + self._timestamp_shift & 0xFFFFFFFF
        if (sequence - self._next_sequence & 0xFFFF) < 0x8000:
            self._next_sequence = sequence + 1 & 0xFFFF
            self._last = (timestamp, now)
        back = bytes(Packet(packet.payload_type, sequence, timestamp, self._ssrc, packet.payload, packet.marker))
        self.sent += 1
        self._sent_octets += len(packet.payload)
        self._schedule.rtp_sent(now)
        if self._links is None:
            return [self._out(back)]
        self._send_through(self._links[1], back, now, is_going_out=True)
        return []

    def _send_through(self, link: Link, data: bytes, now: float, *, is_going_out: bool) -> None:
        for at in link.carry(now):
            if len(self._under_way) < _MOST_UNDER_WAY:
                self._order += 1
                heapq.heappush(self._under_way, (at, self._order, is_going_out, data))

    def _out(self, data: bytes) -> Send:
        return Send(data, Flow("UDP", self._agreement.local, self._agreement.remote))

    # RTCP -------------------------------------------------------------------------------------------------------------

    def _report(self, now: float) -> list[Effect]:
        return self._send_rtcp([self._head(now), self._name()], now)

    def _send_rtcp(self, packets: list[rtcp.Rtcp], now: float) -> list[Effect]:
        remote = self._agreement.remote_rtcp
        if remote is None:
            return []
        data = rtcp.compound(packets)
        self._schedule.rtcp_sent(len(data), now, self._factor())
        local = self._agreement.local
        return [Send(data, Flow("UDP", Address(local.host, local.port + 1), remote))]

    def _head(self, now: float) -> rtcp.Rtcp:
        block = self._reception.report_block(_ns(now))
        blocks = () if block is None else (block,)
        if not self._schedule.is_sender or self._last is None:
            return rtcp.ReceiverReport(self._ssrc, blocks)
        timestamp, at = self._last
        clock = timestamp + int((now - at) * self._agreement.clock_hz) & 0xFFFFFFFF
        return rtcp.SenderReport(
            self._ssrc, rtcp.ntp_of(_ns(now)), clock, self.sent & 0xFFFFFFFF, self._sent_octets & 0xFFFFFFFF, blocks
        )

    def _name(self) -> rtcp.Rtcp:
        return rtcp.SourceDescription.named(self._ssrc, f"{self._service}@{self._agreement.local.host}")

    def _factor(self) -> float:
        return self._ids.number(32) / 2**32


def _ns(now: float) -> int:
    return int(now * 1_000_000_000)
