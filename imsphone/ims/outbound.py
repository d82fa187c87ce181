"""The flows of one phone: a registration each, so that one of them may break (RFC 5626; TS 24.229 5.1.1.2.1).

    ways[0]  reg-id=1 ──▶ P-CSCF ─┐ 200, Require: outbound: the network takes more ──▶ the others register, too
    ways[1]  reg-id=2 ──▶ another ┘ the same contact of the same instance, by another P-CSCF

A phone has one flow unless its profile asks for more, and then one as long as the network does not answer so. Requests
leave by the first flow that stands; a broken one comes back with the pauses of 4.5 while the others carry on, and is
told as `FlowLost`. The phone is registered as long as one of them is. A call stays with the flow that it began on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from imsphone.events import Deregistered, FlowLost, FlowOpened, Registered, RegistrationFailed
from imsphone.ims import emergency
from imsphone.ims.agent import Agent, Binding
from imsphone.ims.keepalive import KeepAlive
from imsphone.ims.reginfo import Sighting
from imsphone.ims.registration import Registration
from imsphone.machine import Ask, Effect, Flow, Tell


class Way:
    """One flow: its agent, its registration and what keeps it alive."""

    def __init__(self, agent: Agent, owner: Outbound) -> None:
        self.agent = agent
        self.registration = Registration(agent, owner)
        self.keepalive = KeepAlive(agent, partial(owner.broken, self))


class Outbound:
    """All of them. `is_wanted` tells whether the registration is to be kept up, `hear` what becomes of all effects."""

    def __init__(
        self, agent: Agent, is_wanted: Callable[[], bool], hear: Callable[[list[Effect], float], list[Effect]]
    ) -> None:
        self.is_wanted = is_wanted
        self._hear = hear
        count = agent.profile.flows
        agents = [agent] if count == 1 else [agent.beside(number + 1) for number in range(count)]
        self.ways = [Way(one, self) for one in agents]

    # For the phone ----------------------------------------------------------------------------------------------------

    @property
    def best(self) -> Way:
        """The flow that requests leave by: the first that stands, else the first that there is."""
        return next((way for way in self.ways if way.registration.binding is not None), self.ways[0])

    @property
    def binding(self) -> Binding | None:
        """What the network holds of us, by the best flow."""
        return self.best.registration.binding

    @property
    def is_idle(self) -> bool:
        """Whether nothing is registered, nor about to be."""
        return all(way.registration.state == "idle" for way in self.ways)

    @property
    def deadlines(self) -> list[float | None]:
        """The alarms of all."""
        return [at for way in self.ways for at in (way.registration.deadline, way.keepalive.deadline)]

    def at(self, flow: Flow) -> Way:
        """The way that something came on."""
        for way in self.ways:
            if way.registration.binding is not None and way.registration.binding.flow.remote.host == flow.remote.host:
                return way
        return self.best

    def unprotected(self, flow: Flow) -> tuple[str, str] | None:
        """What a request on this flow should have come inside, and which clause says so; None where it may come."""
        held = [way.agent for way in self.ways if way.agent.security.current is not None] or [self.ways[0].agent]
        broken = [agent.unprotected(flow) for agent in held]
        return None if None in broken else broken[0]

    def came(self, flow: Flow) -> None:
        """A message came on this flow."""
        for way in self.ways:
            way.agent.security.heard(flow)

    def register(self, now: float) -> list[Effect]:
        """Registers, or refreshes what is registered. Raises StateError while a REGISTER is under way."""
        return self.told(self.best, self.best.registration.register(now), now)

    def deregister(self, now: float) -> list[Effect]:
        """Takes the contact out of all flows. Raises StateError where there is none."""
        leaving = [way for way in self.ways if way.registration.state != "idle"] or self.ways[:1]
        return [effect for way in leaving for effect in self.told(way, way.registration.deregister(now), now)]

    def stop(self) -> None:
        """No keep-alives any more."""
        for way in self.ways:
            way.keepalive.stop()

    # Inputs -----------------------------------------------------------------------------------------------------------

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        """The world's answer, for whoever asked."""
        for way in self.ways:
            if way.registration.has_asked(ask):
                return self.told(way, way.registration.answer(ask, result, now), now)
        return []

    def heard(self, data: bytes, flow: Flow, now: float) -> None:
        """A STUN message."""
        for way in self.ways:
            way.keepalive.heard(data, flow, now)

    def closed(self, flow: Flow) -> None:
        """A connection broke."""
        for way in self.ways:
            way.agent.security.lost(flow)

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """A flow carries nothing any more."""
        return [effect for way in self.ways for effect in way.keepalive.lost(flow, now)]

    def tick(self, now: float) -> list[Effect]:
        """The deadline has come."""
        effects: list[Effect] = []
        for way in self.ways:
            effects += self.told(way, way.registration.tick(now), now)
            effects += way.keepalive.tick(now)
        return effects

    def seen(self, sighting: Sighting, now: float) -> list[Effect]:
        """The network tells what it holds of us."""
        return [effect for way in self.ways for effect in self.told(way, way.registration.seen(sighting, now), now)]

    def moved(self, now: float, *, is_leaving: bool) -> list[Effect]:
        """The own address is another."""
        effects: list[Effect] = []
        for way in reversed(self.ways):  # the first is the last to go, and comes back at once
            effects += self.told(way, way.registration.moved(now, is_leaving=is_leaving), now)
        return effects

    def broken(self, way: Way, now: float) -> list[Effect]:
        """Nothing answers on this way, or who is there has forgotten us."""
        return self.told(way, way.registration.forgotten(now), now)

    def of(self, registration: Registration) -> Way:
        """The way of a registration."""
        return next(way for way in self.ways if way.registration is registration)

    # For the registrations --------------------------------------------------------------------------------------------

    def may_ask(self, agent: Agent, flow: Flow) -> bool:
        """Whether this flow is for a registration of this agent: no two of them share a P-CSCF."""
        taken = [way.registration.way for way in self.ways if way.agent is not agent]
        is_taken = any(one is not None and one.remote.host == flow.remote.host for one in taken)
        return not is_taken and emergency.may_ask(agent.profile, flow)

    def has_other(self, agent: Agent) -> bool:
        """Whether another flow stands."""
        return any(way.registration.binding is not None for way in self.ways if way.agent is not agent)

    # What is told -----------------------------------------------------------------------------------------------------

    def told(self, way: Way, effects: list[Effect], now: float) -> list[Effect]:
        """What a registration did: keep-alives follow it, and while another flow stands its fate is that of a flow."""
        if not effects:
            return []
        binding, passed = way.registration.binding, list[Effect]()
        for effect in effects:
            event = effect.event if isinstance(effect, Tell) else None
            if isinstance(event, Registered) and binding is not None:
                way.keepalive.start(binding, now)
                if not event.is_refresh and self.has_other(way.agent):
                    effect = Tell(FlowOpened(at=now, flow=way.agent.reg_id, pcscf=str(binding.flow.remote)))
            elif isinstance(event, Deregistered | RegistrationFailed) and binding is None:
                way.keepalive.stop()
                if self.has_other(way.agent):
                    sentence = (
                        event.sentence if isinstance(event, RegistrationFailed) else "the network holds it no more"
                    )
                    effect = Tell(FlowLost(at=now, flow=way.agent.reg_id, sentence=sentence))
                else:
                    way.agent.gruus.forget()  # they are of the device, and end with its last flow
            passed.append(effect)
            if isinstance(event, Registered) and way.agent.has_outbound and way.registration.state == "registered":
                passed += self._add(now)
        return self._hear(passed, now)

    def _add(self, now: float) -> list[Effect]:
        """The network does outbound: the flows that are not there yet register."""
        idle = [way for way in self.ways if way.registration.state == "idle"]
        return [effect for way in idle for effect in self.told(way, way.registration.register(now), now)]
