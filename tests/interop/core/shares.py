"""Who took how long in a registration: from a phone's trace.

    ours     │▒▒│            │▒▒▒▒▒│              │▒│      till the REGISTER leaves, from 401 to REGISTER, after the 200
theirs      │▒▒▒▒▒▒▒▒▒▒▒▒│     │▒▒▒▒▒▒▒▒▒▒▒▒▒▒│        from a REGISTER to its answer
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from imsphone.trace import Record


class Shares(NamedTuple):
    """In milliseconds."""

    ours: float
    theirs: float
    proving: float
    """Of all, what passed from the 401 to the end."""
    ours_proving: float
    """Of ours, what passed from the 401 to the end."""


def shares(records: Iterable[Record], began: float, ended: float) -> Shares:
    """The shares between two times of the phone's clock. Raises ValueError where there is no 401 and no 200."""
    asked: float | None = None
    theirs: list[float] = []
    challenged: float | None = None
    for record in records:
        if not began <= record.at <= ended or record.protocol != "SIP":
            continue
        if record.direction == "sent" and record.data.startswith(b"REGISTER "):
            asked = record.at
        elif record.direction == "received" and asked is not None:
            theirs.append(record.at - asked)
            challenged, asked = challenged or record.at, None
    if challenged is None or len(theirs) != 2:
        raise ValueError(f"a registration took {len(theirs)} answers and not 2")
    own = ended - began - sum(theirs)
    proving = ended - challenged
    return Shares(*(1000 * value for value in (own, sum(theirs), proving, proving - theirs[1])))
