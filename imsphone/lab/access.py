"""The access network: a bad way between phones and the node that they speak to, its neighbours excepted.

    phone ──▶ Link ──▶ heap ──▶ receive ┐
                                        │ the node itself          core ◀──▶ untouched
    phone ◀── Link ◀── heap ◀─── Send ──┘

It is a machine around a machine, so a `World` and real sockets know no difference. UDP is lost and doubled as the link
says; TCP comes late instead, and in order.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from typing import Any

from imsphone.lab.link import Link
from imsphone.machine import Ask, Effect, Flow, Machine, Send


class Access:
    """`machine` as phones reach it over `link`; the hosts in `core` reach it as before."""

    def __init__(self, machine: Machine, link: Link, core: Collection[str]) -> None:
        self._machine = machine
        self._core = frozenset(core)
        self._in, self._out = link, link.twin()
        self._under_way: list[tuple[float, int, bool, bytes, Flow]] = []  # when, order, is going out
        self._order = 0
        self._behind: dict[tuple[bool, Flow], float] = {}

    @property
    def deadline(self) -> float | None:
        """The next message that comes out of the link, or the machine's own alarm."""
        times = (self._under_way[0][0] if self._under_way else None, self._machine.deadline)
        return min((at for at in times if at is not None), default=None)

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """A message: of the core at once, of a phone when the link lets it."""
        if flow.remote.host in self._core:
            return self._sent(self._machine.receive(data, flow, now), now)
        self._carry(self._in, data, flow, now, is_going_out=False)
        return []

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        """The world's answer to a question of the machine."""
        return self._sent(self._machine.answer(ask, result, now), now)

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """A flow carries nothing any more."""
        self._behind.pop((True, flow), None)
        self._behind.pop((False, flow), None)
        return self._sent(self._machine.lost(flow, now), now)

    def tick(self, now: float) -> list[Effect]:
        """What has come through by now, and the machine's alarm if it is due."""
        effects: list[Effect] = []
        while self._under_way and self._under_way[0][0] <= now:
            _, _, is_going_out, data, flow = heapq.heappop(self._under_way)
            if is_going_out:
                effects.append(Send(data, flow))
            else:
                effects += self._sent(self._machine.receive(data, flow, now), now)
        at = self._machine.deadline
        if at is not None and at <= now:
            effects += self._sent(self._machine.tick(now), now)
        return effects

    def _sent(self, effects: list[Effect], now: float) -> list[Effect]:
        passed: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Send) and effect.flow.remote.host not in self._core:
                self._carry(self._out, effect.data, effect.flow, now, is_going_out=True)
            else:
                passed.append(effect)
        return passed

    def _carry(self, link: Link, data: bytes, flow: Flow, now: float, *, is_going_out: bool) -> None:
        if flow.transport == "UDP":
            times = link.carry(now)
        else:
            at = link.carry_surely(now)
            key = (is_going_out, flow)
            times = [] if at is None else [max(at, self._behind.get(key, at))]
            if times:
                self._behind[key] = times[0]
        for at in times:
            self._order += 1
            heapq.heappush(self._under_way, (at, self._order, is_going_out, data, flow))
