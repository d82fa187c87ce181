"""The part of a registration from a challenge to its answer, and what is to be agreed on meanwhile (TS 24.229 5.1.1.5).

401 ─▶ what of IPsec? ─▶ the SIM ─┬▶ success ─▶ Protect ─▶ REGISTER, inside
        │ nothing usable          │                        └ silence ─▶ what has passed? ─▶ why
        │                         └▶ invalid ─▶ REGISTER with new ends, as before
        └▶ once more with a new Call-ID, or in the clear where the profile lets us, or no registration
420, 421, 494 ─▶ the same, where they speak of the agreement (RFC 3329 2.3.1)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from imsphone.events import Challenged
from imsphone.ims.agent import Agent
from imsphone.ims.authentication import Authentication, GiveUp
from imsphone.ims.explain import Setback
from imsphone.ims.register import Register
from imsphone.ims.silence import silence_inside
from imsphone.ipsec.sa import Associations, Inspect
from imsphone.ipsec.shield import Passed
from imsphone.machine import Ask, Effect, Flow, Tell
from imsphone.sip.message import Response
from imsphone.usim.aka import AkaSuccess

ABOUT = "registration"


class Owner(Protocol):
    """What a registration asks of whoever has several: `agent` is its own."""

    is_wanted: Callable[[], bool]

    def may_ask(self, agent: Agent, flow: Flow) -> bool: ...

    def has_other(self, agent: Agent) -> bool: ...


class Proving:
    """What `Registration` does between a challenge and its answer."""

    def __init__(self, agent: Agent, owner: Owner) -> None:
        self.state = "idle"
        self._owner = owner
        self._agent = agent
        self._register = Register(agent)
        self._proof = Authentication(agent.identity, agent.ids, agent.password)
        self._security = agent.security
        self._purpose: Literal["initial", "refresh", "removal"] = "initial"
        self._asked: Ask | None = None
        self._silence = ""  # "timeout" or "unreachable", where the P-CSCF did not answer inside
        self._flows: list[Flow] = []
        self._tried: list[str] = []

    # What the registration does with it -------------------------------------------------------------------------------

    def _begin(self, now: float) -> list[Effect]:
        raise NotImplementedError

    def _send(self, now: float) -> list[Effect]:
        raise NotImplementedError

    def _put_off(self, setback: Setback, now: float) -> list[Effect]:
        raise NotImplementedError

    def _refuse(self, response: Response, now: float) -> list[Effect]:
        raise NotImplementedError

    def _fail(self, setback: Setback, now: float) -> list[Effect]:
        raise NotImplementedError

    def _look_elsewhere(self, setback: Setback, now: float) -> list[Effect]:
        raise NotImplementedError

    # 401 --------------------------------------------------------------------------------------------------------------

    def _examine(self, response: Response, now: float) -> list[Effect]:
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
        lack = self._security.guarded(result if isinstance(result, tuple) else ())
        if not lack:
            return self._send(now)
        self._security.may_ask_again = False
        return self._disagree(lack, None, now)

    def _agree(self, response: Response, now: float) -> list[Effect]:
        """420, 421, 494: the network wants no agreement, or one, or another (RFC 3329 2.3.1)."""
        lack = self._security.refused(response) if self._purpose == "initial" else ""
        return self._disagree(lack, response, now) if lack else self._refuse(response, now)

    def _wonder(self, silent: Associations, answer: str) -> list[Effect]:
        """Nothing answers inside new associations: what has passed them tells which way is shut."""
        self.state, self._silence = "wondering", answer
        self._asked = Ask(Inspect(silent), ABOUT)
        return [self._asked]

    def _judge(self, result: Any, now: float) -> list[Effect]:
        """The world has counted, or cannot."""
        passed = result if isinstance(result, Passed) else Passed()
        return self._look_elsewhere(silence_inside(passed, self._tried, self._silence), now)

    def _disagree(self, lack: str, response: Response | None, now: float) -> list[Effect]:
        """No IPsec: once more from the start (5.1.1.5.1), then in the clear if the profile lets us, or not at all."""
        setback = Setback.of("rejected", lack, response)
        if self._purpose == "refresh":
            return self._put_off(setback, now)
        if self._purpose == "removal" or not self._security.begins_again():
            return self._fail(setback, now)
        self._register.name_anew()
        return [Tell(setback.told(now, self._tried, is_final=False)), *self._begin(now)]

    def _give_up(self, verdict: GiveUp, response: Response | None, now: float) -> list[Effect]:
        return self._fail(Setback.of("authentication", verdict.sentence, response), now)
