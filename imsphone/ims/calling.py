"""The caller's side of a call (TS 24.229 5.1.3, RFC 3261 13.2, RFC 3262 4).

    opening ─▶ calling ─1xx─▶ proceeding ─2xx─▶ active ─▶ ended          media ports first, then INVITE
                  │               │
                  └── hangup ─────┴─▶ cancelling ─ 487 ─▶ ended          a 200 may cross the CANCEL: ACK and BYE

One INVITE may ring at several phones (a fork): each To tag is a leg with its own PRACKs and its own answer. The first
2xx is the call; every other is acknowledged and ended. Each repeat of a 2xx gets the same ACK again.
"""

from __future__ import annotations

from typing import Any

from imsphone.errors import ParseError
from imsphone.events import CallAnswered, CallProgressed, CallRinging, EmergencyOffered
from imsphone.ims.agent import SDP, Agent, Binding
from imsphone.ims.alternative import is_emergency, said
from imsphone.ims.moves import moves, take
from imsphone.ims.negotiation import Negotiation, formats_for
from imsphone.ims.proof import Proof
from imsphone.ims.session import Leg, Session, Side, State, asserted_identity
from imsphone.machine import Address, Ask, Effect, OpenMedia, Tell
from imsphone.sip.client import ClientTransaction
from imsphone.sip.dialog import Dialog
from imsphone.sip.fields import RAck
from imsphone.sip.message import Request, Response
from imsphone.sip.reliable import is_reliable
from imsphone.sip.server import ServerTransaction
from imsphone.sip.uri import Uri

MOVES = moves("""
                 opened   progress  accept    challenge  refuse   fail     hangup   alarm
    opening      invite   .         .         .          .        .        drop     .
    calling      .        progress  confirm   prove      refuse   give_up  cancel   expire
    proceeding   .        progress  confirm   prove      refuse   give_up  cancel   expire
    cancelling   .        .         release   forget     forget   forget   .        .
    active       .        .         repeat    .          .        .        bye      .
    ended        .        .         release   .          .        .        .        .
""")

_MAKES = "RFC 3261 12.1.2"
_DID = "took it for progress alone"
_MOST_LEGS = 16  # more dialogs than any fork makes: what comes beyond is no call
_OF_THE_CALLEE = (480, 486, 488, 580, 600, 603, 606)


class OutgoingCall(Session):
    """A call of our `impu` to `target`."""

    def __init__(self, agent: Agent, binding: Binding, key: str, target: Uri, impu: str) -> None:
        super().__init__(agent, binding.flow, key, str(target), impu)
        self._phase = "opening"
        self._has_rung = False
        self._request = agent.invite(target, binding, impu, call_id=agent.ids.call_id(), tag=key)
        self._offer: Negotiation | None = None
        self._transaction: ClientTransaction | None = None
        self._legs: dict[str, Leg] = {}
        self._acks: dict[str, list[Effect]] = {}
        self._proof = Proof(agent)
        self._give_up_at: float | None = None

    @property
    def state(self) -> State:
        if self._phase == "proceeding":
            return "ringing" if self._has_rung else "progressed"
        states: dict[str, State] = {"opening": "calling", "calling": "calling", "active": "active"}
        return states.get(self._phase, "ended")

    @property
    def is_settled(self) -> bool:
        is_cancelling = self._phase == "cancelling" and self._transaction is not None and self._transaction.is_waiting
        return super().is_settled and not is_cancelling

    @property
    def deadline(self) -> float | None:
        times = [at for at in (super().deadline, self._give_up_at) if at is not None]
        return min(times) if times else None

    def legs(self) -> list[Leg]:
        return [self.leg] if self.leg else list(self._legs.values())

    def _refuse_offer(self, request: Request, leg: Leg) -> int:
        if request.method == "INVITE" and self._phase in ("calling", "proceeding"):
            return 491  # RFC 3261 14.2: our own INVITE is in progress
        return super()._refuse_offer(request, leg)

    def _on_bye(self, request: Request, transaction: ServerTransaction, leg: Leg, now: float) -> list[Effect]:
        if self._phase == "active" or self.state == "ended":
            return super()._on_bye(request, transaction, leg, now)
        # RFC 3261 15: a callee that has not answered may not; one leg is gone, others may ring on
        self._legs.pop(leg.dialog.remote.tag, None)
        violated = self._violated("a BYE of a callee that has not answered", "RFC 3261 15", "dropped its dialog", now)
        return [*self._answer(transaction, 200, now), violated]

    # Inputs -----------------------------------------------------------------------------------------------------------

    def begin(self) -> list[Effect]:
        """Asks for the ports that the offer will name."""
        return [Ask(OpenMedia(self.flow.local.host, self.key), self.key)]

    def opened(self, result: Any, now: float) -> list[Effect]:
        """The ports are there, or none can be had."""
        return self._move("opened", result, now)

    def hangup(self, now: float) -> list[Effect]:
        """The user ends the call: CANCEL or BYE."""
        return self._move("hangup", now)

    def responded(self, response: Response, transaction: ClientTransaction, now: float) -> list[Effect]:
        if transaction is not self._transaction:
            return super().responded(response, transaction, now)
        status = response.status
        if status < 200:
            return self._move("progress", response, now) if status > 100 else []
        if status < 300:
            return self._move("accept", response, now)
        return self._move("challenge" if status in (401, 407) else "refuse", response, now)

    def failed(self, transaction: ClientTransaction, cause: str, now: float) -> list[Effect]:
        if transaction is not self._transaction:
            return super().failed(transaction, cause, now)
        return self._move("fail", cause, now)

    def tick(self, now: float) -> list[Effect]:
        effects = super().tick(now)
        if self._give_up_at is not None and now >= self._give_up_at:
            effects += self._move("alarm", now)
        return effects

    def _move(self, name: str, *arguments: Any) -> list[Effect]:
        return take(MOVES, self, self._phase, name, *arguments)

    # INVITE -----------------------------------------------------------------------------------------------------------

    def _invite(self, result: Any, now: float) -> list[Effect]:
        if not isinstance(result, Address):
            return self._end("local", now, 500, "no port for media can be had here")
        agent = self._agent
        formats = formats_for(agent.profile.codecs)
        self._offer = Negotiation(result, formats, agent.ids.number(61), agent.profile.ptime_ms)
        self._request.set_body(self._offer.offer(), SDP)
        self._give_up_at = now + agent.profile.no_answer_s
        return self._send(now)

    def _send(self, now: float) -> list[Effect]:
        self._phase = "calling"
        self._transaction, effects = self._agent.transactions.request(self._request, self.flow, now, mark=self)
        return effects

    def _prove(self, response: Response, now: float) -> list[Effect]:
        """401 or 407: the same INVITE with credentials."""
        again = self._proof.again(self._request, response, self._request.cseq.number + 1)
        if again is None:
            return self._refuse(response, now)
        self._legs.clear()
        self._request = again
        return self._send(now)

    # Responses --------------------------------------------------------------------------------------------------------

    def _progress(self, response: Response, now: float) -> list[Effect]:
        """101 to 199: maybe a dialog, maybe an answer, maybe to be acknowledged by PRACK."""
        self._phase = "proceeding"
        effects: list[Effect] = []
        try:
            leg = self._leg_for(response) if response.to.tag else None
        except ParseError as error:
            leg = None
            effects.append(self._violated(f"a {response.status} that makes no dialog: {error}", _MAKES, _DID, now))
        if leg is not None:
            if is_reliable(response):
                if not leg.order.accepts(response):
                    return effects  # RFC 3262 4: a repeat, or one out of order
                effects += self._prack(response, leg, now)
            # RFC 3261 13.2.1: the first description is the answer, whatever follows
            if response.body and leg.negotiation.is_offering and not self._is_answer(leg.negotiation, response):
                return [*effects, *self._cancel(now, 488, "no usable media")]
        if response.status != 180:
            told = CallProgressed(at=now, call=self.key, status=response.status, reason=response.reason)
            return [*effects, Tell(told)]
        if not self._has_rung:
            self._has_rung = True
            effects.append(Tell(CallRinging(at=now, call=self.key)))
        return effects

    def _prack(self, response: Response, leg: Leg, now: float) -> list[Effect]:
        request = self._agent.inside(leg.dialog.request("PRACK"))
        request.headers.add("RAck", str(RAck(response.rseq or 0, *response.cseq)))
        return self._send_inside(request, leg, now)[1]

    def _confirm(self, response: Response, now: float) -> list[Effect]:
        """The first 2xx: this is the call."""
        self._give_up_at = None
        try:
            leg = self._leg_for(response)
            effects = self._acknowledge(response, leg)
        except ParseError as error:  # it cannot even be acknowledged
            what = f"a {response.status} that makes no dialog: {error}"
            return [self._violated(what, _MAKES, "ended the call", now), *self._end("network", now, reason=what)]
        if leg.negotiation.is_offering and not self._is_answer(leg.negotiation, response):
            return [*effects, *self._say_goodbye(leg, now), *self._end("local", now, 488, "no usable media")]
        self._phase, self.leg = "active", leg
        asserted = asserted_identity(response)
        self.remote = str(asserted.uri) if asserted else self.remote
        return [*effects, Tell(CallAnswered(at=now, call=self.key, remote=self.remote)), *self._news(leg, now)]

    def _repeat(self, response: Response, now: float) -> list[Effect]:
        """A further 2xx: of our own leg the ACK was lost, another leg came too late (RFC 3261 13.2.2.4)."""
        return self._acks.get(response.to.tag) or self._release(response, now)

    def _release(self, response: Response, now: float) -> list[Effect]:
        """A 2xx that nobody wants any more: ACK and BYE."""
        tag = response.to.tag
        if tag in self._acks:
            return self._acks[tag]
        if len(self._acks) >= _MOST_LEGS:
            return []
        leg = self._leg_for(response)  # with the CSeq that its PRACKs have reached
        effects = [*self._acknowledge(response, leg), *self._say_goodbye(leg, now)]
        if self._phase == "cancelling":
            self._phase = "ended"
        return effects

    def _acknowledge(self, response: Response, leg: Leg) -> list[Effect]:
        leg.dialog.confirm(response)
        ack = self._agent.inside(leg.dialog.request("ACK", cseq=response.cseq.number))
        for name in ("Authorization", "Proxy-Authorization"):  # RFC 3261 22.1: as in the INVITE
            if name in self._request.headers:
                ack.headers.add(name, self._request.headers.get(name) or "")
        self._acks[leg.dialog.remote.tag] = self._agent.transactions.send(ack, self.flow)
        return self._acks[leg.dialog.remote.tag]

    def _leg_for(self, response: Response) -> Leg:
        """The dialog of this response, a new one if its tag is new. Raises ParseError where it makes none."""
        tag = response.to.tag
        leg = self._legs.get(tag)
        if leg is None:
            if len(self._legs) >= _MOST_LEGS:
                raise ParseError(f"at most {_MOST_LEGS} dialogs of one INVITE")
            assert self._offer is not None  # no response before the INVITE, no INVITE without an offer
            leg = self._legs[tag] = Leg(Dialog.from_response(self._request, response), self._offer.fork())
        return leg

    # The ends ---------------------------------------------------------------------------------------------------------

    def _drop(self, now: float) -> list[Effect]:
        return self._end("local", now, 487, "hung up before it rang")

    def _bye(self, now: float) -> list[Effect]:
        return self._leave(self.leg, now) if self.leg else []

    def _expire(self, now: float) -> list[Effect]:
        return self._cancel(now, 487, "no answer")

    def _cancel(self, now: float, status: int = 487, reason: str = "hung up before an answer") -> list[Effect]:
        """RFC 3261 9.1. For the user the call is over; what comes of the INVITE is settled without him."""
        assert self._transaction is not None
        told = self._end("local", now, status, reason)
        self._phase = "cancelling"
        return [*self._agent.transactions.cancel(self._transaction, now), *told]

    def _refuse(self, response: Response, now: float) -> list[Effect]:
        """3xx to 6xx, in the network's words."""
        reason, retry_after_s = response.reason, response.number("Retry-After")
        if retry_after_s is not None:  # TS 24.229 5.1.3.1: not again by itself before
            reason = f"{reason} (not again within {retry_after_s} s)"
        by: Side = "remote" if response.status in _OF_THE_CALLEE else "network"
        ended = self._end(by, now, response.status, reason)
        if is_emergency(response):  # a choice of the user's, and none that a program makes
            ended.append(Tell(EmergencyOffered(at=now, call=self.key, reason=said(response).get("reason", ""))))
        return ended

    def _give_up(self, cause: str, now: float) -> list[Effect]:
        # RFC 3261 8.1.3.1: as if 408 or 503 had come
        if cause == "timeout":
            return self._end("network", now, 408, "the network does not answer")
        return self._end("network", now, 503, "nothing listens at the P-CSCF")

    def _forget(self, *_: Any) -> list[Effect]:
        self._phase = "ended"
        return []

    def _close(self) -> None:
        self._phase = "ended"
        self._give_up_at = None
