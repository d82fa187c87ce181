"""A call to a far end: it rings, it answers, it talks until somebody hangs up (RFC 3261 13.3, RFC 3262).

INVITE ──▶ busy: 486            silent: 180 and nothing more, until CANCEL
       ──▶ echo, recorder: OpenMedia ──▶ 180 ──(PRACK)──▶ 200 ··· repeated until ACK ──▶ up
                                          no PRACK: 504       no ACK: BYE
"""

from __future__ import annotations

from imsphone.errors import ParseError
from imsphone.lab.call import ALLOW, SDP, TIMERS, Call, CallUp, Side, description
from imsphone.lab.leg import Service
from imsphone.machine import Address, Ask, Effect, OpenMedia, Tell
from imsphone.sip.dialog import Dialog
from imsphone.sip.message import Request, Response
from imsphone.sip.reliable import ReliableResponses
from imsphone.sip.server import ServerTransaction


class Answering(Call):
    """One incoming call. With `answers_after_s` None it rings and never answers."""

    def __init__(
        self,
        side: Side,
        request: Request,
        transaction: ServerTransaction,
        service: Service,
        answers_after_s: float | None,
    ) -> None:
        super().__init__(side, request.call_id, service)
        self._request = request
        self._transaction = transaction
        self._answers_after_s = answers_after_s
        self._answer_at: float | None = None
        self._is_hanging_up = False
        self._tag = side.ids.tag()
        self.dialog = Dialog.from_request(request, self._tag)
        self._reliable: ReliableResponses | None = None
        if "100rel" in request.supported + request.require:
            self._reliable = ReliableResponses(side.ids.number(30), TIMERS)

    def start(self, now: float) -> list[Effect]:
        """The INVITE has come: ring, or first ask for a place to receive at."""
        if self._answers_after_s is None:
            return self._ring(now)
        return [Ask(OpenMedia(self.side.address.host), self.key)]

    def opened(self, media: Address | None, now: float) -> list[Effect]:
        """The world's answer."""
        if self.is_over:
            return []
        if media is None:
            return self._refuse(500, now)
        self.media = media
        return self._ring(now)

    def _ring(self, now: float) -> list[Effect]:
        if self._answers_after_s is not None:
            self._answer_at = now + self._answers_after_s
        ringing = self._respond(180)
        if self._reliable is None:
            return self.side.transactions.respond(self._transaction, ringing, now)
        sent = self._reliable.send(ringing, now)
        return [] if sent is None else self.side.transactions.respond(self._transaction, sent, now)

    def _respond(self, status: int) -> Response:
        response = self._request.answer(status, tag=self._tag)
        if status < 300:
            response.headers.add("Contact", f"<sip:{self.side.address}>")
            response.headers.add("Allow", ALLOW)
        return response

    # Before the answer ------------------------------------------------------------------------------------------------

    def inside(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        if request.method != "PRACK":
            is_offering = request.method == "INVITE" or (request.method == "UPDATE" and bool(request.body))
            if is_offering and not self._transaction.is_answered:
                return self.side.transactions.respond(transaction, self._too_early(request), now)
            return super().inside(request, transaction, now) + self._stopped(now)
        rack = request.rack
        fits = False
        if rack is not None and self._reliable is not None:
            fits, _ = self._reliable.acknowledge(rack, now)
        return self.side.transactions.respond(transaction, request.answer(200 if fits else 481), now)

    def _too_early(self, request: Request) -> Response:
        """A second INVITE or offer before the first has its answer (RFC 3261 14.2, RFC 3311 5.2): in 0 to 10 s."""
        response = request.answer(500)
        response.headers.add("Retry-After", str(self.side.ids.number(8) % 11))
        return response

    def _stopped(self, now: float) -> list[Effect]:
        """A BYE before the final answer ends the INVITE too (RFC 3261 15.1.2)."""
        if self.is_over and not self._transaction.is_answered:
            return self.side.transactions.respond(self._transaction, self._respond(487), now)
        return []

    def cancel(self, now: float) -> list[Effect]:
        """The caller gave up: 487, unless the answer had left already."""
        return [] if self._transaction.is_answered else self._refuse(487, now)

    def _refuse(self, status: int, now: float) -> list[Effect]:
        if self._reliable is not None:
            self._reliable.stop()
        self._answer_at = None
        return self.side.transactions.respond(self._transaction, self._respond(status), now) + self.over(now, status)

    # The answer -------------------------------------------------------------------------------------------------------

    def _answer(self, now: float) -> list[Effect]:
        self._answer_at = None
        ok = self._respond(200)
        ok.headers.add("Supported", "100rel")
        try:
            offered = description(self._request)
            body = self.offer() if offered is None else self.answer_to(offered, now)
        except ParseError:
            return self._refuse(400, now)
        if body is None:
            return self._refuse(488, now)
        ok.set_body(body, SDP)
        return self.accept(self._transaction, ok, now)

    def acknowledge(self, request: Request, now: float) -> list[Effect]:
        effects = super().acknowledge(request, now)
        if self._is_hanging_up and self._accepted is None:
            return effects + self.hang_up(now)
        if self.is_up or self.is_over or self._accepted is not None or not self._transaction.is_answered:
            return effects
        self.is_up = True
        return [*effects, Tell(CallUp(now, self.key))]

    def hang_up(self, now: float) -> list[Effect]:
        if self.is_over:
            return []
        if not self._transaction.is_answered:
            return self._refuse(480, now)
        if self._accepted is not None and now < self._give_up_at:
            self._is_hanging_up = True  # RFC 3261 15: not before the ACK, or before it can come no more
            return []
        return self.request("BYE", now) + self.over(now)

    # Time -------------------------------------------------------------------------------------------------------------

    def own_deadline(self) -> float | None:
        if self.is_over:
            return None
        waits = self._reliable is not None and not self._reliable.is_acknowledged
        answer_at = None if waits else self._answer_at
        reliable_at = self._reliable.deadline if self._reliable is not None else None
        times = (answer_at, reliable_at, super().own_deadline())
        return min((at for at in times if at is not None), default=None)

    def own_tick(self, now: float) -> list[Effect]:
        if self._reliable is not None and not self._reliable.is_acknowledged:
            repeated, is_given_up = self._reliable.tick(now)
            if is_given_up:
                return self._refuse(504, now)  # RFC 3262 3
            return [] if repeated is None else self.side.transactions.respond(self._transaction, repeated, now)
        if self._answer_at is not None and self._answer_at <= now:
            return self._answer(now)
        return super().own_tick(now)
