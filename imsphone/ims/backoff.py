"""When to come again: after a success in time before the end, after a failure later each time.

RFC 5626 4.5, which TS 24.229 5.1.1.2.1 takes over:

    failures in a row    1        2         3         …  7 and more
    seconds           30–60   60–120   120–240        …  900–1800

The bound doubles, and the lot falls between half of it and all of it, so that phones that lost the same P-CSCF at the
same moment do not come back at the same moment.
"""

from __future__ import annotations

from imsphone.machine import Ids

ALONE_S = 30.0
WITH_OTHERS_S = 90.0  # while another flow stands
_MOST_S = 1800.0
_QUICK = 8


def pause_s(failures: int, ids: Ids, base_s: float = ALONE_S) -> float:
    """Seconds after so many failures in a row."""
    bound_s = min(_MOST_S, base_s * (1 << min(failures, 10)))
    return bound_s * (0.5 + ids.number(16) / (1 << 17))


def quick_pause_s(failures: int, ids: Ids) -> float:
    """Seconds after so many failures to come back to a P-CSCF that was there a moment ago: 1–2, 2–4, then 4–8.

    Where a port is closed (and only there) somebody answered that the program behind it is gone, which is what a
    restart looks like; half a minute would be long for that. From the ninth failure on, when it has been gone for
    about 40 s, it is `pause_s`.
    """
    if failures > _QUICK:
        return pause_s(failures - _QUICK, ids)
    return (1 << min(failures, 3)) * (0.5 + ids.number(16) / (1 << 17))


def refresh_after_s(expires_s: int) -> float:
    """Seconds after a grant: 600 before the end if it is more than 1200 away, else half (TS 24.229 5.1.1.4.1)."""
    return expires_s - 600 if expires_s > 1200 else expires_s / 2


class Schedule:
    """When a registration has to act: `next_at` is its next REGISTER, `end_at` the moment when the network forgets us.

    `not_before` is until when the network wants no REGISTER (Retry-After).
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._failures = 0  # of refreshes in a row
        self._rounds = 0  # whole rounds over all P-CSCFs that brought nothing
        self.not_before = 0.0
        self.next_at: float | None = None
        self.end_at: float | None = None

    def is_due(self, now: float) -> bool:
        """Whether it is time for one of the two."""
        return any(at is not None and now >= at for at in (self.next_at, self.end_at))

    def has_ended(self, now: float) -> bool:
        """Whether the network has forgotten us."""
        return self.end_at is not None and now >= self.end_at

    def start(self) -> None:
        """An initial registration begins."""
        self._failures = 0
        self.next_at = self.end_at = None

    def grant(self, expires_s: int, now: float) -> None:
        """The network holds us for so long."""
        self._failures = self._rounds = 0
        self.shorten(expires_s, now)

    def shorten(self, expires_s: int, now: float) -> None:
        """The network wants to hear from us within so long (TS 24.229 5.1.1.5A)."""
        self.end_at, self.next_at = now + expires_s, now + refresh_after_s(expires_s)

    def put_off(self, retry_after_s: int | None, now: float) -> None:
        """A refresh failed (RFC 5626 4.5: doubled for the first failure already)."""
        self._failures += 1
        self._later(self._failures, retry_after_s, now)

    def pause(self, now: float) -> None:
        """A flow broke while another one stands (RFC 5626 4.5)."""
        self.next_at = now + pause_s(0, self._ids, WITH_OTHERS_S)

    def rest(self, retry_after_s: int | None, now: float, *, is_quick: bool, base_s: float = ALONE_S) -> None:
        """A whole round failed; `is_quick` where the P-CSCF was there a moment ago and its port is closed now."""
        self._rounds += 1
        self.end_at = None
        if is_quick:
            self.not_before, self.next_at = 0.0, now + quick_pause_s(self._rounds, self._ids)
        else:
            self._later(self._rounds, retry_after_s, now, base_s)

    def stop(self) -> None:
        """There is nothing to keep up any more."""
        self._rounds = 0
        self.next_at = self.end_at = None

    def _later(self, failures: int, retry_after_s: int | None, now: float, base_s: float = ALONE_S) -> None:
        """After a while that grows, and not before the network's Retry-After."""
        self.not_before = now + (retry_after_s or 0)
        self.next_at = max(now + pause_s(failures, self._ids, base_s), self.not_before)
