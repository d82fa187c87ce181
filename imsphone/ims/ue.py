"""The phone as one machine: transactions below, a registration and calls above, and the way between them.

    receive ─▶ Transactions ─┬ ResponseArrived, TransactionFailed ─▶ whose request it was (its mark)
    tick, lost               ├ RequestArrived ─┬ with a To tag ─▶ the call whose tag it is, or 481
                             │                 └ without ─▶ reception.py, or a new call
                             └ AckArrived ─▶ the call
    register, call, answer_call, reject, hangup, deregister ─▶ registration.py, calling.py, called.py

What a user asks wrongly raises; what the network sends never does: a message that cannot be read is answered 400 or
dropped, and told as `Violated`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from imsphone.errors import ParseError, StateError
from imsphone.events import Deregistered, Event, FlowLost, NetworkChanged, Registered, RegistrationFailed, Violated
from imsphone.ims import emergency, reception
from imsphone.ims.agent import UNDERSTOOD, Agent, Binding
from imsphone.ims.called import IncomingCall
from imsphone.ims.calling import OutgoingCall
from imsphone.ims.identity import Identity
from imsphone.ims.keepalive import KeepAlive
from imsphone.ims.negotiation import formats_for
from imsphone.ims.outbound import Outbound, Way
from imsphone.ims.reginfo import Sighting
from imsphone.ims.registration import Registration
from imsphone.ims.restoration import asks_for_registration
from imsphone.ims.session import Session
from imsphone.ims.target import target_of
from imsphone.ims.text import Outbox, OutgoingText, received
from imsphone.ims.watch import Watch
from imsphone.machine import Ask, Effect, Flow, Ids, OpenMedia, Tell
from imsphone.profile import Profile, Secret
from imsphone.sip.ims_fields import reason_text
from imsphone.sip.message import Request
from imsphone.sip.server import ServerTransaction
from imsphone.sip.stun import is_stun
from imsphone.sip.transactions import AckArrived, RequestArrived, ResponseArrived, TransactionFailed
from imsphone.sip.uri import Uri
from imsphone.sip.validation import examine_require

_MOST_ENDED = 64  # ended calls that still answer late messages


class Ue:
    """One phone. `password` is for a profile that says auth = "digest".

    Raises ProfileError where the profile cannot work: no password, a codec that is not there.
    """

    def __init__(self, profile: Profile, identity: Identity, ids: Ids, password: Secret | None = None) -> None:
        formats_for(profile.codecs)
        profile = emergency.profile_of(profile)
        self._agent = Agent(profile, identity, ids, password)
        self._transactions = self._agent.transactions
        self._flows = Outbound(self._agent, self._is_wanted, self._follow)
        self._watch = Watch(self._agent, self._seen)
        self._calls: dict[str, Session] = {}
        self._outbox = Outbox()
        self._leave_at: float | None = None  # deregistration waits for the calls to end, until then

    @property
    def is_registered(self) -> bool:
        """Whether the network holds our contact."""
        return self._flows.binding is not None

    @property
    def calls(self) -> Mapping[str, Session]:
        """The calls by key, each with its `state` and `remote`; ended ones for a while."""
        return MappingProxyType(self._calls)

    @property
    def way(self) -> Flow | None:
        """The way to the P-CSCF, None where none was found so far."""
        return self._flows.best.registration.way

    # What the user does -----------------------------------------------------------------------------------------------

    def register(self, now: float) -> list[Effect]:
        """Registers by the P-CSCF of the profile or of the home domain; registered, it refreshes.

        Raises StateError while a registration is under way.
        """
        return self._flows.register(now)

    def deregister(self, now: float, *, everywhere: bool = False) -> list[Effect]:
        """Ends all calls, then takes our contact out of the network, or the contacts of all devices of the user.

        Raises StateError where there is none.
        """
        self._flows.best.registration.leaves_everywhere = everywhere
        self._watch.stop()
        self._flows.stop()
        if self._flows.is_idle or self._leave_at is not None:
            return self._flows.deregister(now)
        # TS 24.229 5.1.1.6.1: all dialogs are released before; a silent far end does not hold us for ever
        effects = [effect for key in list(self._calls) for effect in self.hangup(key, now)]
        self._leave_at = now + 2 * self._agent.timers.t1_s
        return [*effects, *self._leave(now)]

    def moved(self, now: float) -> list[Effect]:
        """The own address is another, and the sockets of the old one are closed: calls end, and we register anew.

        Nothing that is under way on the old address is waited for, nor said on it.
        """
        way, is_leaving = self.way, self._leave_at is not None
        self._transactions.drop()
        self._watch.stop()
        self._flows.stop()
        effects: list[Effect] = [Tell(NetworkChanged(at=now, was=way.local.host if way else ""))]
        for call in self._calls.values():
            effects += call.cut(now, "the own address changed")
        effects += self._outbox.cut(now)
        self._leave_at = None
        return effects + self._flows.moved(now, is_leaving=is_leaving)

    def call(self, target: str, now: float, *, identity: str | None = None) -> tuple[str, list[Effect]]:
        """Calls a number, a user of the home domain or an address; gives the call's key.

        `identity` is which of our identities calls, the default one where none is said. Raises StateError where the
        phone is not registered, that identity is not ours, or the call is for emergency services (an emergency phone:
        for anything else), ParseError where `target` is nothing to call.
        """
        agent, (binding, uri) = self._flows.best.agent, self._meant(target)
        if identity is not None and identity not in binding.impus:  # 5.1.1.2.1 c: what is not listed is barred
            raise StateError(f"{identity} is not ours to call as: the network lets us be {', '.join(binding.impus)}")
        call = OutgoingCall(agent, binding, agent.ids.tag(), uri, identity or binding.impu)
        self._keep(call)
        return call.key, call.begin()

    def text(self, target: str, body: str, now: float) -> tuple[str, list[Effect]]:
        """Sends a text to a number, a user of the home domain or an address; gives the text's key.

        It leaves once there is no other under way to the same address (RFC 3428 8).
        Raises StateError where the phone is not registered or this is for emergency services, ParseError where `target`
        is nothing to write to, and TextTooLong where `body` needs more than one MESSAGE may have.
        """
        if self._agent.profile.emergency:
            raise StateError("an emergency phone calls, and writes to nobody")
        agent, (binding, uri) = self._flows.best.agent, self._meant(target)
        text = OutgoingText(agent, binding, agent.ids.tag(), uri, body)
        return text.key, self._outbox.add(text, now)

    def _meant(self, target: str) -> tuple[Binding, Uri]:
        """The registration to go by, and whom a user means: emergency services by an emergency phone alone."""
        is_sos, binding = self._agent.profile.emergency, self._flows.binding
        if not is_sos:
            emergency.expect_none(target)
        if binding is None:
            raise StateError("this phone is not registered: call register() first")
        uri = emergency.service_of(target) if is_sos else target_of(target, self._agent.identity.home_domain)
        if not is_sos:
            emergency.expect_none(target, uri)
        return binding, uri

    def answer_call(self, call: str, now: float) -> list[Effect]:
        """Takes a call that rings here. Raises StateError for any other."""
        return self._incoming(call).answer(now)

    def reject(self, call: str, now: float, status: int = 486) -> list[Effect]:
        """Refuses a call that rings here with a status of 400 to 699. Raises StateError for any other."""
        if not 400 <= status < 700:
            raise StateError(f"a call is rejected with a status from 400 to 699, not {status}")
        return self._incoming(call).reject(now, status)

    def hangup(self, call: str, now: float) -> list[Effect]:
        """Ends a call in whatever state it is: CANCEL, BYE or 603. Raises StateError where there is no such call."""
        found = self._calls.get(call)
        if not isinstance(found, OutgoingCall | IncomingCall):
            raise StateError(f"there is no call {call}")
        return found.hangup(now)

    def _incoming(self, key: str) -> IncomingCall:
        call = self._calls.get(key)
        if not isinstance(call, IncomingCall):
            raise StateError(f"there is no incoming call {key}")
        return call

    # The machine ------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """The earliest of all alarms."""
        times = [self._transactions.deadline, self._watch.deadline, self._leave_at, *self._flows.deadlines]
        for call in self._calls.values():
            times += (call.deadline, call.forget_at)
        return min((at for at in times if at is not None), default=None)

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """A datagram, or one message of a stream."""
        self._flows.came(flow)
        if is_stun(data):
            self._flows.heard(data, flow, now)
            return []
        return self._route(self._transactions.receive(data, flow, now), now)

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        """The world's answer to a question of ours."""
        if not isinstance(ask.question, OpenMedia):
            return self._flows.answer(ask, result, now)
        call = self._calls.get(ask.about)
        return call.opened(result, now) if isinstance(call, OutgoingCall | IncomingCall) else []

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """A flow carries nothing any more."""
        self._flows.closed(flow)
        return self._route(self._transactions.lost(flow, now), now) + self._flows.lost(flow, now)

    def tick(self, now: float) -> list[Effect]:
        """The deadline has come."""
        effects = self._route(self._transactions.tick(now), now)
        effects += self._flows.tick(now) + self._watch.tick(now)
        for key, call in list(self._calls.items()):
            effects += call.tick(now)
            if call.forget_at is not None and now >= call.forget_at:
                del self._calls[key]
        return effects + self._leave(now)

    # Between transactions and their owners ----------------------------------------------------------------------------

    def _route(self, effects: list[Effect], now: float) -> list[Effect]:
        """Hands what the transaction layer tells to its owner, everything else on."""
        routed: list[Effect] = []
        for effect in effects:
            if not isinstance(effect, Tell) or isinstance(effect.event, Event):
                routed.append(effect)
            elif isinstance(effect.event, RequestArrived):
                routed += self._request(effect.event, now)
            else:
                routed += self._other(effect.event, now)
        return routed + self._leave(now) if self._leave_at is not None else routed

    def _other(self, event: Any, now: float) -> list[Effect]:
        """A response, the lack of one, or an ACK."""
        try:
            if isinstance(event, AckArrived):
                call = self._calls.get(event.request.to.tag)
                leg = call.leg_of(event.request) if call else None
                return call.acknowledged(event.request, leg, now) if call and leg else []
            owner = event.transaction.mark if isinstance(event, ResponseArrived | TransactionFailed) else None
            if not isinstance(owner, Registration | Session | Watch | KeepAlive | OutgoingText):
                return []
            if isinstance(event, ResponseArrived):
                effects = owner.responded(event.response, event.transaction, now)
                if event.response.status == 504:
                    way = self._flows.at(event.transaction.flow)
                    if asks_for_registration(event.response, way.registration.binding):
                        effects += self._flows.broken(way, now)
            else:
                effects = owner.failed(event.transaction, event.cause, now)
            if isinstance(owner, OutgoingText):
                effects += self._outbox.follow(owner, self._flows.best.agent, self._flows.binding, now)
            return self._flows.told(self._flows.of(owner), effects, now) if isinstance(owner, Registration) else effects
        except ParseError as error:
            what = f"a message that cannot be read: {error}"
            return [Tell(Violated(at=now, what=what, clause="RFC 3261 7.3", did="dropped"))]

    def _request(self, arrived: RequestArrived, now: float) -> list[Effect]:
        request, transaction = arrived.request, arrived.transaction
        if broken := self._flows.unprotected(arrived.flow):
            what, source = f"a {request.method} outside of {broken[0]}", str(arrived.flow.remote)
            told = Violated(at=now, what=what, clause=broken[1], did="answered 403", source=source)
            return [*self._answer(transaction, 403, now), Tell(told)]
        try:
            if request.method == "CANCEL":
                return self._cancel(arrived, now)
            if lack := self._agent.lack_of(request.method):  # who used it learns what there is
                return self._transactions.respond(transaction, self._agent.options(request, lack), now)
            if request.method == "NOTIFY":
                return self._unsupported(transaction, now) or self._watch.notified(request, transaction, now)
            if tag := request.to.tag:
                call = self._calls.get(tag)
                leg = call.leg_of(request) if call else None
                if call is None or leg is None:
                    return self._answer(transaction, 481, now)  # RFC 3261 12.2.2
                return self._unsupported(transaction, now) or call.requested(request, transaction, leg, now)
            return self._outside(request, transaction, self._flows.at(arrived.flow), now)
        except ParseError as error:
            fault_told = Violated(
                at=now,
                what=f"a {request.method} that cannot be read: {error}",
                clause="RFC 3261 8.2",
                did="answered 400",
                source=str(arrived.flow.remote),
            )
            return [*self._answer(transaction, 400, now), Tell(fault_told)]

    def _cancel(self, arrived: RequestArrived, now: float) -> list[Effect]:
        """RFC 3261 9.2: 200 to the CANCEL itself, 487 to its INVITE where that still waits."""
        call = arrived.cancels.mark if arrived.cancels is not None else None
        if not isinstance(call, IncomingCall):
            return self._answer(arrived.transaction, 481 if arrived.cancels is None else 200, now)
        response = self._agent.answer(arrived.request, 200, tag=call.key)
        told = call.cancelled(now, reason_text(arrived.request.headers.get("Reason") or ""))
        return [*self._transactions.respond(arrived.transaction, response, now), *told]

    def _outside(self, request: Request, transaction: ServerTransaction, way: Way, now: float) -> list[Effect]:
        """A request outside any dialog."""
        binding = way.registration.binding
        active = [call for call in self._calls.values() if call.state != "ended"]
        status = reception.examine(request, self._agent, binding, active)
        if status in (200, 486) and (refused := self._unsupported(transaction, now)):  # RFC 3261 8.2: in this order
            return refused
        if request.method == "OPTIONS" and status in (200, 486):
            return self._transactions.respond(transaction, self._agent.options(request, status), now)
        if status != 200 or binding is None:
            return self._answer(transaction, status, now)
        if request.method == "MESSAGE":
            if self._transactions.is_merged(transaction):
                return self._answer(transaction, 482, now)
            return received(transaction, way.agent, now)
        call = IncomingCall(way.agent, binding, way.agent.ids.tag(), transaction)
        transaction.mark = call
        self._keep(call)
        return call.begin(now)

    def _unsupported(self, transaction: ServerTransaction, now: float) -> list[Effect]:
        """420 where the request wants an extension that we lack (RFC 3261 8.2.2.3), else nothing."""
        fault = examine_require(transaction.request, UNDERSTOOD)
        if fault is None:
            return []
        refused = self._agent.answer(transaction.request, fault.status or 420, headers=fault.headers)
        return self._transactions.respond(transaction, refused, now)

    def _keep(self, call: Session) -> None:
        ended = [key for key, old in self._calls.items() if old.state == "ended"]
        for key in ended[: max(0, len(ended) - _MOST_ENDED + 1)]:
            del self._calls[key]
        self._calls[call.key] = call

    def _answer(self, transaction: ServerTransaction, status: int, now: float) -> list[Effect]:
        return self._transactions.respond(transaction, self._agent.answer(transaction.request, status), now)

    def _is_wanted(self) -> bool:
        """An emergency registration is kept up during calls only (TS 24.229 5.1.6.4), any other always."""
        return not self._agent.profile.emergency or any(call.state != "ended" for call in self._calls.values())

    # What the network holds of us -------------------------------------------------------------------------------------

    def _follow(self, effects: list[Effect], now: float) -> list[Effect]:
        """Begins to watch once we are registered anew, and stops where the registration ends."""
        for effect in effects:
            event = effect.event if isinstance(effect, Tell) else None
            if not isinstance(event, Registered | Deregistered | RegistrationFailed | FlowLost):
                continue
            agent, binding = self._flows.best.agent, self._flows.binding
            if isinstance(event, Deregistered | RegistrationFailed) and binding is None:
                self._watch.stop()
            elif isinstance(event, Registered) and binding is not None:
                if event.is_refresh:
                    self._watch.go_on(binding, now)
                else:
                    self._watch.start(agent, binding, now)
            elif isinstance(event, FlowLost) and binding is not None:
                self._watch.leave(agent, binding, now)
        return effects

    def _seen(self, sighting: Sighting, now: float) -> list[Effect]:
        """A NOTIFY spoke of our own contact."""
        effects: list[Effect] = []
        if sighting.fate == "gone" and sighting.event == "rejected":  # TS 24.229 5.1.1.7: all dialogs are released
            effects += [effect for key in list(self._calls) for effect in self.hangup(key, now)]
        return effects + self._flows.seen(sighting, now)

    def _leave(self, now: float) -> list[Effect]:
        """Deregisters once the calls have ended, or have been waited for long enough."""
        if self._leave_at is None:
            return []
        if now < self._leave_at and not all(call.is_settled for call in self._calls.values()):
            return []
        self._leave_at = None
        return [] if self._flows.is_idle else self._flows.deregister(now)
