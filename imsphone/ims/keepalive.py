"""Whether the way to the P-CSCF still stands, asked before a call is lost to find it out (RFC 6223, RFC 5626 4.4).

    the network granted `keep`   UDP   STUN on the flow, as often as it said          no answer ─┐
                                 TCP   CRLFCRLF; a broken connection is told as lost             ├─▶ register anew
    the profile says so          OPTIONS through the P-CSCF, every few seconds                   │
                                   no answer twice, or 403 where it was another answer before ───┘

The second of two that stay without an answer is waited for half as long: asked every five seconds, an outage is noticed
after 12.5 s at most. The last row notices a P-CSCF that came back and has forgotten us. OPTIONS to the P-CSCF itself
would not: many answer that for everybody. So it goes to the home domain by the Service-Route, a way that is for
registered phones alone; what the home network answers does not matter, as long as it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from imsphone.ims.agent import Agent, Binding
from imsphone.machine import Effect, Flow, Send
from imsphone.sip import stun
from imsphone.sip.client import ClientTransaction
from imsphone.sip.framing import PING
from imsphone.sip.headers import Headers
from imsphone.sip.message import Request, Response

_STUN_S: Final = 29  # RFC 5626 4.4.2: where the network names no time
_CRLF_S: Final = 120  # RFC 5626 4.4.1
_REPEATS_S: Final = (0.5, 1.5, 3.5)  # a Binding request is repeated so long after the first
_SILENT_S: Final = 5.0
_MOST_SILENT: Final = 2  # OPTIONS in a row without an answer
_FIRST_S: Final = 1  # after registering: what the answer usually is wants to be known before it matters
_UNKNOWN: Final = (403, 481)


class KeepAlive:
    """The keep-alives of one registration; `broken` is called when the way no longer stands."""

    def __init__(self, agent: Agent, broken: Callable[[float], list[Effect]]) -> None:
        self._agent = agent
        self._broken = broken
        self._flow: Flow | None = None
        self._binding: Binding | None = None
        self._keep_s: int | None = None
        self._ping_at: float | None = None
        self._asked: bytes | None = None  # the STUN transaction that waits for its answer
        self._asked_at = 0.0
        self._repeats: list[float] = []
        self._options_at: float | None = None
        self._options: ClientTransaction | None = None
        self._usual: int | None = None  # how the P-CSCF answers OPTIONS while it knows us
        self._silent = 0

    @property
    def deadline(self) -> float | None:
        """When `tick` is due."""
        times = (self._ping_at, self._options_at, self._repeats[0] if self._repeats else None)
        return min((at for at in times if at is not None), default=None)

    def start(self, binding: Binding, now: float) -> None:
        """We are registered, or still are: from now on the way is watched."""
        if self._flow != binding.flow:
            self.stop()
        self._flow, self._binding = binding.flow, binding
        self._keep_s = binding.keep_s
        if self._keep_s is not None and self._asked is None:
            self._ping_at = self._next_ping(now)
        if self._agent.profile.keep_alive_s and self._options_at is None:
            self._options_at = now + min(_FIRST_S, self._agent.profile.keep_alive_s)

    def stop(self) -> None:
        """We are not registered any more."""
        self._flow = self._ping_at = self._options_at = self._asked = self._options = self._usual = None
        self._repeats = []
        self._silent = 0

    def tick(self, now: float) -> list[Effect]:
        """The deadline has come."""
        effects: list[Effect] = []
        if self._ping_at is not None and now >= self._ping_at:
            effects += self._ping(now)
        if self._repeats and now >= self._repeats[0]:
            effects += self._repeat(now)
        if self._options_at is not None and now >= self._options_at:
            effects += self._ask(now)
        return effects

    def heard(self, data: bytes, flow: Flow, now: float) -> None:
        """A STUN message."""
        if stun.is_success(data) and stun.transaction_of(data) == self._asked and flow == self._flow:
            self._asked, self._repeats = None, []
            self._ping_at = self._next_ping(now)

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """A connection broke; where it was kept up by us, it was the way, and TLS is in any case: nobody calls back."""
        is_only_way = self._keep_s is not None or self._options_at or flow.transport == "TLS"
        return self._fail(now) if flow == self._flow and is_only_way else []

    def responded(self, response: Response, transaction: ClientTransaction, now: float) -> list[Effect]:
        """An answer to OPTIONS: any will do, unless it tells that the P-CSCF has forgotten us."""
        if transaction is not self._options or not response.is_final:
            return []
        self._options, self._silent = None, 0
        usual, self._usual = self._usual, response.status
        return self._fail(now) if response.status in _UNKNOWN and usual not in (None, response.status) else []

    def failed(self, transaction: ClientTransaction, cause: str, now: float) -> list[Effect]:
        """No answer to OPTIONS at all, or nothing listens there."""
        if transaction is not self._options:
            return []
        self._options = None
        return self._fail(now)

    # STUN and CRLF ----------------------------------------------------------------------------------------------------

    def _next_ping(self, now: float) -> float:
        """80 to 100 per cent of the time (RFC 6223 4.2, RFC 5626 4.4)."""
        assert self._flow is not None
        longest_s = self._keep_s or (_STUN_S if self._flow.transport == "UDP" else _CRLF_S)
        return now + longest_s * (0.8 + self._agent.ids.number(16) / (1 << 16) / 5)

    def _ping(self, now: float) -> list[Effect]:
        assert self._flow is not None
        if self._flow.is_stream:
            self._ping_at = self._next_ping(now)
            return [Send(PING, self._flow)]
        self._ping_at = None
        self._asked, self._asked_at = self._agent.ids.data(stun.TRANSACTION_BYTES), now
        self._repeats = [now + after_s for after_s in (*_REPEATS_S, _SILENT_S)]
        return [Send(stun.request(self._asked), self._flow)]

    def _repeat(self, now: float) -> list[Effect]:
        self._repeats.pop(0)
        if not self._repeats or self._asked is None or self._flow is None:
            return self._fail(now)
        return [Send(stun.request(self._asked), self._flow)]

    # OPTIONS ----------------------------------------------------------------------------------------------------------

    def _ask(self, now: float) -> list[Effect]:
        assert self._binding is not None
        self._options_at = now + self._agent.profile.keep_alive_s
        if self._options is not None:
            self._silent += 1
            if self._silent >= _MOST_SILENT:
                return self._fail(now)
            self._options_at = now + self._agent.profile.keep_alive_s / 2
        agent, binding = self._agent, self._binding
        target = f"sip:{agent.identity.home_domain}"
        fields = [
            ("Max-Forwards", "70"),
            *(("Route", value) for value in agent.route(binding)),
            ("From", f"<{binding.impu}>;tag={agent.ids.tag()}"),
            ("To", f"<{target}>"),
            ("Call-ID", agent.ids.call_id()),
            ("CSeq", "1 OPTIONS"),
        ]
        request = agent.inside(Request("OPTIONS", target, Headers.of_canonical(fields)))
        self._options, effects = agent.transactions.request(request, binding.flow, now, mark=self)
        return effects

    def _fail(self, now: float) -> list[Effect]:
        self.stop()
        return self._broken(now)
