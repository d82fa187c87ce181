"""Client transactions: a request leaves, is repeated over UDP until something comes back, and ends (RFC 3261 17.1).

                 INVITE (RFC 6026 figure 1)                          others (figure 6)

        calling ──1xx──▶ proceeding                          trying ──1xx──▶ proceeding
           │  ╲            │      │                             │                │
          2xx  3xx-6xx    2xx   3xx-6xx: ACK                    └──── 200-699 ───┴──▶ completed ──K──▶ done
           ▼     ▼         ▼      ▼                         Timer F ──▶ timed out
        accepted completed ◀──────┘
           M ──▶ done ◀── D                Timer B ──▶ timed out

`receive` and `tick` return the request's repeats and the ACK as bytes; `heard` responses go up to the owner.
"""

from __future__ import annotations

from imsphone.machine import Effect, Flow, Send
from imsphone.sip.message import Request, Response
from imsphone.sip.timers import Timers


class ClientTransaction:
    """One request on one flow, from its first octet until its last late answer.

    `state` is calling (INVITE) or trying, proceeding, completed, accepted, done. `mark` is the owner's own note,
    `data` the request as it leaves.
    """

    def __init__(self, request: Request, flow: Flow, timers: Timers, now: float, mark: object = None) -> None:
        self.request = request
        self.flow = flow
        self.mark = mark
        self.is_invite = request.method == "INVITE"
        self.state = "calling" if self.is_invite else "trying"
        self.key = (request.via.branch, request.method)
        self.final: Response | None = None
        self.is_cancelled = False
        self.was_upgraded = False  # TCP by size alone: UDP is left to try (RFC 3261 18.1.1)
        self.timers = timers
        self.alarm: float | None = None  # the owner's, of the deadline it knows
        self._interval_s = timers.t1_s
        self.data = bytes(request)
        self._ack: bytes | None = None
        self._repeat_at: float | None = now + timers.t1_s if flow.transport == "UDP" else None  # Timer A or E
        self._end_at: float | None = now + timers.timeout_s  # Timer B or F

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
    def is_waiting(self) -> bool:
        """Whether no final response came yet."""
        return self.state in ("calling", "trying", "proceeding")

    def start(self) -> list[Effect]:
        """The request's first copy."""
        return [Send(self.data, self.flow)]

    def move(self, request: Request, flow: Flow, now: float) -> list[Effect]:
        """Starts over on another transport (RFC 3261 18.1.1: TCP refused, UDP tried). Timer B or F runs on."""
        self.request, self.flow, self.data = request, flow, bytes(request)
        self._repeat_at = now + self.timers.t1_s if flow.transport == "UDP" else None
        return self.start()

    def receive(self, response: Response, now: float) -> tuple[list[Effect], bool]:
        """Takes a response of this transaction; gives effects, and whether the owner is to hear of it."""
        if self.state == "done":
            return [], False
        if response.status < 200:
            if not self.is_waiting:
                return [], False
            if self.state == "calling":
                self._repeat_at = self._end_at = None  # 17.1.1.2: no more repeats, no Timer B; a later limit stays
            elif not self.is_invite:
                self._interval_s = self.timers.t2_s  # 17.1.2.2
            self.state = "proceeding"
            return [], True
        if self.is_invite:
            return self._invite_final(response, now)
        if self.state == "completed":
            return [], False
        self.final = response
        self._finish("completed", self.timers.linger_s(self.flow.transport, self.timers.t4_s), now)  # Timer K
        return [], True

    def _invite_final(self, response: Response, now: float) -> tuple[list[Effect], bool]:
        if response.status < 300:
            if self.state == "completed":
                return [], False
            if self.state != "accepted":
                self.final = response
                self._finish("accepted", self.timers.timeout_s, now)  # Timer M, RFC 6026 7.2
            return [], True  # repeats and forks go up: each is ACKed there
        if self.state == "accepted":
            return [], False
        is_first = self.state != "completed"
        if is_first:
            self.final = response
            self._ack = bytes(self._ack_for(response))
            self._finish("completed", self.timers.linger_s(self.flow.transport, self.timers.d_s), now)  # Timer D
        assert self._ack is not None
        return [Send(self._ack, self.flow)], is_first

    def _finish(self, state: str, linger_s: float, now: float) -> None:
        self._repeat_at = None
        self.state, self._end_at = (state, now + linger_s) if linger_s else ("done", None)

    def _ack_for(self, response: Response) -> Request:
        """The ACK of a refusal, part of this transaction (RFC 3261 17.1.1.3)."""
        ack = Request("ACK", self.request.uri)
        ack.headers.add("Via", str(self.request.via))
        ack.headers.add("Max-Forwards", "70")
        for name, source in (("From", self.request), ("To", response), ("Call-ID", self.request)):
            ack.headers.add(name, source.headers.get(name) or "")
        ack.headers.add("CSeq", f"{self.request.cseq.number} ACK")
        for route in self.request.headers.lines("Route"):
            ack.headers.add("Route", route)
        return ack

    def limit(self, at: float) -> None:
        """Gives up at `at` unless a final response came (a cancelled INVITE: 9.1, Timer C of a proxy: 16.6)."""
        if self.is_waiting:
            self._end_at = at

    def tick(self, now: float) -> tuple[list[Effect], bool]:
        """The alarm: gives repeats, and whether the transaction timed out just now."""
        if self._end_at is not None and now >= self._end_at:
            timed_out = self.is_waiting
            self.state, self._repeat_at, self._end_at = "done", None, None
            return [], timed_out
        if self._repeat_at is not None and now >= self._repeat_at:
            if self.state == "calling":
                self._interval_s *= 2  # Timer A doubles without bound
            else:
                self._interval_s = min(2 * self._interval_s, self.timers.t2_s)  # Timer E
            self._repeat_at = now + self._interval_s
            return self.start(), False
        return [], False

    def fail(self) -> None:
        """The flow carries nothing: the transaction is over (RFC 3261 17.1.4)."""
        self.state, self._repeat_at, self._end_at = "done", None, None
