"""When the phone registers again: before the network forgets it, and later each time that this fails.

granted 3600 s    refresh after 3000 s                   600 s before the end (TS 24.229 5.1.1.4.1)
granted  600 s    refresh after  300 s                   at half, where the end is no more than 1200 s away
failed 1, 2, 3    after 60, 120, 240 s, at most 1800 s   50 to 100 per cent of it, as chance has it (RFC 5626 4.5)
"""

from __future__ import annotations

from imsphone.machine import Ids

BACKOFF_S = 30.0  # RFC 5626 4.5: base-time and max-time
LONGEST_BACKOFF_S = 1800.0


def refresh_after_s(expires_s: int) -> float:
    """How long after a 200 that granted so much the refresh begins."""
    return expires_s - 600 if expires_s > 1200 else expires_s / 2


def backoff_s(failures: int, ids: Ids) -> float:
    """How long to wait after so many failures in a row; doubled for the first one already."""
    longest_s = min(LONGEST_BACKOFF_S, BACKOFF_S * (1 << min(failures, 10)))
    return longest_s * (0.5 + ids.number(16) / (1 << 17))
