"""Registration from the phone's side (TS 24.229 5.1.1): how the network comes to know where we are, and stays so.

    idle ─register─▶ resolving ─▶ requesting ◀──▶ proving           401: the SIM is asked, the answer leaves
      ▲                             │  ▲  │                         423: the same with a longer expiry
      │                            200 │  └─ 5xx, 408, silence ─▶ the next P-CSCF of the round
      │                             ▼  │
      └── 403, give up ◀───── registered ── half the time, or 600 s before the end ─▶ requesting (refresh)

With IPsec the answer to the 401 leaves inside the associations that the world has set up meanwhile (`ims.security`).

A refresh that fails costs nothing at first: the network holds our contact until it expires, so the phone tries again,
later each time (RFC 5626 4.5). Only then, or on 403 and 404, is the registration gone.
"""

from __future__ import annotations

from typing import Any, Literal

from imsphone.errors import StateError
from imsphone.events import Challenged, Deregistered, Registered, Registering
from imsphone.ims import explain
from imsphone.ims.agent import Agent, Binding
from imsphone.ims.authentication import Authentication, GiveUp
from imsphone.ims.explain import Setback
from imsphone.ims.moves import moves
from imsphone.ims.reginfo import Sighting
from imsphone.ims.timing import BACKOFF_S, backoff_s, refresh_after_s
from imsphone.ipsec.sa import Protect
from imsphone.machine import Ask, Effect, Flow, Resolve, Tell
from imsphone.profile import Endpoint
from imsphone.sip.client import ClientTransaction
from imsphone.sip.message import Response
from imsphone.usim.aka import AkaSuccess

ABOUT = "registration"

MOVES = moves("""
           register leave    resolved granted doubted   brief    absent   insecure refused outcome alarm    guarded seen
idle       discover object   .        .       .         .        .        .        .       .       .        .       .
resolving  object   abandon  choose   .       .         .        .        .        .       .       .        .       .
requesting object   postpone .        grant   challenge lengthen try_next agree    refuse  .       expire   .       .
proving    object   postpone .        .       .         .        .        .        .       prove   expire   guarded .
registered refresh  remove   .        .       .         .        .        .        .       .       wake     .       look
waiting    discover abandon  .        .       .         .        .        .        .       .       discover .       .
""")

# What a final response means; the others refuse. 305 sends back to P-CSCF discovery (TS 24.229 5.1.1.2.1).
_KINDS = {401: "doubted", 423: "brief", 305: "absent", 408: "absent"}
_KINDS |= dict.fromkeys((420, 421, 494), "insecure")
_GONE = (403, 404)  # after these the network holds no contact of ours, also in a refresh

_LONGER_TIMES = 2  # how often a 423 may raise the expiry


class Registration:
    """One identity, one contact, one P-CSCF at a time; `binding` is what the network holds of us, if anything."""

    def __init__(self, agent: Agent) -> None:
        self.state = "idle"
        self.binding: Binding | None = None
        self._agent = agent
        self._proof = Authentication(agent.identity, agent.ids, agent.password)
        self._security = agent.security
        self._purpose: Literal["initial", "refresh", "removal"] = "initial"
        self._is_leaving = False  # the user asked to leave while a REGISTER was under way
        self._shown = str(agent.impu)  # the default identity once the network has named it (5.1.1.1A)
        self._asked: Ask | None = None
        self._transaction: ClientTransaction | None = None
        self._flows: list[Flow] = []
        self._tried: list[str] = []
        self._call_id = self._tag = ""
        self._cseq = 0
        self._expires_s = 0
        self._raised = 0
        self._failures = 0
        self._not_before = 0.0  # until then the network wants no REGISTER (Retry-After)
        self._next_at: float | None = None  # the next refresh, or the next try
        self._end_at: float | None = None  # when the network forgets us

    @property
    def deadline(self) -> float | None:
        """When `tick` is due."""
        times = (self._next_at, self._end_at, self._security.deadline)
        return min((at for at in times if at is not None), default=None)

    # Inputs -----------------------------------------------------------------------------------------------------------

    def register(self, now: float) -> list[Effect]:
        """Registers, or refreshes what is registered. Raises StateError while a REGISTER is under way."""
        return self._move("register", now)

    def deregister(self, now: float) -> list[Effect]:
        """Takes our contact out (TS 24.229 5.1.1.6). Raises StateError where there is none."""
        return self._move("leave", now)

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        """The world's answer: flows to the P-CSCF, or what the SIM said."""
        if ask != self._asked:
            return []
        self._asked = None
        kind = {Resolve: "resolved", Protect: "guarded"}.get(type(ask.question), "outcome")
        return self._move(kind, result, now)

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

    def tick(self, now: float) -> list[Effect]:
        """The deadline has come."""
        effects = self._security.tick(now)
        is_due = any(at is not None and now >= at for at in (self._next_at, self._end_at))
        return effects + self._move("alarm", now) if is_due else effects

    def _move(self, name: str, *arguments: Any) -> list[Effect]:
        method = MOVES[self.state, name]
        if method == ".":
            return []
        effects: list[Effect] = getattr(self, f"_{method}")(*arguments)
        return effects

    # What the user asks -----------------------------------------------------------------------------------------------

    def _object(self, _now: float) -> list[Effect]:
        if self.state == "idle":
            raise StateError("this phone is not registered: there is nothing to take back; call register() first")
        raise StateError(f"a registration of {self._agent.identity.impu} is under way: wait for its end")

    def _discover(self, now: float) -> list[Effect]:
        """P-CSCF discovery: the profile names one, or DNS of the home domain does (TS 24.229 9.2.1)."""
        agent = self._agent
        self._name_anew()
        self._security.start()
        self._purpose, self._is_leaving = "initial", False
        self._expires_s, self._raised, self._failures = agent.profile.expires_s, 0, 0
        self._flows, self._tried = [], []
        self._next_at = self._end_at = None
        host, port = agent.profile.pcscf_endpoint or Endpoint(agent.identity.home_domain, None)
        self.state = "resolving"
        transport = "UDP" if self._security.is_wanted else agent.profile.transport
        self._asked = Ask(Resolve(host, port, transport), ABOUT)
        return [self._asked]

    def _name_anew(self) -> None:
        """An initial registration, or the same once more with or without IPsec: it has a new Call-ID (5.1.1.5.1)."""
        ids = self._agent.ids
        self._call_id, self._tag, self._cseq = ids.call_id(), ids.tag(), 0

    def _refresh(self, now: float) -> list[Effect]:
        self._purpose = "refresh"
        self._proof.again()
        self._security.renew()
        return self._send(now)

    def _remove(self, now: float) -> list[Effect]:
        self._purpose, self._expires_s = "removal", 0
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
        self._flows = [flow for flow in result if isinstance(flow, Flow)] if isinstance(result, tuple | list) else []
        if not self._flows:
            host = self._agent.profile.pcscf or self._agent.identity.home_domain
            return self._fail(explain.no_address(host), now)
        return self._begin(now)

    def _begin(self, now: float) -> list[Effect]:
        self._tried.append(str(self._flows[0]))
        self._proof.start()
        return [*self._security.begin(), *self._send(now)]

    def _send(self, now: float) -> list[Effect]:
        agent, plain = self._agent, self._flows[0]
        flow = self._security.way(plain)
        self._cseq += 1
        request = agent.register(
            self._security.contact(plain),
            call_id=self._call_id,
            tag=self._tag,
            cseq=self._cseq,
            expires_s=self._expires_s,
            authorization=self._proof.authorization,
            is_protected=self.binding is not None or flow != plain,
        )
        self.state = "requesting"
        self._next_at = None
        self._transaction, effects = agent.transactions.request(request, flow, now, mark=self)
        return [*effects, Tell(Registering(at=now, impu=self._shown))]

    # 401 --------------------------------------------------------------------------------------------------------------

    def _challenge(self, response: Response, now: float) -> list[Effect]:
        question = self._proof.challenged(response)
        if isinstance(question, GiveUp):
            return self._give_up(question, response, now)
        if self._security.is_wanted and (lack := self._security.challenged(response)):
            return self._disagree(lack, response, now)
        told = Tell(Challenged(at=now, algorithm=self._proof.algorithm))
        if question is None:
            return [told, *self._send(now)]
        self.state = "proving"
        self._asked = Ask(question, ABOUT)
        return [told, self._asked]

    def _prove(self, result: Any, now: float) -> list[Effect]:
        verdict = self._proof.outcome(result)
        if verdict is not None:
            return self._give_up(verdict, None, now)
        if not self._security.is_wanted:
            return self._send(now)
        if isinstance(result, AkaSuccess):
            effects, self._asked = self._security.protect(result, self._flows[0])
            return [*effects, self._asked]
        self._security.renew()  # 5.1.1.5.3: the answer to an invalid challenge has new SPIs and a new port
        return [*self._security.failed(), *self._send(now)]

    # The security agreement -------------------------------------------------------------------------------------------

    def _guarded(self, result: Any, now: float) -> list[Effect]:
        """The world has set the associations up, or cannot."""
        if result:
            return self._send(now)
        self._security.may_ask_again = False
        return self._disagree(explain.NO_IPSEC, None, now)

    def _agree(self, response: Response, now: float) -> list[Effect]:
        """420, 421, 494: the network wants no agreement, or one, or another (RFC 3329 2.3.1)."""
        lack = self._security.refused(response) if self._purpose == "initial" else ""
        return self._disagree(lack, response, now) if lack else self._refuse(response, now)

    def _disagree(self, lack: str, response: Response | None, now: float) -> list[Effect]:
        """No IPsec: once more from the start (5.1.1.5.1), then in the clear if the profile lets us, or not at all."""
        setback = Setback.of("rejected", lack, response)
        if self._purpose == "refresh":
            return self._put_off(setback, now)
        if self._purpose == "removal" or not self._security.begins_again():
            return self._fail(setback, now)
        self._name_anew()
        return [Tell(setback.told(now, self._tried, is_final=False)), *self._begin(now)]

    def _give_up(self, verdict: GiveUp, response: Response | None, now: float) -> list[Effect]:
        return self._fail(Setback.of("authentication", verdict.sentence, response), now)

    # Other answers ----------------------------------------------------------------------------------------------------

    def _lengthen(self, response: Response, now: float) -> list[Effect]:
        """423: at least Min-Expires, same Call-ID, CSeq one up (TS 24.229 5.1.1.2.1, RFC 3261 10.2.8)."""
        least_s = response.number("Min-Expires")
        if self._purpose == "removal" or least_s is None or least_s <= self._expires_s or self._raised >= _LONGER_TIMES:
            return self._refuse(response, now)
        self._expires_s = least_s
        self._raised += 1
        return self._send(now)

    def _try_next(self, answer: Response | str, now: float) -> list[Effect]:
        """The network has troubles, or says nothing."""
        setback = explain.failure(answer, self._tried, is_inside=self._security.candidate is not None)
        if self._purpose == "refresh":
            return self._put_off(setback, now)
        if self._purpose == "initial" and not self._is_leaving:
            last = self._flows.pop(0)
            if setback.cause != "unreachable":  # it is there and does not help: another of its transports will not
                self._flows = [flow for flow in self._flows if flow.remote != last.remote]
            if self._flows:
                return self._begin(now)
        return self._fail(setback, now)

    def _put_off(self, setback: Setback, now: float) -> list[Effect]:
        """A refresh failed: the contact stands until it expires (TS 24.229 5.1.1.4), so later again."""
        self.state = "registered"
        self._failures += 1
        released = self._security.failed()
        self._not_before = now + (setback.retry_after_s or 0)
        self._next_at = max(now + backoff_s(self._failures, self._agent.ids), self._not_before)
        told = Tell(setback.told(now, self._tried, is_final=False))
        return [*released, told, *self._remove(now)] if self._is_leaving else [*released, told]

    def _refuse(self, response: Response, now: float) -> list[Effect]:
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
        expires_s = self._agent.granted_s(response, self._expires_s)
        if expires_s == 0:
            return self._fail(explain.no_contact(impu, response), now)
        # 5.1.1.2.1 b, c: the first is the default; what is not listed is barred and never used again
        impus = tuple(str(one.uri) for one in response.associated_uris) or (impu,)
        route = tuple(str(one) for one in response.service_routes)
        self._security.granted(now + expires_s, now)
        self.binding = Binding(self._security.way(self._flows[0]), impus[0], impus, route)
        self.state, self._shown = "registered", impus[0]
        self._failures = 0
        self._end_at = now + expires_s
        self._next_at = now + refresh_after_s(expires_s)
        told = Tell(
            Registered(
                at=now,
                impu=impus[0],
                impus=impus,
                service_route=route,
                expires_s=expires_s,
                is_refresh=self._purpose == "refresh",
                protection=str(self._security.current.suite) if self._security.current else "",
            )
        )
        return [told, *self._remove(now)] if self._is_leaving else [told]

    # What the network tells -------------------------------------------------------------------------------------------

    def _look(self, sighting: Sighting, now: float) -> list[Effect]:
        if sighting.fate == "held":
            if sighting.event == "shortened" and sighting.expires_s is not None:  # 5.1.1.5A: prove yourself sooner
                self._end_at = now + sighting.expires_s
                self._next_at = now + refresh_after_s(sighting.expires_s)
            return []
        told = Tell(Deregistered(at=now, impu=self._shown, by="network"))
        self._security.lapse(now + self._agent.timers.timeout_s)  # the NOTIFY wants its answer
        self._reset()
        if sighting.event in ("deactivated", "expired"):  # 5.1.1.7: once more from the start
            return [told, *self._discover(now)]
        if sighting.event == "probation":  # RFC 3680 4.3: later again
            self.state, self._next_at = "waiting", now + (sighting.retry_after_s or BACKOFF_S)
        return [told]  # rejected, unregistered: not before the user asks

    # The ends ---------------------------------------------------------------------------------------------------------

    def _wake(self, now: float) -> list[Effect]:
        """Time for a refresh, unless the registration ran out meanwhile."""
        return self._expire(now) if self._end_at is not None and now >= self._end_at else self._refresh(now)

    def _expire(self, now: float) -> list[Effect]:
        """The network has forgotten us: what is under way goes on as an initial registration, else one begins."""
        self.binding, self._end_at = None, None
        if self._purpose == "removal":
            return []
        told = Tell(explain.RAN_OUT.told(now, self._tried, is_final=False))
        if self.state != "registered":
            self._purpose = "initial"
            return [told]
        self._security.lapse()
        if self._not_before > now:
            self.state, self._next_at = "waiting", self._not_before
            return [told]
        return [told, *self._discover(now)]

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
        self._next_at = self._end_at = None
        self._is_leaving = False
