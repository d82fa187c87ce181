"""A call at the far end, whoever began it: the dialog, the description of its media, and what may happen inside.

              ┌── Answering (they call us)   ringing ──▶ answered ──ACK──▶ up ──BYE──▶ ended
    Call ─────┤
              └── Calling   (we call them)   calling ──▶ ringing ──200──▶ up ──BYE──▶ ended

Both answer a BYE, a re-INVITE and an UPDATE, and both speak or listen through a `Leg`. What a call tells its owner are
`CallUp` and `CallOver`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from imsphone.errors import ParseError
from imsphone.lab.leg import Leg, Service
from imsphone.lab.link import Link
from imsphone.machine import Address, Effect, Flow, Ids, Send, Tell
from imsphone.sdp import session as sdp
from imsphone.sdp.formats import Format
from imsphone.sdp.offer import agree, make_answer, make_offer, succeed
from imsphone.sdp.session import SessionDescription
from imsphone.sip.dialog import Dialog
from imsphone.sip.message import Message, Request, Response
from imsphone.sip.server import ServerTransaction
from imsphone.sip.timers import RFC_3261, Timers
from imsphone.sip.transactions import Transactions
from imsphone.sip.uri import Uri

FORMATS: Final = (Format(8, "PCMA", 8000), Format(0, "PCMU", 8000))
SDP: Final = "application/sdp"
ALLOW: Final = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, OPTIONS"
TIMERS: Final[Timers] = RFC_3261


@dataclass(frozen=True, slots=True)
class CallUp:
    """A call of this far end stands."""

    at: float
    call: str


@dataclass(frozen=True, slots=True)
class CallOver:
    """A call of this far end has ended: `status` is the final answer of one that never stood.

    `recorded` are the payloads that a recorder kept, one behind the other, of `encoding`.
    """

    at: float
    call: str
    status: int | None = None
    received: int = 0
    sent: int = 0
    encoding: str = ""
    recorded: bytes = b""


class Side(Protocol):
    """What a call needs of the far end that it belongs to."""

    address: Address
    ids: Ids
    transactions: Transactions

    def hop(self, uri: Uri) -> Flow: ...

    def links(self) -> tuple[Link, Link] | None: ...


class Call:
    """What both kinds of call share. `key` is the Call-ID, `media` where we receive once the world has said so."""

    def __init__(self, side: Side, key: str, service: Service) -> None:
        self.side = side
        self.key = key
        self.service: Service = service
        self.dialog: Dialog | None = None
        self.media: Address | None = None
        self.leg: Leg | None = None
        self.is_up = False
        self.is_over = False
        self._ours: SessionDescription | None = None
        self._encoding = ""
        self._accepted: tuple[ServerTransaction, bytes] | None = None  # a 200 to an INVITE that waits for its ACK
        self._repeat_at = self._give_up_at = self._interval_s = 0.0

    @property
    def deadline(self) -> float | None:
        """The leg's alarm and the call's own."""
        times = (self.leg.deadline if self.leg is not None else None, self.own_deadline())
        return min((at for at in times if at is not None), default=None)

    def own_deadline(self) -> float | None:
        """When `own_tick` is due: the next copy of an answer without its ACK."""
        return self._repeat_at if self._accepted is not None and not self.is_over else None

    def tick(self, now: float) -> list[Effect]:
        """The alarm."""
        effects = self.leg.tick(now) if self.leg is not None else []
        at = self.own_deadline()
        return effects + (self.own_tick(now) if at is not None and at <= now else [])

    def own_tick(self, now: float) -> list[Effect]:
        """Once more the 200, or BYE if there have been enough (RFC 3261 13.3.1.4)."""
        if self._accepted is None:
            return []
        if now >= self._give_up_at:
            return self.hang_up(now)
        self._interval_s = min(2 * self._interval_s, TIMERS.t2_s)
        self._repeat_at = now + self._interval_s
        transaction, data = self._accepted
        return [Send(data, transaction.flow)]

    # Media ------------------------------------------------------------------------------------------------------------

    def offer(self) -> bytes:
        """Our offer."""
        assert self.media is not None
        ids = self.side.ids
        made = make_offer(self.media, FORMATS, session_id=ids.number(32), version=1)
        self._ours = succeed(self._ours, made) if self._ours is not None else made
        return bytes(self._ours)

    def answer_to(self, offer: SessionDescription, now: float) -> bytes | None:
        """Our answer, and the leg that follows from it; None where we have nothing in common (488)."""
        assert self.media is not None
        made = make_answer(offer, self.media, FORMATS, session_id=self.side.ids.number(32), version=1)
        if made is None:
            return None
        self._ours = succeed(self._ours, made) if self._ours is not None else made
        self.connect(offer, now)
        return bytes(self._ours)

    def connect(self, theirs: SessionDescription, now: float) -> None:
        """Offer and answer are both there: the sound may flow."""
        if self._ours is None or (agreement := agree(self._ours, theirs)) is None:
            return
        self._encoding = agreement.encoding
        if self.leg is None:
            self.leg = Leg(agreement, self.service, self.side.ids, now, self.side.links())
        else:
            self.leg.change(agreement)

    # Inside the dialog ------------------------------------------------------------------------------------------------

    def request(self, method: str, now: float) -> list[Effect]:
        """A request of ours inside the dialog."""
        assert self.dialog is not None
        request = self.dialog.request(method)
        if method == "BYE":
            request.headers.add("Reason", 'SIP;cause=200;text="Far end ended it"')
        return self.side.transactions.request(request, self.way(request), now, self)[1]

    def way(self, request: Request) -> Flow:
        """Where a request of ours goes first."""
        routes = request.routes
        return self.side.hop(routes[0].uri if routes else request.target)

    def inside(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        """A request of theirs inside the dialog, BYE, re-INVITE, UPDATE or OPTIONS."""
        respond = self.side.transactions.respond
        if request.method == "BYE":
            return respond(transaction, request.answer(200), now) + self.over(now)
        if request.method == "INVITE":
            return self.accept(transaction, self._renegotiated(request, now), now)
        if request.method == "UPDATE":
            return respond(transaction, self._renegotiated(request, now), now)
        if request.method == "OPTIONS":
            response = request.answer(200)
            response.headers.add("Allow", ALLOW)
            return respond(transaction, response, now)
        response = request.answer(405)
        response.headers.add("Allow", ALLOW)
        return respond(transaction, response, now)

    def accept(self, transaction: ServerTransaction, response: Response, now: float) -> list[Effect]:
        """Answer an INVITE; a 200 is repeated until its ACK comes."""
        if response.status < 300:
            self._accepted = transaction, bytes(response)
            self._interval_s = TIMERS.t1_s
            self._repeat_at = now + self._interval_s
            self._give_up_at = now + TIMERS.timeout_s
        return self.side.transactions.respond(transaction, response, now)

    def acknowledge(self, request: Request, now: float) -> list[Effect]:
        """The ACK of a 200 of ours; it holds the answer where the 200 held the offer."""
        if self._accepted is None or self.is_over or request.cseq.number != self._accepted[0].request.cseq.number:
            return []
        self._accepted = None
        try:
            theirs = description(request)
        except ParseError:
            return self.hang_up(now)
        if theirs is not None:
            self.connect(theirs, now)
        return []

    def _renegotiated(self, request: Request, now: float) -> Response:
        """The answer to a re-INVITE or an UPDATE: hold, resume, a new address (RFC 3264 8)."""
        if (request.body or request.method == "INVITE") and (self.media is None or self._accepted is not None):
            return request.answer(491)
        response = request.answer(200)
        response.headers.add("Contact", f"<sip:{self.side.address}>")
        try:
            if request.body:
                body = self.answer_to(sdp.parse(request.body), now)
                if body is None:
                    return request.answer(488)
                response.set_body(body, SDP)
            elif request.method == "INVITE":
                response.set_body(self.offer(), SDP)
        except ParseError:
            return request.answer(400)
        assert self.dialog is not None
        self.dialog.refresh_target(request)  # RFC 3261 12.2.2: only what is accepted changes anything
        return response

    def hang_up(self, now: float) -> list[Effect]:
        """End it from here."""
        raise NotImplementedError

    def over(self, now: float, status: int | None = None) -> list[Effect]:
        """It has ended; nothing follows."""
        if self.is_over:
            return []
        self.is_over = True
        leg = self.leg
        if leg is None:
            return [Tell(CallOver(now, self.key, status))]
        event = CallOver(now, self.key, status, leg.received, leg.sent, self._encoding, bytes(leg.recorded))
        return [*leg.close(now), Tell(event)]


def description(message: Message) -> SessionDescription | None:
    """The SDP of a message, None where it has none. Raises ParseError where it cannot be read."""
    return sdp.parse(message.body) if message.body and message.content_type == SDP else None
