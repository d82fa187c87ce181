"""The called side of a call (TS 24.229 5.1.4, RFC 3261 13.3, RFC 3262 3).

    opening ─▶ ringing ── answer ──▶ active ─▶ ended               100 at once, media ports, 180
                  │          └─▶ accepting ─ PRACK ─▶ active       no 2xx while a reliable answer waits for its PRACK
                  └─ CANCEL 487, reject, no answer 480 ─▶ ended

Where the caller takes reliable responses the 180 is one and carries our answer; else the 200 does. An INVITE without an
offer gets ours in the first message that is sure to arrive, and the caller's answer comes with its acknowledgement.
"""

from __future__ import annotations

from typing import Any

from imsphone.errors import StateError
from imsphone.events import CallAnswered, CallIncoming, CallRinging
from imsphone.ims.agent import Agent, Binding
from imsphone.ims.moves import moves, take
from imsphone.ims.negotiation import Negotiation, formats_for
from imsphone.ims.session import Acceptance, Leg, Session, Side, State, asserted_identity
from imsphone.machine import Address, Ask, Effect, OpenMedia, Tell
from imsphone.sip.dialog import Dialog
from imsphone.sip.message import REASONS, Request
from imsphone.sip.reliable import ReliableResponses
from imsphone.sip.server import ServerTransaction

MOVES = moves("""
                 opened   answer   reject   hangup   cancelled  acknowledged  silent   alarm
    opening      ring     object   refuse   decline  cancel     .             .        .
    ringing      .        accept   refuse   decline  cancel     .             abort    expire
    accepting    .        object   object   decline  cancel     go_on         abort    .
    active       .        object   object   bye      .          .             .        .
    ended        .        object   object   .        .          .             .        .
""")

_SAY_AGAIN_S = 60.0  # RFC 3261 13.3.1.1: else a proxy takes us for gone


class IncomingCall(Session):
    """A call to us, made by `transaction`'s INVITE. Raises ParseError where that makes no dialog."""

    def __init__(self, agent: Agent, binding: Binding, key: str, transaction: ServerTransaction) -> None:
        request = transaction.request
        caller = asserted_identity(request) or request.from_
        called = [str(one.uri.bare()) for one in request.addresses("P-Called-Party-ID")]
        impu = next((one for one in called if one in binding.impus), binding.impu)
        super().__init__(agent, binding.flow, key, str(caller.uri), impu)
        self.invite = transaction
        self._caller = caller
        self._phase = "opening"
        self._dialog = Dialog.from_request(request, key)
        self._has_offer = bool(request.body)
        must_be_reliable = "100rel" in request.require
        # RFC 3261 13.2.1: without an offer the first reliable message makes one; the 200 will do if it may
        self._is_reliable = must_be_reliable or ("100rel" in request.supported and self._has_offer)
        self._reliable = ReliableResponses(agent.ids.number(30), agent.timers)  # RFC 3262 3: below 2^31
        self._description = b""
        self._is_described = False  # a description of ours has left in a reliable response
        self._give_up_at: float | None = None
        self._expires_at: float | None = None
        self._say_again_at: float | None = None

    @property
    def state(self) -> State:
        return "active" if self._phase == "active" else "ended" if self._phase == "ended" else "incoming"

    @property
    def deadline(self) -> float | None:
        times = (super().deadline, self._reliable.deadline, self._give_up_at, self._expires_at, self._say_again_at)
        return min((at for at in times if at is not None), default=None)

    def is_same(self, request: Request) -> bool:
        """Whether an INVITE is ours again by another way (RFC 3261 8.2.2.2)."""
        ours = self.invite.request
        same = (ours.call_id, ours.cseq, ours.from_.tag)
        return same == (request.call_id, request.cseq, request.from_.tag)

    def _refuse_offer(self, request: Request, leg: Leg) -> int:
        # RFC 3261 14.2: their first INVITE has no final answer yet; RFC 3311 5.2: nor their first offer one at all
        if self.state == "incoming" and (request.method == "INVITE" or not self._is_described):
            return 500
        return super()._refuse_offer(request, leg)

    # Inputs -----------------------------------------------------------------------------------------------------------

    def begin(self, now: float) -> list[Effect]:
        """100 at once, then the question for media ports; 415 or 488 for an offer that is none or is not for us."""
        request = self.invite.request
        if self._has_offer and not self._is_sdp(request):
            return self._end_with(415, "local", now)
        if self._has_offer and self._try_answer(self._negotiation(Address(self.flow.local.host, 9)), request) is None:
            return self._end_with(488, "local", now)  # before any port is opened
        if request.expires is not None:
            self._expires_at = now + request.expires
        trying = self._agent.answer(request, 100)
        question = Ask(OpenMedia(self.flow.local.host, self.key), self.key)
        return [*self._agent.transactions.respond(self.invite, trying, now), question]

    def opened(self, result: Any, now: float) -> list[Effect]:
        """The ports are there, or none can be had."""
        return self._move("opened", result, now)

    def answer(self, now: float) -> list[Effect]:
        """The user takes the call. Raises StateError where it does not ring."""
        return self._move("answer", now)

    def reject(self, now: float, status: int) -> list[Effect]:
        """The user refuses it. Raises StateError where it does not ring."""
        return self._move("reject", now, status)

    def hangup(self, now: float) -> list[Effect]:
        """The user wants it ended, whatever it takes."""
        return self._move("hangup", now)

    def cancelled(self, now: float, reason: str = "") -> list[Effect]:
        """The caller's CANCEL came; `reason` is the text of its Reason, for the user (RFC 3326)."""
        return self._move("cancelled", now, reason)

    def tick(self, now: float) -> list[Effect]:
        effects = super().tick(now)
        response, is_silent = self._reliable.tick(now)
        if response is not None:
            effects += self._agent.transactions.respond(self.invite, response, now)
        if is_silent:
            effects += self._move("silent", now)
        if self._expires_at is not None and now >= self._expires_at:
            effects += self._move("cancelled", now)  # RFC 3261 13.3.1 step 1: as if the caller had said so
        if self._say_again_at is not None and now >= self._say_again_at:
            effects += self._send_180(now)
        if self._give_up_at is not None and now >= self._give_up_at:
            effects += self._move("alarm", now)
        return effects

    def _move(self, name: str, *arguments: Any) -> list[Effect]:
        return take(MOVES, self, self._phase, name, *arguments)

    def _object(self, *_: Any) -> list[Effect]:
        raise StateError(f"this call is {self.state}: only one that rings here is answered or rejected")

    def cut(self, now: float, reason: str) -> list[Effect]:
        self._reliable.stop()
        told = super().cut(now, reason)
        return told if self.leg else []  # who was not told of the call need not hear of its end

    # Ringing ----------------------------------------------------------------------------------------------------------

    def _ring(self, result: Any, now: float) -> list[Effect]:
        if not isinstance(result, Address):
            return self._end_with(500, "local", now)
        negotiation = self._negotiation(result)
        answer = self._try_answer(negotiation, self.invite.request) if self._has_offer else None
        self._description = answer or negotiation.offer()
        self.leg = Leg(self._dialog, negotiation)
        self._phase = "ringing"
        self._give_up_at = now + self._agent.profile.no_answer_s
        told = CallIncoming(at=now, call=self.key, remote=self.remote, display_name=self._caller.display_name)
        return [*self._send_180(now), Tell(told), Tell(CallRinging(at=now, call=self.key))]

    def _negotiation(self, local: Address) -> Negotiation:
        profile, ids = self._agent.profile, self._agent.ids
        return Negotiation(local, formats_for(profile.codecs), ids.number(61), profile.ptime_ms)

    def _send_180(self, now: float) -> list[Effect]:
        agent, request = self._agent, self.invite.request
        self._say_again_at = now + _SAY_AGAIN_S
        if self._is_reliable and not self._reliable.is_acknowledged:
            return []  # it is repeated anyway
        body = self._description if self._is_reliable and not self._is_described else b""
        ringing = agent.answer(request, 180, tag=self.key, contact=self.contact, body=body)
        if self._is_reliable:
            self._is_described = True
            self._reliable.send(ringing, now)
        return agent.transactions.respond(self.invite, ringing, now)

    def _on_prack(self, request: Request, transaction: ServerTransaction, leg: Leg, now: float) -> list[Effect]:
        """RFC 3262 3: 200 if it fits what waits, else 481; it may answer our offer, or make one of its own."""
        rack = request.rack
        if rack is None or not self._reliable.acknowledge(rack, now)[0]:
            return self._answer(transaction, 481, now)
        if self.state == "ended":
            return self._answer(transaction, 200, now)
        body: bytes | None = b""
        if leg.negotiation.is_offering:
            if not self._is_answer(leg.negotiation, request):
                return [*self._answer(transaction, 488, now), *self._refuse(now, 488)]
        elif request.body:
            body = self._try_answer(leg.negotiation, request) if self._is_sdp(request) else None
            if body is None:
                return [*self._answer(transaction, 488, now), *self._move("acknowledged", now)]
        response = self._agent.answer(request, 200, contact=self.contact if body else "", body=body or b"")
        return [*self._agent.transactions.respond(transaction, response, now), *self._move("acknowledged", now)]

    # Answering --------------------------------------------------------------------------------------------------------

    def _accept(self, now: float) -> list[Effect]:
        self._give_up_at = self._say_again_at = None
        if not self._reliable.is_acknowledged:  # RFC 3262 3: it holds a description
            self._phase = "accepting"
            return []
        return self._go_on(now)

    def _go_on(self, now: float) -> list[Effect]:
        """The 200, with our description unless it has gone before (RFC 3261 13.2.1)."""
        assert self.leg is not None
        self._phase, self._expires_at = "active", None
        body = b"" if self._is_described else self._description
        response = self._agent.answer(self.invite.request, 200, tag=self.key, contact=self.contact, body=body)
        self._reliable.stop()
        effects = self._agent.transactions.respond(self.invite, response, now)
        self._dialog.is_confirmed = True
        self._acceptance = Acceptance(response, self.invite, self.leg, self._agent, now)
        told = Tell(CallAnswered(at=now, call=self.key, remote=self.remote))
        return [*effects, told, *self._news(self.leg, now)]

    # The ends ---------------------------------------------------------------------------------------------------------

    def _on_bye(self, request: Request, transaction: ServerTransaction, leg: Leg, now: float) -> list[Effect]:
        effects: list[Effect] = []
        if self.state == "incoming":  # RFC 3261 15.1.2: the pending INVITE is answered 487
            self._reliable.stop()
            effects = self._answer(self.invite, 487, now)
        return [*super()._on_bye(request, transaction, leg, now), *effects]

    def _bye(self, now: float) -> list[Effect]:
        return self._leave(self.leg, now) if self.leg else []

    def _decline(self, now: float) -> list[Effect]:
        return self._refuse(now, 603)

    def _refuse(self, now: float, status: int) -> list[Effect]:
        return self._end_with(status, "local", now)

    def _cancel(self, now: float, reason: str = "") -> list[Effect]:
        return self._end_with(487, "remote", now, reason)

    def _expire(self, now: float) -> list[Effect]:
        return self._end_with(480, "local", now, "no answer")

    def _abort(self, now: float) -> list[Effect]:
        """RFC 3262 3: no PRACK for 64 T1."""
        return self._end_with(500, "network", now, "no PRACK")

    def _end_with(self, status: int, by: Side, now: float, reason: str = "") -> list[Effect]:
        """The INVITE's final refusal; who was not told of the call need not hear of its end."""
        self._reliable.stop()
        effects = self._answer(self.invite, status, now)
        told = self._end(by, now, status, reason or REASONS.get(status, ""))
        return [*effects, *told] if self.leg else effects

    def _close(self) -> None:
        self._phase = "ended"
        self._give_up_at = self._expires_at = self._say_again_at = None
