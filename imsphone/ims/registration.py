"""Registration from the phone's side (TS 24.229 5.1.1): how the network comes to know where we are, and stays so.

    idle ─register─▶ resolving ─▶ requesting ◀──▶ proving           401: the SIM is asked, the answer leaves
      ▲                             │  ▲  │                         423: the same with a longer expiry
      │                            200 │  └─ 5xx, 408, silence ─▶ the next P-CSCF of the round
      │                             ▼  │
      └── 403, give up ◀───── registered ── half the time, or 600 s before the end ─▶ requesting (refresh)

    waiting: no P-CSCF of the round helped, and somebody wants to be registered all the same: the next round comes later

With IPsec the answer to the 401 leaves inside the associations that the world has set up meanwhile (`ims.security`).
Where only silence comes back, the phone is "wondering" till the world has said what passed them.

A refresh that fails costs nothing at first: the network holds our contact until it expires, so the phone tries again,
later each time (RFC 5626 4.5). Only then, or on 403 and 404, is the registration gone.
"""

from __future__ import annotations

from typing import Any

from imsphone.errors import StateError
from imsphone.events import Deregistered, Registered, Registering
from imsphone.ims import explain
from imsphone.ims.agent import Agent, Binding
from imsphone.ims.backoff import ALONE_S, WITH_OTHERS_S, Schedule
from imsphone.ims.explain import Setback
from imsphone.ims.grant import binding_of, granted_s, own_contact
from imsphone.ims.moves import moves, take
from imsphone.ims.proving import ABOUT, Owner, Proving
from imsphone.ims.reginfo import Sighting
from imsphone.ipsec.sa import Protect
from imsphone.machine import Ask, Effect, Flow, Resolve, Tell
from imsphone.profile import Endpoint, endpoint
from imsphone.sip.client import ClientTransaction
from imsphone.sip.message import Response

MOVES = moves("""
           register leave    resolved granted doubted brief  absent   unsafe refused outcome alarm    guarded seen lost
idle       discover object   .        .       .       .      .        .      .       .       .        .       .    .
resolving  object   abandon  choose   .       .       .      .        .      .       .       .        .       .    .
requesting object   postpone .        grant   examine longer try_next agree  refuse  .       expire   .       .    .
proving    object   postpone .        .       .       .      .        .      .       prove   expire   guarded .    .
wondering  object   postpone .        .       .       .      .        .      .       judge   expire   .       .    .
registered refresh  remove   .        .       .       .      .        .      .       .       wake     .       look anew
waiting    discover abandon  .        .       .       .      .        .      .       .       discover .       .    .
""")

# What a final response means; the others refuse. 305 sends back to P-CSCF discovery (TS 24.229 5.1.1.2.1).
_KINDS = {401: "doubted", 423: "brief", 305: "absent", 408: "absent"}
_KINDS |= dict.fromkeys((420, 421, 494), "unsafe")
_GONE = (403, 404)  # after these the network holds no contact of ours, also in a refresh

_PROBATION_S = 30  # RFC 3680 4.7.1: where the network names no time


class Registration(Proving):
    """One identity, one contact, one P-CSCF at a time; `binding` is what the network holds of us, if anything.

    `owner` knows of other flows of the same phone, if it has any.
    """

    def __init__(self, agent: Agent, owner: Owner) -> None:
        super().__init__(agent, owner)
        self.binding: Binding | None = None
        self.leaves_everywhere = False  # a deregistration takes the user's other devices along
        self._is_leaving = False  # the user asked to leave while a REGISTER was under way
        self._shown = str(agent.impu)  # the default identity once the network has named it (5.1.1.1A)
        self._transaction: ClientTransaction | None = None
        self._was_granted = False  # so that it is to be kept up until the user leaves or the network refuses
        self._was_redirected = False
        self._schedule = Schedule(agent.ids)

    @property
    def deadline(self) -> float | None:
        """When `tick` is due."""
        times = (self._schedule.next_at, self._schedule.end_at, self._security.deadline)
        return min((at for at in times if at is not None), default=None)

    @property
    def way(self) -> Flow | None:
        """The way to the P-CSCF that is used or tried."""
        return self.binding.flow if self.binding else self._flows[0] if self._flows else None

    # Inputs -----------------------------------------------------------------------------------------------------------

    def register(self, now: float) -> list[Effect]:
        """Registers, or refreshes what is registered. Raises StateError while a REGISTER is under way."""
        return self._move("register", now)

    def deregister(self, now: float) -> list[Effect]:
        """Takes our contact out (TS 24.229 5.1.1.6), with `leaves_everywhere` all of the user's.

        Raises StateError where there is none.
        """
        return self._move("leave", now)

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        """The world's answer: flows to the P-CSCF, or what the SIM said."""
        if not self.has_asked(ask):
            return []
        self._asked = None
        kind = {Resolve: "resolved", Protect: "guarded"}.get(type(ask.question), "outcome")
        return self._move(kind, result, now)

    def has_asked(self, ask: Ask) -> bool:
        """Whether this very question is open here."""
        return ask is self._asked

    def responded(self, response: Response, transaction: ClientTransaction, now: float) -> list[Effect]:
        """A response to a REGISTER."""
        if transaction is not self._transaction or not response.is_final:
            return []
        self._transaction = None
        kind = "granted" if response.status < 300 else _KINDS.get(response.status)
        if kind is None:
            kind = "absent" if 500 <= response.status < 600 else "refused"
        return self._move(kind, response, now)

    def failed(self, transaction: ClientTransaction, cause: str, now: float) -> list[Effect]:
        """A REGISTER had no final response."""
        if transaction is not self._transaction:
            return []
        self._transaction = None
        return self._move("absent", "timeout" if cause == "timeout" else "unreachable", now)

    def seen(self, sighting: Sighting, now: float) -> list[Effect]:
        """The network tells what it holds of us (TS 24.229 5.1.1.5A, 5.1.1.7)."""
        return self._move("seen", sighting, now)

    def forgotten(self, now: float) -> list[Effect]:
        """The network lost us, or the way to it is broken: an initial registration, at once."""
        return self._move("lost", now)

    def moved(self, now: float, *, is_leaving: bool = False) -> list[Effect]:
        """The own address is another, and nothing comes or goes on the old one. `is_leaving`: the user is, too.

        From the new one at once, whatever was under way; who was about to leave has left, as far as can be said.
        """
        if self.state == "idle":
            return []
        released = self._security.end()
        if is_leaving or self._is_leaving or self._purpose == "removal":
            return [*released, *self._leave(now)]
        return [*released, *self._start_over(now)]

    def tick(self, now: float) -> list[Effect]:
        """The deadline has come."""
        effects = self._security.tick(now)
        return effects + self._move("alarm", now) if self._schedule.is_due(now) else effects

    def _move(self, name: str, *arguments: Any) -> list[Effect]:
        return take(MOVES, self, self.state, name, *arguments)

    # What the user asks -----------------------------------------------------------------------------------------------

    def _object(self, _now: float) -> list[Effect]:
        if self.state == "idle":
            raise StateError("this phone is not registered: there is nothing to take back; call register() first")
        raise StateError(f"a registration of {self._agent.identity.impu} is under way: wait for its end")

    def _discover(self, now: float) -> list[Effect]:
        """P-CSCF discovery: the profile (or the card) names some, or DNS of the home domain does (TS 24.229 9.2.1)."""
        agent = self._agent
        self._register.start()
        self._security.start()
        self._schedule.start()
        self._purpose, self._is_leaving = "initial", False
        self._flows, self._tried = [], []
        host, port = agent.profile.pcscf_endpoint or Endpoint(agent.identity.home_domain, None)
        self.state = "resolving"
        transport = agent.profile.transport or ("UDP" if self._security.is_wanted else None)
        self._asked = Ask(Resolve(host, port, transport, tuple(map(endpoint, agent.profile.other_pcscfs))), ABOUT)
        return [self._asked]

    def _refresh(self, now: float) -> list[Effect]:
        self._purpose = "refresh"
        self._proof.again()
        self._security.renew()
        return self._send(now)

    def _remove(self, now: float) -> list[Effect]:
        if self._agent.profile.emergency:  # 5.1.6.6: it is left to expire
            return self._leave(now)
        self._purpose = "removal"
        self._register.remove(is_for_all=self.leaves_everywhere)
        self._proof.again()
        self._security.renew()
        return self._send(now)

    def _abandon(self, now: float) -> list[Effect]:
        return self._leave(now)

    def _postpone(self, _now: float) -> list[Effect]:
        """TS 24.229 5.1.1.2.1: no new REGISTER before the one under way has its final response."""
        self._is_leaving = True
        return []

    # REGISTER ---------------------------------------------------------------------------------------------------------

    def _choose(self, result: Any, now: float) -> list[Effect]:
        found = [flow for flow in result if isinstance(flow, Flow)] if isinstance(result, tuple | list) else []
        self._flows = [flow for flow in found if self._owner.may_ask(self._agent, flow)]
        if found and not self._flows:
            return self._fail(explain.NO_OTHER, now)
        if not self._flows:
            host = self._agent.profile.pcscf or self._agent.identity.home_domain
            return self._rest(explain.no_address(host), now)
        return self._begin(now)

    def _begin(self, now: float) -> list[Effect]:
        self._tried.append(str(self._flows[0]))
        self._proof.start()
        return [*self._security.begin(), *self._send(now)]

    def _send(self, now: float) -> list[Effect]:
        agent, plain = self._agent, self._flows[0]
        flow = self._security.way(plain)
        is_known = self.binding is not None or flow != plain
        request = self._register.next(self._security.contact(plain), self._proof.authorization, is_known=is_known)
        self.state = "requesting"
        self._schedule.next_at = None
        self._transaction, effects = agent.transactions.request(request, flow, now, mark=self, asks_keep=True)
        return [*effects, Tell(Registering(at=now, impu=self._shown))]

    # Other answers ----------------------------------------------------------------------------------------------------

    def _longer(self, response: Response, now: float) -> list[Effect]:
        """423: at least Min-Expires, same Call-ID, CSeq one up (TS 24.229 5.1.1.2.1, RFC 3261 10.2.8)."""
        return self._send(now) if self._register.is_longer(response) else self._refuse(response, now)

    def _try_next(self, answer: Response | str, now: float) -> list[Effect]:
        """The network has troubles, or says nothing."""
        if isinstance(answer, str) and self._security.candidate is not None:
            return self._wonder(self._security.candidate, answer)
        return self._look_elsewhere(explain.failure(answer, self._tried), now)

    def _look_elsewhere(self, setback: Setback, now: float) -> list[Effect]:
        """This P-CSCF did not help."""
        if self._purpose == "refresh":
            return self._put_off(setback, now)
        if self._purpose == "initial" and not self._is_leaving:
            last = self._flows.pop(0)
            if setback.cause != "unreachable":  # it is there and does not help: another of its transports will not
                self._flows = [flow for flow in self._flows if flow.remote != last.remote]
            if self._flows:
                return self._begin(now)
            if setback.status == 305 and not self._was_redirected:  # 5.1.1.2.1: its Contact is ignored
                self._was_redirected = True
                return self._discover(now)
            return self._rest(setback, now)
        return self._fail(setback, now)

    def _put_off(self, setback: Setback, now: float) -> list[Effect]:
        """A refresh failed: the contact stands until it expires (TS 24.229 5.1.1.4), so later again."""
        self.state = "registered"
        released = self._security.failed()
        self._schedule.put_off(setback.retry_after_s, now)
        told = Tell(setback.told(now, self._tried, is_final=False))
        return [*released, told, *self._remove(now)] if self._is_leaving else [*released, told]

    def _rest(self, setback: Setback, now: float) -> list[Effect]:
        """No P-CSCF helps now: where the registration is to be kept up, the whole round again later."""
        has_other = self._owner.has_other(self._agent)
        if self._is_leaving or not (self._agent.profile.keep_trying or self._was_granted or has_other):
            return self._fail(setback, now)
        self.state, self.binding = "waiting", None
        is_quick = self._was_granted and setback.cause == "unreachable"
        base_s = WITH_OTHERS_S if has_other else ALONE_S
        self._schedule.rest(setback.retry_after_s, now, is_quick=is_quick, base_s=base_s)
        return [Tell(setback.told(now, self._tried, is_final=False))]

    def _refuse(self, response: Response, now: float) -> list[Effect]:
        if response.status == 439 and self._register.asks_outbound:  # RFC 5626 4.2.1: then without
            self._register.asks_outbound = False
            return self._send(now)
        if self._register.is_for_all:  # then at least our own (RFC 3261 10.2.2)
            self._register.remove(is_for_all=False)
            setback = Setback.of("rejected", explain.NOT_FOR_ALL, response)
            return [Tell(setback.told(now, self._tried, is_final=False)), *self._send(now)]
        if self._purpose == "removal" and response.status in _GONE:
            return self._leave(now)
        setback = explain.refusal(self._agent.identity, response, self._proof)
        if self._purpose == "refresh" and response.status not in _GONE:
            return self._put_off(setback, now)
        return self._fail(setback, now)

    # 200 --------------------------------------------------------------------------------------------------------------

    def _grant(self, response: Response, now: float) -> list[Effect]:
        if self._purpose == "removal":
            return self._leave(now)
        impu = str(self._agent.impu)
        own = own_contact(response, self._agent.is_own_contact, self._agent.reg_id)
        expires_s = granted_s(response, own, self._register.expires_s)
        if expires_s == 0:
            return self._fail(explain.no_contact(impu, response), now)
        if own is not None:
            self._agent.gruus.granted(impu, own.params)
        self._agent.has_outbound = self._register.asks_outbound and "outbound" in response.require
        prolonged = self._security.granted(now + expires_s, now)
        self.binding = binding = binding_of(response, self._security.way(self._flows[0]), impu)
        self.state, self._shown = "registered", binding.impu
        self._was_granted, self._was_redirected = True, False
        self._schedule.grant(expires_s, now)
        told = Tell(
            Registered(
                at=now,
                impu=binding.impu,
                impus=binding.impus,
                service_route=binding.service_route,
                expires_s=expires_s,
                is_refresh=self._purpose == "refresh",
                protection=str(self._security.current.suite) if self._security.current else "",
            )
        )
        return [*prolonged, told, *self._remove(now)] if self._is_leaving else [*prolonged, told]

    # What the network tells -------------------------------------------------------------------------------------------

    def _look(self, sighting: Sighting, now: float) -> list[Effect]:
        if sighting.fate == "held":
            if sighting.event == "shortened" and sighting.expires_s is not None:  # 5.1.1.5A: prove yourself sooner
                self._schedule.shorten(sighting.expires_s, now)
            return []
        if sighting.event in ("deactivated", "expired"):  # 5.1.1.7: once more from the start
            return self._anew(now)
        told = Tell(Deregistered(at=now, impu=self._shown, by="network"))
        self._security.lapse(now + self._agent.timers.timeout_s)  # the NOTIFY wants its answer
        self._reset()
        self._was_granted = sighting.event == "probation"
        if sighting.event == "probation":  # RFC 3680 4.7.1: later again
            self.state, self._schedule.next_at = "waiting", now + (sighting.retry_after_s or _PROBATION_S)
        return [told]  # rejected, unregistered: not before the user asks

    def _anew(self, now: float) -> list[Effect]:
        self._security.lapse(now + self._agent.timers.timeout_s)
        return self._start_over(now)

    def _start_over(self, now: float) -> list[Effect]:
        told: list[Effect] = [Tell(Deregistered(at=now, impu=self._shown, by="network"))] if self.binding else []
        was_granted = self._was_granted
        self._reset()
        self._was_granted = was_granted
        if self._owner.has_other(self._agent):  # RFC 5626 4.5: there is no hurry
            self.state = "waiting"
            self._schedule.pause(now)
            return told
        return [*told, *self._discover(now)]

    # The ends ---------------------------------------------------------------------------------------------------------

    def _wake(self, now: float) -> list[Effect]:
        """Time for a refresh, unless the registration ran out meanwhile."""
        if self._schedule.has_ended(now):
            return self._expire(now)
        if not self._owner.is_wanted():
            self._schedule.next_at = None
            return []
        return self._refresh(now)

    def _expire(self, now: float) -> list[Effect]:
        """The network has forgotten us: what is under way goes on as an initial registration, else one begins."""
        self.binding, self._schedule.end_at = None, None
        if self._purpose == "removal":
            return []
        told: list[Effect] = [Tell(explain.RAN_OUT.told(now, self._tried, is_final=False))]
        if self.state != "registered":
            self._purpose = "initial"
            return told
        self._security.lapse()
        if not self._owner.is_wanted():
            return [*told, *self._leave(now)]
        if self._schedule.not_before > now:
            self.state, self._schedule.next_at = "waiting", self._schedule.not_before
            return told
        return [*told, *self._discover(now)]

    def _fail(self, setback: Setback, now: float) -> list[Effect]:
        """No registration, and no further attempt by itself. Who takes leave does so whatever the network says."""
        is_leaving = self._is_leaving or self._purpose == "removal"
        told = self._security.end()
        if not (self._is_leaving and self._purpose == "initial"):
            told.append(Tell(setback.told(now, self._tried, is_final=True)))
        self._reset()
        return [*told, *self._leave(now)] if is_leaving else told

    def _leave(self, now: float) -> list[Effect]:
        self._reset()
        return [*self._security.end(), Tell(Deregistered(at=now, impu=self._shown))]

    def _reset(self) -> None:
        self.state, self.binding = "idle", None
        self._asked = self._transaction = None
        self._schedule.stop()
        self._is_leaving = self._was_granted = self._was_redirected = self.leaves_everywhere = False
