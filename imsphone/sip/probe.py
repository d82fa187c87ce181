"""Is anybody there? One OPTIONS to each flow in turn, until something answers (RFC 3261 11).

Any SIP answer will do, a refusal as well: whoever refuses is there.

    ask ──▶ Resolve ──▶ flows ──▶ OPTIONS ──▶ Tell(Answered) │ nothing ──▶ next flow ──▶ … ──▶ Tell(Unanswered)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imsphone.machine import Ask, Effect, Flow, Ids, Resolve, Tell
from imsphone.sip.message import Request
from imsphone.sip.timers import Timers
from imsphone.sip.transactions import ResponseArrived, TransactionFailed, Transactions


@dataclass(frozen=True, slots=True)
class Answered:
    """Somebody takes SIP on this flow."""

    flow: Flow
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nobody does on any of these."""

    tried: tuple[Flow, ...]


class Probe:
    """The machine; `domain` stands in the addresses of its requests."""

    def __init__(self, domain: str, ids: Ids, timers: Timers) -> None:
        self._domain = domain
        self._ids = ids
        self._transactions = Transactions(ids, timers)
        self._left: list[Flow] = []
        self._tried: list[Flow] = []

    @property
    def deadline(self) -> float | None:
        """When `tick` is due."""
        return self._transactions.deadline

    def ask(self, question: Resolve, now: float) -> list[Effect]:
        """Begins: where would a request go?"""
        return [Ask(question)]

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        """The flows that lead there."""
        self._left = list(result or ())
        return self._next(now)

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """Something came."""
        return self._hear(self._transactions.receive(data, flow, now), now)

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """A flow carries nothing."""
        return self._hear(self._transactions.lost(flow, now), now)

    def tick(self, now: float) -> list[Effect]:
        """The alarm."""
        return self._hear(self._transactions.tick(now), now)

    def _next(self, now: float) -> list[Effect]:
        if not self._left:
            return [Tell(Unanswered(tuple(self._tried)))]
        flow = self._left.pop(0)
        self._tried.append(flow)
        options = Request("OPTIONS", f"sip:{self._domain}")
        for name, value in (
            ("Max-Forwards", "70"),
            ("From", f"<sip:probe@{self._domain}>;tag={self._ids.tag()}"),
            ("To", f"<sip:{self._domain}>"),
            ("Call-ID", self._ids.call_id()),
            ("CSeq", "1 OPTIONS"),
        ):
            options.headers.add(name, value)
        return self._hear(self._transactions.request(options, flow, now)[1], now)

    def _hear(self, effects: list[Effect], now: float) -> list[Effect]:
        out: list[Effect] = []
        for effect in effects:
            match effect:
                case Tell(ResponseArrived(response, transaction)):
                    out.append(Tell(Answered(transaction.flow, response.status, response.reason)))
                case Tell(TransactionFailed()):
                    out += self._next(now)
                case Tell():
                    pass  # requests and garbage of others are none of a probe's business
                case _:
                    out.append(effect)
        return out
