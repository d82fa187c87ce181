"""Offer and answer in one dialog: who has described what, what flows by now, and what has not been told yet.

    stable ── offer() ──▶ offering ── conclude(answer) ──▶ stable          ours went out, theirs came
    stable ── answer(offer) ─────────────────────────────▶ stable          theirs came, ours went out

An INVITE may reach several phones; each answers the same offer in its own early dialog, so each dialog has its own
`Negotiation`, `fork`ed from the one that made the offer. Media starts when the call is answered and not before: what a
microphone hears while it rings is nobody's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from imsphone.errors import ProfileError
from imsphone.events import CallHeld, CallResumed, MediaChanged, MediaStarted
from imsphone.machine import Address, Effect, Tell
from imsphone.sdp.formats import PCMA, PCMU, Format
from imsphone.sdp.offer import Agreement, agree, make_answer, make_offer, make_reoffer, succeed
from imsphone.sdp.session import SessionDescription, parse

_FORMATS = {one.encoding: one for one in (PCMA, PCMU)}


def formats_for(codecs: Sequence[str]) -> tuple[Format, ...]:
    """The formats of a profile's `codecs`, in its order. Raises ProfileError for one that the phone does not have."""
    for name in codecs:
        if name.upper() not in _FORMATS:
            raise ProfileError(f"codecs names {name}, which this phone does not have; it has {', '.join(_FORMATS)}")
    return tuple(_FORMATS[name.upper()] for name in codecs)


class Negotiation:
    """One dialog's offers and answers, with our RTP received at `local`; `session_id` is below 2**62."""

    def __init__(self, local: Address, formats: Sequence[Format], session_id: int, ptime_ms: int) -> None:
        self.is_offering = False
        self.agreement: Agreement | None = None
        self._local_address = local
        self._formats = tuple(formats)
        self._session_id = session_id
        self._ptime_ms = ptime_ms
        self._local: SessionDescription | None = None
        self._remote: SessionDescription | None = None
        self._told: Agreement | None = None

    def fork(self) -> Negotiation:
        """The same offer, for one more dialog that it made."""
        twin = Negotiation(self._local_address, self._formats, self._session_id, self._ptime_ms)
        twin._local, twin.is_offering = self._local, self.is_offering
        return twin

    @property
    def is_complete(self) -> bool:
        """Whether an offer has found its answer and none of ours waits."""
        return self._local is not None and self._remote is not None and not self.is_offering

    def offer(self) -> bytes:
        """Our offer: the first of the session, or a later one with all that we have (RFC 3261 14.2, RFC 3264 8)."""
        if self._local is None:
            self._local = make_offer(
                self._local_address, self._formats, session_id=self._session_id, version=1, ptime_ms=self._ptime_ms
            )
        else:
            self._local = make_reoffer(self._local, direction="sendrecv", formats=self._formats)
        self.is_offering = True
        return bytes(self._local)

    def answer(self, body: bytes) -> bytes | None:
        """Our answer to their offer, None where nothing in it is for us (488). Raises ParseError."""
        offer = parse(body)
        answer = make_answer(
            offer,
            self._local_address,
            self._formats,
            session_id=self._session_id,
            version=1,
            ptime_ms=self._ptime_ms,
        )
        if answer is None:
            return None
        self._local = answer if self._local is None else succeed(self._local, answer)
        self._remote = offer
        self.agreement = agree(self._local, self._remote)
        return bytes(self._local)

    def conclude(self, body: bytes) -> bool:
        """Takes their answer to our offer; whether anything can flow. Raises ParseError."""
        self._remote = parse(body)
        self.is_offering = False
        assert self._local is not None  # an offer of ours comes first
        self.agreement = agree(self._local, self._remote)
        return self.agreement is not None

    def news(self, call: str, now: float) -> list[Effect]:
        """What changed since this was asked last, as MediaStarted or MediaChanged, CallHeld and CallResumed."""
        told, flows = self._told, self.agreement
        if flows is None and told is not None:  # the stream was refused or taken away: it stands still
            flows = replace(told, direction="inactive")
        if flows is None or flows == told:
            return []
        self._told = flows
        event = (MediaStarted if told is None else MediaChanged)(
            at=now,
            call=call,
            local=(flows.local.host, flows.local.port),
            remote=(flows.remote.host, flows.remote.port),
            codec=flows.encoding,
            payload_type=flows.payload_type,
            clock_hz=flows.clock_hz,
            ptime_ms=flows.ptime_ms,
            direction=flows.direction,
            receives=tuple((one.payload_type, one.encoding) for one in flows.receives),
            remote_rtcp=flows.remote_rtcp and (flows.remote_rtcp.host, flows.remote_rtcp.port),
            rtcp_bps=flows.rtcp_bps if flows.remote_rtcp else 0,
        )
        if flows.is_held == (told is not None and told.is_held):
            return [Tell(event)]
        return [Tell(event), Tell(CallHeld(at=now, call=call) if flows.is_held else CallResumed(at=now, call=call))]
