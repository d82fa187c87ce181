"""A call between its two dialogs' ends: what caller and called side share once there is a dialog (TS 24.229 5.1.5).

    INVITE ─▶ calling.py | called.py ─▶ active ─▶ BYE, re-INVITE, UPDATE ─▶ ended
                                          │
                       a 2xx of ours is repeated until its ACK comes (RFC 3261 13.3.1.4)

A `Leg` is one dialog with its offers and answers; a forked INVITE of ours has several for a while. The call's `key` is
our own tag, so that a request finds its call by its To tag alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from imsphone.errors import ParseError
from imsphone.events import CallEnded, Violated
from imsphone.ims.agent import SDP, Agent
from imsphone.ims.negotiation import Negotiation
from imsphone.ims.proof import Proof
from imsphone.ims.text import received
from imsphone.machine import Effect, Flow, Tell
from imsphone.sip.client import ClientTransaction
from imsphone.sip.dialog import Dialog
from imsphone.sip.fields import NameAddr
from imsphone.sip.message import Message, Request, Response
from imsphone.sip.reliable import RSeqOrder
from imsphone.sip.server import ServerTransaction

State = Literal["calling", "progressed", "ringing", "incoming", "active", "ended"]
Side = Literal["local", "remote", "network"]

# The requests of a dialog and who takes them; ACK and CANCEL come another way.
INSIDE = {
    "BYE": "_on_bye",
    "INVITE": "_on_offer",
    "UPDATE": "_on_offer",
    "PRACK": "_on_prack",
    "OPTIONS": "_on_options",
    "MESSAGE": "_on_message",
}


@dataclass(slots=True, eq=False)
class Leg:
    """One dialog of a call; `order` counts the reliable responses of the early one that we called into."""

    dialog: Dialog
    negotiation: Negotiation
    order: RSeqOrder = field(default_factory=RSeqOrder)


class Acceptance:
    """A 2xx of ours to an INVITE, repeated at T1, 2 T1 … T2 until its ACK comes, for 64 T1 at most."""

    def __init__(self, response: Response, transaction: ServerTransaction, leg: Leg, agent: Agent, now: float) -> None:
        self.response = response
        self.transaction = transaction
        self.leg = leg
        self.cseq = transaction.request.cseq.number
        self._t2_s = agent.timers.t2_s
        self._interval_s = agent.timers.t1_s
        self._repeat_at = now + self._interval_s
        self.end_at = now + agent.timers.timeout_s

    @property
    def deadline(self) -> float:
        """When it is to be repeated or given up."""
        return min(self._repeat_at, self.end_at)

    def is_due(self, now: float) -> bool:
        """Whether to repeat it now; if so the next time is set."""
        if now < self._repeat_at:
            return False
        self._interval_s = min(2 * self._interval_s, self._t2_s)
        self._repeat_at = now + self._interval_s
        return True


class Session:
    """One call of our `impu`. `remote` is the far end's address, `flow` the way to the P-CSCF that the call keeps."""

    def __init__(self, agent: Agent, flow: Flow, key: str, remote: str, impu: str) -> None:
        self.key = key
        self.remote = remote
        self._impu = impu
        self._flow = flow
        self.leg: Leg | None = None
        self.forget_at: float | None = None  # an ended call still answers late messages until then
        self._agent = agent
        self._acceptance: Acceptance | None = None
        self._goodbye: ClientTransaction | None = None
        self._inside: dict[ClientTransaction, tuple[Leg, Proof]] = {}  # requests in a dialog that wait for an answer
        self._is_bye_due = False  # the user hung up before the ACK of our 2xx came

    @property
    def flow(self) -> Flow:
        """The way to the P-CSCF; a registration that is refreshed may have put another in its place."""
        return self._agent.security.latest(self._flow)

    @property
    def contact(self) -> str:
        """Our Contact in its dialogs."""
        return self._agent.contact(self.flow, self._impu)

    # What each side says for itself -----------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the call stands, in the words of the application."""
        raise NotImplementedError

    @property
    def is_settled(self) -> bool:
        """Whether the call has ended and the network knows it."""
        is_saying_goodbye = self._goodbye is not None and self._goodbye.is_waiting
        return self.state == "ended" and not is_saying_goodbye and not self._is_bye_due

    @property
    def deadline(self) -> float | None:
        """When `tick` is due."""
        return self._acceptance.deadline if self._acceptance else None

    def legs(self) -> list[Leg]:
        """All dialogs that requests may come in."""
        return [self.leg] if self.leg else []

    def _refuse_offer(self, _request: Request, leg: Leg) -> int:
        """491 or 500 while an offer of a new INVITE or UPDATE cannot be taken, else 0 (RFC 3261 14.2, RFC 3311 5.2)."""
        return 491 if leg.negotiation.is_offering else 0

    def _close(self) -> None:
        """The state becomes ended."""
        raise NotImplementedError

    # Requests of the far end ------------------------------------------------------------------------------------------

    def leg_of(self, request: Message) -> Leg | None:
        """The dialog that a request of the far end belongs to."""
        call_id, tag = request.call_id, request.from_.tag
        return next((leg for leg in self.legs() if leg.dialog.key[::2] == (call_id, tag)), None)

    def requested(self, request: Request, transaction: ServerTransaction, leg: Leg, now: float) -> list[Effect]:
        """A request inside a dialog. Raises ParseError where it cannot be read."""
        if not leg.dialog.accepts(request):
            what, clause = f"{request.method} out of order in its dialog", "RFC 3261 12.2.2"
            return [*self._answer(transaction, 500, now), self._violated(what, clause, "answered 500", now)]
        # RFC 3262 3: a PRACK may cross our final answer on its way
        if request.method not in INSIDE or (self.state == "ended" and request.method not in ("BYE", "PRACK")):
            return self._answer(transaction, 481, now)
        effects: list[Effect] = getattr(self, INSIDE[request.method])(request, transaction, leg, now)
        return effects

    def _on_bye(self, _request: Request, transaction: ServerTransaction, _leg: Leg, now: float) -> list[Effect]:
        self._acceptance, self._is_bye_due = None, False
        return [*self._answer(transaction, 200, now), *self._end("remote", now)]

    def _on_options(self, request: Request, transaction: ServerTransaction, _leg: Leg, now: float) -> list[Effect]:
        return self._agent.transactions.respond(transaction, self._agent.options(request, 200), now)

    def _on_message(self, _request: Request, transaction: ServerTransaction, _leg: Leg, now: float) -> list[Effect]:
        return received(transaction, self._agent, now)

    def _on_prack(self, _request: Request, transaction: ServerTransaction, _leg: Leg, now: float) -> list[Effect]:
        return self._answer(transaction, 481, now)  # RFC 3262 3: nothing of ours waits for it

    def _on_offer(self, request: Request, transaction: ServerTransaction, leg: Leg, now: float) -> list[Effect]:
        """A re-INVITE or an UPDATE: the far end moves, holds, resumes, or only shows that it is there."""
        refusal = self._refuse_offer(request, leg)
        is_invite = request.method == "INVITE"
        if refusal and (is_invite or request.body):
            return self._answer(transaction, refusal, now)
        negotiation, body = leg.negotiation, b""
        if request.body:
            if not self._is_sdp(request):
                return self._answer(transaction, 415, now)
            answer = self._try_answer(negotiation, request)
            if answer is None:
                return self._answer(transaction, 488, now)  # the session stays what it was
            body = answer
        elif is_invite:
            body = negotiation.offer()
        leg.dialog.refresh_target(request)
        response = self._agent.answer(request, 200, contact=self.contact, body=body)
        effects = self._agent.transactions.respond(transaction, response, now)
        if is_invite:
            self._acceptance = Acceptance(response, transaction, leg, self._agent, now)
        return [*effects, *self._news(leg, now)]

    def acknowledged(self, request: Request, leg: Leg, now: float) -> list[Effect]:
        """The ACK of a 2xx of ours; it answers the offer that the 2xx made. Raises ParseError."""
        acceptance = self._acceptance
        if acceptance is None or acceptance.leg is not leg or request.cseq.number != acceptance.cseq:
            return []
        self._acceptance = None
        if self._is_bye_due:
            return self._say_goodbye(leg, now)
        if not leg.negotiation.is_offering:
            return []
        if not self._is_answer(leg.negotiation, request):
            violated = self._violated("an ACK without a usable answer", "RFC 3264 5", "ended the call", now)
            return [violated, *self._say_goodbye(leg, now), *self._end("local", now, 488, "no usable media")]
        return self._news(leg, now)

    # Requests of ours -------------------------------------------------------------------------------------------------

    def _leave(self, leg: Leg, now: float) -> list[Effect]:
        """The user hangs up a call that stands."""
        if self._acceptance is not None:
            self._is_bye_due = True  # RFC 3261 15: not before the ACK, or before it can come no more
            return self._end("local", now)
        return [*self._say_goodbye(leg, now), *self._end("local", now)]

    def _say_goodbye(self, leg: Leg, now: float) -> list[Effect]:
        self._is_bye_due = False
        request = self._agent.inside(leg.dialog.request("BYE"))
        self._goodbye, effects = self._send_inside(request, leg, now)
        return effects

    def _send_inside(
        self, request: Request, leg: Leg, now: float, proof: Proof | None = None
    ) -> tuple[ClientTransaction, list[Effect]]:
        """A request in the dialog of `leg`; `proof` is of the one that it repeats."""
        transaction, effects = self._agent.transactions.request(request, self.flow, now, mark=self)
        self._inside[transaction] = leg, proof or Proof(self._agent)
        return transaction, effects

    def responded(self, response: Response, transaction: ClientTransaction, now: float) -> list[Effect]:
        """A response to a request of ours; one in a dialog is sent again where it has to prove itself."""
        if not response.is_final or transaction not in self._inside:
            return []
        leg, proof = self._inside.pop(transaction)
        again = proof.again(transaction.request, response, (leg.dialog.local_cseq or 0) + 1)
        if again is None:
            return []
        leg.dialog.local_cseq = again.cseq.number
        repeated, effects = self._send_inside(again, leg, now, proof)
        if transaction is self._goodbye:
            self._goodbye = repeated
        return effects

    def failed(self, transaction: ClientTransaction, _cause: str, _now: float) -> list[Effect]:
        """A request of ours had no final response."""
        self._inside.pop(transaction, None)
        return []

    def tick(self, now: float) -> list[Effect]:
        """The deadline has come."""
        acceptance = self._acceptance
        if acceptance is None or now < acceptance.deadline:
            return []
        if now >= acceptance.end_at:
            self._acceptance = None
            return [*self._say_goodbye(acceptance.leg, now), *self._end("network", now, reason="no ACK")]
        if not acceptance.is_due(now):
            return []
        return self._agent.transactions.respond(acceptance.transaction, acceptance.response, now)

    def cut(self, now: float, reason: str) -> list[Effect]:
        """The way to the far end is gone: it ends here, and nobody else can be told."""
        self._acceptance, self._goodbye, self._is_bye_due = None, None, False
        return self._end("network", now, reason=reason)

    # Pieces -----------------------------------------------------------------------------------------------------------

    def _end(self, by: Side, now: float, status: int | None = None, reason: str = "") -> list[Effect]:
        if self.state == "ended":
            return []
        self._close()
        self.forget_at = now + self._agent.timers.timeout_s
        return [Tell(CallEnded(at=now, call=self.key, by=by, status=status, reason=reason))]

    def _answer(self, transaction: ServerTransaction, status: int, now: float) -> list[Effect]:
        headers: tuple[tuple[str, str], ...] = ()
        if status == 500:
            headers = (("Retry-After", str(self._agent.ids.number(8) % 11)),)  # RFC 3261 14.2: 0 to 10 s
        elif status == 415:
            headers = (("Accept", SDP), ("Accept-Encoding", "identity"))  # RFC 3261 8.2.3
        response = self._agent.answer(transaction.request, status, tag=self.key, headers=headers)
        return self._agent.transactions.respond(transaction, response, now)

    def _news(self, leg: Leg, now: float) -> list[Effect]:
        return leg.negotiation.news(self.key, now) if self.state == "active" else []

    @staticmethod
    def _is_sdp(message: Message) -> bool:
        """Whether the body is SDP, and not in an encoding that would have to be undone."""
        encoding = message.headers.get("Content-Encoding") or "identity"
        return message.content_type == SDP and encoding.lower() == "identity"

    @staticmethod
    def _try_answer(negotiation: Negotiation, message: Message) -> bytes | None:
        """Our answer to the offer in a message, None where it is none or nothing in it is for us."""
        try:
            return negotiation.answer(message.body)
        except ParseError:
            return None

    @staticmethod
    def _is_answer(negotiation: Negotiation, message: Message) -> bool:
        """Whether a message holds a usable answer to our offer, which it concludes then."""
        try:
            return Session._is_sdp(message) and negotiation.conclude(message.body)
        except ParseError:
            return False

    def _violated(self, what: str, clause: str, did: str, now: float) -> Tell:
        return Tell(Violated(at=now, what=what, clause=clause, did=did, source=str(self.flow.remote)))


def asserted_identity(message: Message) -> NameAddr | None:
    """Whom the network vouches for (RFC 3325 9.1); None where it says nothing that can be read."""
    return next(iter(message.addresses("P-Asserted-Identity")), None)
