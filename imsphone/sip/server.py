"""Server transactions: a request came, and its answers are repeated as long as it is (RFC 3261 17.2).

         INVITE (RFC 6026 figure 3)                          others (figure 8)

proceeding ──300-699──▶ completed ──ACK──▶ confirmed     trying ──1xx──▶ proceeding
    │                     │ H: no ACK        │ I            │               │
   2xx                    ▼                  ▼              └── 200-699 ────┴──▶ completed ──J──▶ done
    ▼                   timed out           done
accepted ──L──▶ done        (2xx are repeated by the dialog's owner, not here)

An INVITE whose owner says nothing for 200 ms is answered with 100 (17.2.1); any other request that gets no final
response while its client waits is forgotten, for a later one could only do harm (RFC 4320 4.2).
"""

from __future__ import annotations

from imsphone.machine import Effect, Flow, Send
from imsphone.sip.message import Request, Response
from imsphone.sip.timers import Timers

TRYING_S = 0.2  # RFC 3261 17.2.1


class ServerTransaction:
    """One request, and the flow on which its answers go. `mark` is the owner's own note."""

    def __init__(
        self, request: Request, flow: Flow, timers: Timers, key: tuple[str, str, int, str], now: float, n_bytes: int = 0
    ) -> None:
        self.request = request
        self.n_bytes = n_bytes  # of the request, as it came
        self.flow = flow
        self.key = key
        self.mark: object = None
        self.alarm: float | None = None  # the owner's, of the deadline it knows
        self.is_invite = request.method == "INVITE"
        self.state = "proceeding" if self.is_invite else "trying"
        self.final: Response | None = None
        self._timers = timers
        self._last: bytes | None = None
        self._interval_s = timers.t1_s
        self._repeat_at: float | None = now + TRYING_S if self.is_invite else None  # then Timer G
        self._end_at: float | None = None if self.is_invite else now + timers.timeout_s  # then Timers H, I, J, L

    @property
    def deadline(self) -> float | None:
        """When `tick` is due."""
        times = [at for at in (self._repeat_at, self._end_at) if at is not None]
        return min(times) if times else None

    @property
    def is_done(self) -> bool:
        """Whether the transaction can be forgotten."""
        return self.state == "done"

    @property
    def is_answered(self) -> bool:
        """Whether a final response has left."""
        return self.final is not None

    def repeat(self) -> list[Effect]:
        """The request came again: so does the last answer, if there was one."""
        if self._last is None or self.state in ("accepted", "confirmed", "done"):
            return []
        return [Send(self._last, self.flow)]

    def respond(self, response: Response, now: float) -> list[Effect]:
        """Sends a response. After a final one only further 2xx to an INVITE leave (RFC 6026 7.1)."""
        if self.is_done or (self.is_answered and not (self.state == "accepted" and 200 <= response.status < 300)):
            return []
        self._last = bytes(response)
        if self.state == "proceeding":
            self._repeat_at = None
        if response.status >= 200 and not self.is_answered:
            self.final = response
            self._complete(response.status, now)
        elif self.state == "trying":
            self.state = "proceeding"
        return [Send(self._last, self.flow)]

    def _complete(self, status: int, now: float) -> None:
        is_udp = self.flow.transport == "UDP"
        if not self.is_invite:
            self.state = "completed" if is_udp else "done"
            self._end_at = now + self._timers.timeout_s if is_udp else None  # Timer J
        elif status < 300:
            self.state = "accepted"
            self._end_at = now + self._timers.timeout_s  # Timer L
        else:
            self.state = "completed"
            self._end_at = now + self._timers.timeout_s  # Timer H
            self._repeat_at = now + self._timers.t1_s if is_udp else None  # Timer G

    def acknowledge(self, now: float) -> None:
        """The ACK of a refusal came."""
        if self.state != "completed":
            return
        linger_s = self._timers.linger_s(self.flow.transport, self._timers.t4_s)  # Timer I
        self._repeat_at = None
        self.state, self._end_at = ("confirmed", now + linger_s) if linger_s else ("done", None)

    def tick(self, now: float) -> tuple[list[Effect], bool]:
        """The alarm: gives repeats, and whether an expected ACK never came."""
        if self._end_at is not None and now >= self._end_at:
            unacknowledged = self.is_invite and self.state == "completed"
            self.state, self._repeat_at, self._end_at = "done", None, None
            return [], unacknowledged
        if self._repeat_at is not None and now >= self._repeat_at:
            if self.state == "proceeding":
                return self.respond(self.request.answer(100), now), False
            self._interval_s = min(2 * self._interval_s, self._timers.t2_s)
            self._repeat_at = now + self._interval_s
            return self.repeat(), False
        return [], False

    def move(self, flow: Flow) -> None:
        """The flow is gone: answers take this one (RFC 3261 18.2.2), and if that is the same one there are none."""
        if flow == self.flow:
            self.state, self._repeat_at, self._end_at = "done", None, None
        self.flow = flow
