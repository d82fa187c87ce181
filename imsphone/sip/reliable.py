"""Reliable provisional responses (RFC 3262): a 18x with RSeq is repeated until its PRACK comes.

    caller                              called
      │◀── 183 Require: 100rel, RSeq 7 ──│   repeated at T1, 2 T1, 4 T1 ... up to 64 T1
      │── PRACK RAck: 7 1 INVITE ───────▶│
      │◀────────────── 200 (PRACK) ──────│

`ReliableResponses` is the called side of one INVITE, `RSeqOrder` the caller's side of one early dialog.
"""

from __future__ import annotations

from imsphone.sip.fields import RAck
from imsphone.sip.message import Response
from imsphone.sip.timers import Timers


class ReliableResponses:
    """The called side: numbers provisional responses, repeats the one that waits, knows when to give up.

    One at a time (RFC 3262 3: no second one before the first is acknowledged); a caller of `send` that comes too early
    has its response queued.
    """

    def __init__(self, first_rseq: int, timers: Timers) -> None:
        self._rseq = max(1, first_rseq & 0x7FFFFFFF)
        self._timers = timers
        self._waiting: Response | None = None
        self._queued: list[Response] = []
        self._interval_s = timers.t1_s
        self._repeat_at: float | None = None
        self._end_at = 0.0

    @property
    def deadline(self) -> float | None:
        """When `tick` is due."""
        return None if self._repeat_at is None else min(self._repeat_at, self._end_at)

    @property
    def is_acknowledged(self) -> bool:
        """Whether no response waits for a PRACK."""
        return self._waiting is None

    def send(self, response: Response, now: float) -> Response | None:
        """Makes `response` reliable; gives it back where it may leave now, None where another waits before it."""
        if self._waiting is not None:
            self._queued.append(response)
            return None
        response.headers.add("Require", "100rel")
        response.headers.add("RSeq", str(self._rseq))
        self._waiting = response
        self._interval_s = self._timers.t1_s
        self._repeat_at = now + self._interval_s
        self._end_at = now + self._timers.timeout_s
        return response

    def acknowledge(self, rack: RAck | None, now: float) -> tuple[bool, Response | None]:
        """A PRACK came: whether it fits what waits (else 481), and the next response to send, if one was queued."""
        waiting = self._waiting
        if waiting is None or rack != RAck(self._rseq, *waiting.cseq):
            return False, None
        self._waiting = self._repeat_at = None
        self._rseq += 1
        return True, self.send(self._queued.pop(0), now) if self._queued else None

    def stop(self) -> None:
        """A final response is on its way: nothing is repeated any more, but a PRACK still fits (RFC 3262 3)."""
        self._repeat_at = None
        self._queued.clear()

    def tick(self, now: float) -> tuple[Response | None, bool]:
        """The alarm: the response to repeat, and whether 64 T1 went by without a PRACK (refuse with 504, 5xx)."""
        if self._repeat_at is None:
            return None, False
        if now >= self._end_at:
            self.stop()
            return None, True
        if now < self._repeat_at:
            return None, False
        self._interval_s *= 2  # RFC 3262 3: doubles without bound
        self._repeat_at = now + self._interval_s
        return self._waiting, False


class RSeqOrder:
    """The caller's side of one early dialog: which reliable responses are news, in order (RFC 3262 4)."""

    def __init__(self) -> None:
        self._last: int | None = None

    def accepts(self, response: Response) -> bool:
        """Whether this is the first reliable response or the next one; repeats and gaps are not acknowledged."""
        rseq = response.rseq
        if rseq is None or not 1 <= rseq < 1 << 32:
            return False
        if self._last is not None and rseq != self._last + 1:
            return False
        self._last = rseq
        return True


def is_reliable(response: Response) -> bool:
    """Whether a provisional response asks for a PRACK."""
    return 100 < response.status < 200 and "100rel" in response.require and response.rseq is not None
