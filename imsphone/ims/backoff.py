"""When to come again: after a success in time before the end, after a failure later each time.

RFC 5626 4.5, which TS 24.229 5.1.1.2.1 takes over:

    failures in a row    1        2         3         …  7 and more
    seconds           30–60   60–120   120–240        …  900–1800

The bound doubles, and the lot falls between half of it and all of it, so that phones that lost the same P-CSCF at the
same moment do not come back at the same moment.
"""

from __future__ import annotations

from imsphone.machine import Ids

_BASE_S = 30.0
_MOST_S = 1800.0
_QUICK = 8


def pause_s(failures: int, ids: Ids) -> float:
    """Seconds after so many failures in a row, at least one."""
    bound_s = min(_MOST_S, _BASE_S * (1 << min(failures, 10)))
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
