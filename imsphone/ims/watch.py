"""What the network tells us of our own registration: a subscription to the reg event package (TS 24.229 5.1.1.3).

    off ─start─▶ subscribing ─200─▶ watching ── before the end, or after a version gap ─▶ subscribing
                    │  ▲               │
     503, silence   ▼  │               └─ NOTIFY terminated, 481 ─▶ subscribe anew
                  waiting                  403, 404, 489 ─▶ off: this network does not tell

A network that does not tell is no reason to be unregistered; the phone then only learns later what became of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from imsphone.errors import ParseError
from imsphone.events import RegistrationSeen, RegistrationUnseen, Violated
from imsphone.ims.agent import Agent, Binding
from imsphone.ims.backoff import pause_s, refresh_after_s
from imsphone.ims.proof import Proof
from imsphone.ims.reginfo import Known, Reginfo, Sighting
from imsphone.machine import Effect, Tell
from imsphone.sip.client import ClientTransaction
from imsphone.sip.fields import NameAddr
from imsphone.sip.headers import Headers
from imsphone.sip.message import Request, Response
from imsphone.sip.server import ServerTransaction
from imsphone.sip.subscription import Subscription, SubscriptionState
from imsphone.sip.uri import Uri

REGINFO: Final = "application/reginfo+xml"
_EXPIRES_S: Final = 600_000  # TS 24.229 5.1.1.3
_BREATH_S: Final = 0.1
_LEAST_PAUSE_S: Final = 5.0  # between two SUBSCRIBEs that NOTIFYs bring about: no network drives us in circles


class Watch:
    """The subscription of one registration. `seen` is called with what it says of our own contact."""

    def __init__(self, agent: Agent, seen: Callable[[Sighting, float], list[Effect]]) -> None:
        self._agent = agent
        self._seen = seen
        self._binding: Binding | None = None
        self._subscription: Subscription | None = None
        self._known = Known()
        self._proof = Proof(agent)
        self._transaction: ClientTransaction | None = None
        self._expires_s = _EXPIRES_S
        self._failures = 0
        self._sent_at = 0.0
        self._next_at: float | None = None

    @property
    def deadline(self) -> float | None:
        """When `tick` is due."""
        return self._next_at

    # Inputs -----------------------------------------------------------------------------------------------------------

    def start(self, agent: Agent, binding: Binding, now: float) -> None:
        """We are registered: ask to be told (TS 24.229 5.1.1.3), unless the user leaves in the same breath."""
        if not agent.profile.reg_event:
            return
        self._agent = agent
        self._binding, self._subscription = binding, None
        self._failures = 0
        self._expires_s = _EXPIRES_S
        self._next_at = now + _BREATH_S

    def go_on(self, binding: Binding, now: float) -> None:
        """The registration was refreshed: the way to the P-CSCF may be another (IPsec)."""
        if self._binding is not None and self._binding.flow.remote.host == binding.flow.remote.host:
            self._binding = binding

    def leave(self, agent: Agent, binding: Binding, now: float) -> None:
        """A flow is lost: where it was ours, by this one anew."""
        if self._binding is not None and agent is not self._agent:
            self.start(agent, binding, now)

    def stop(self) -> None:
        """We are not: ask for nothing more. The last NOTIFY still finds the subscription."""
        self._binding = self._transaction = self._next_at = None

    def tick(self, now: float) -> list[Effect]:
        """The deadline has come."""
        if self._next_at is None or now < self._next_at:
            return []
        self._next_at = None
        return self._refresh(now)

    def responded(self, response: Response, transaction: ClientTransaction, now: float) -> list[Effect]:
        """A response to a SUBSCRIBE. Raises ParseError."""
        if transaction is not self._transaction or not response.is_final:
            return []
        self._transaction = None
        if response.status < 300:
            try:
                return self._accepted(response, now)
            except ParseError:  # no dialog comes of it: later again
                self._wait(None, now)
                raise
        if (again := self._proof.again(transaction.request, response, transaction.request.cseq.number + 1)) is not None:
            return self._repeat(again, now)
        is_inside = transaction.request.to.tag != ""
        if is_inside and response.status in (404, 405, 410, 416, 481, 489, 501):  # RFC 6665 4.1.2.2: it is gone
            return self._subscribe(now)
        least_s = response.number("Min-Expires")
        if response.status == 423 and least_s is not None and least_s > self._expires_s:  # RFC 6665 4.1.2.1
            self._expires_s = least_s
            return self._refresh(now)
        retry_after_s = response.number("Retry-After")
        if response.status >= 500 or response.status == 408 or retry_after_s is not None:
            return self._wait(retry_after_s, now)
        sentence = f"the network does not tell what it holds of us: {response.status} {response.reason} to SUBSCRIBE"
        return [Tell(RegistrationUnseen(at=now, sentence=sentence, status=response.status))]

    def failed(self, transaction: ClientTransaction, cause: str, now: float) -> list[Effect]:
        """A SUBSCRIBE had no final response."""
        if transaction is not self._transaction:
            return []
        self._transaction = None
        return self._wait(None, now)

    def notified(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        """A NOTIFY: 481 where it is none of ours. Raises ParseError where it cannot be read."""
        answer = partial(self._answer, transaction, now=now)
        subscription = self._subscription
        if subscription is None or not subscription.is_own(request):
            return answer(481)
        state = subscription.notified(request)
        if state is None:
            return answer(500)  # RFC 3261 12.2.2: out of order
        if request.body and request.content_type != REGINFO:
            return answer(415)
        effects = answer(200)
        if request.body:
            effects += self._read(request, now)
        return effects + self._follow(state, now)

    # SUBSCRIBE --------------------------------------------------------------------------------------------------------

    def _subscribe(self, now: float) -> list[Effect]:
        """A new subscription, in a new dialog."""
        assert self._binding is not None
        self._known = Known()
        request = self._request(self._binding)
        self._subscription = Subscription(request)
        return self._send(request, now)

    def _refresh(self, now: float) -> list[Effect]:
        if self._binding is None:
            return []
        if self._subscription is None or self._subscription.dialog is None:
            return self._subscribe(now)
        return self._send(self._agent.inside(self._subscription.refresh(self._expires_s)), now)

    def _repeat(self, again: Request, now: float) -> list[Effect]:
        """The SUBSCRIBE with the proof that was asked for."""
        assert self._subscription is not None
        if self._subscription.dialog is None:
            self._subscription = Subscription(again)
        else:
            self._subscription.dialog.local_cseq = again.cseq.number
        return self._send(again, now, self._proof)

    def _send(self, request: Request, now: float, proof: Proof | None = None) -> list[Effect]:
        assert self._binding is not None
        self._proof = proof or Proof(self._agent)
        self._next_at, self._sent_at = None, now
        flow = self._binding.flow
        self._transaction, effects = self._agent.transactions.request(request, flow, now, mark=self)
        return effects

    def _request(self, binding: Binding) -> Request:
        agent = self._agent
        own = next((impu for impu in binding.impus if impu.startswith("sip:")), binding.impu)
        fields = [
            ("Max-Forwards", "70"),
            *(("Route", value) for value in agent.route(binding)),
            ("From", f"<{own}>;tag={agent.ids.tag()}"),
            ("To", f"<{own}>"),
            ("Call-ID", agent.ids.call_id()),
            ("CSeq", "1 SUBSCRIBE"),
            ("Contact", agent.contact(binding.flow, own)),
            ("P-Preferred-Identity", str(NameAddr(Uri.parse(own)))),
            ("Event", "reg"),
            ("Accept", REGINFO),
            ("Expires", str(self._expires_s)),
        ]
        return agent.inside(Request("SUBSCRIBE", own, Headers.of_canonical(fields)))

    def _accepted(self, response: Response, now: float) -> list[Effect]:
        assert self._subscription is not None
        self._subscription.accepted(response)
        self._failures = 0
        self._set_refresh(response.expires if response.expires is not None else self._expires_s, now)
        return []

    def _set_refresh(self, expires_s: int, now: float) -> None:
        self._next_at = now + refresh_after_s(expires_s)  # TS 24.229 5.1.1.3

    def _wait(self, retry_after_s: int | None, now: float) -> list[Effect]:
        """Later again; the registration is not touched by it (TS 34.229-1 10.1)."""
        if self._binding is None:
            return []
        self._failures += 1
        self._next_at = now + (pause_s(self._failures, self._agent.ids) if retry_after_s is None else retry_after_s)
        return []

    # NOTIFY -----------------------------------------------------------------------------------------------------------

    def _read(self, request: Request, now: float) -> list[Effect]:
        try:
            document = Reginfo.parse(request.body)
        except ParseError as error:
            clause, did = "RFC 3680 5", "kept what was known"
            return [Tell(Violated(at=now, what=f"a NOTIFY without {error.expected}", clause=clause, did=did))]
        if not self._known.apply(document):
            return self._again(now)  # RFC 3680 5.2: fetch the full state
        is_own = self._agent.is_own_contact
        self._agent.gruus.seen(self._known.gruus(is_own))
        self._agent.gruus.ended(self._known.ended())
        told = RegistrationSeen(at=now, identities=self._known.as_json(is_own))
        sighting = self._known.sighting(is_own)
        return [Tell(told), *(self._seen(sighting, now) if sighting is not None and self._binding else [])]

    def _follow(self, state: SubscriptionState, now: float) -> list[Effect]:
        """The subscription's own state (RFC 6665 4.1.3)."""
        if state.state != "terminated":
            if state.expires_s is not None and self._transaction is None and self._binding:
                self._set_refresh(state.expires_s, now)
            return []
        self._subscription, self._next_at = None, None
        if self._binding is None or not state.allows_another:
            return []
        if state.retry_after_s is not None or state.reason in ("probation", "giveup"):
            return self._wait(state.retry_after_s, now)
        return self._again(now)

    def _again(self, now: float) -> list[Effect]:
        """Subscribes or refreshes because of a NOTIFY; soon, where the last SUBSCRIBE is but a moment ago."""
        if self._transaction is not None or self._binding is None:
            return []
        if now >= self._sent_at + _LEAST_PAUSE_S:
            return self._refresh(now)
        self._next_at = self._sent_at + _LEAST_PAUSE_S
        return []

    def _answer(self, transaction: ServerTransaction, status: int, now: float) -> list[Effect]:
        headers = (("Accept", REGINFO),) if status == 415 else ()
        response = self._agent.answer(transaction.request, status, headers=headers)
        return self._agent.transactions.respond(transaction, response, now)
