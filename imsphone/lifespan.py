"""What a trace tells of security associations: which there were, from when to when, and what passed. Of keys, nothing.

    driver, World ──▶ ipsec.Ledger ──▶ Trace.follow ──▶ Lifespan ─┬─▶ a line of the .jsonl
                                                                  └─▶ table, below the ladder

    spi       from → to                       algorithms             since     age  sent  came  forged  replayed
    9c7f0a31  10.0.0.5:40112 → 10.0.0.1:6100  hmac-sha-1-96/aes-cbc  0.012  1802 s    14     -       -         -

Who is traced at one end knows what left or what came in; in a trace of both ends the two are one row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from imsphone.machine import Address

_HEAD = ("spi", "from → to", "algorithms", "since", "age", "sent", "came", "forged", "replayed")
_TEXTS = 3  # columns that are read from the left; the others are numbers


@dataclass(frozen=True, slots=True)
class Lifespan:
    """One association as `who` had it; `until` is None while it is there.

    `packets` counts what `who` sent, or opened where `is_inbound`; `forged` and `replayed` what came and was dropped.
    """

    who: str
    spi: int
    source: Address
    target: Address
    suite: str
    is_inbound: bool
    since: float
    until: float | None = None
    packets: int = 0
    forged: int = 0
    replayed: int = 0

    def as_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {
            "who": self.who,
            "spi": self.spi,
            "source": list(self.source),
            "target": list(self.target),
            "suite": self.suite,
            "is_inbound": self.is_inbound,
            "since": self.since,
            "until": self.until,
            "packets": self.packets,
            "forged": self.forged,
            "replayed": self.replayed,
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Lifespan:
        """What `as_json` made. Raises KeyError, TypeError or ValueError."""
        (source_host, source_port), (target_host, target_port) = entry["source"], entry["target"]
        since, until = float(entry["since"]), entry["until"]
        who, suite = str(entry["who"]), str(entry["suite"])
        if not math.isfinite(since) or not (who + suite + str(source_host) + str(target_host)).isprintable():
            raise ValueError(since, who, suite)
        if until is not None and not math.isfinite(until := float(until)):
            raise ValueError(until)
        return cls(
            who,
            int(entry["spi"]),
            Address(str(source_host), int(source_port)),
            Address(str(target_host), int(target_port)),
            suite,
            entry["is_inbound"] is True,
            since,
            until,
            *(int(entry[name]) for name in ("packets", "forged", "replayed")),
        )


def table(lifespans: Iterable[Lifespan], *, start: float, now: float) -> str:
    """The associations as a table, oldest first, without a final line end; empty where there are none.

    `since` is in seconds after `start`, the age is that at the end or at `now`, a count that nobody knows is a dash.
    """
    rows = [_row(ends, start, now) for ends in _married(lifespans)]
    if not rows:
        return ""
    rows.insert(0, _HEAD)
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < _TEXTS else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _married(lifespans: Iterable[Lifespan]) -> list[list[Lifespan]]:
    """One entry an association: as the sender had it, as the receiver had it, or both."""
    entries: list[list[Lifespan]] = []
    open_ends: dict[tuple[int, Address, Address, bool], list[list[Lifespan]]] = {}
    for one in sorted(lifespans, key=lambda one: one.since):
        way = (one.spi, one.source, one.target)
        waiting = open_ends.get((*way, not one.is_inbound), [])
        if waiting:
            waiting.pop(0).append(one)
        else:
            entries.append([one])
            open_ends.setdefault((*way, one.is_inbound), []).append(entries[-1])
    return entries


def _row(ends: list[Lifespan], start: float, now: float) -> tuple[str, ...]:
    one = ends[0]
    until = max(now if end.until is None else end.until for end in ends)
    sent = next((f"{end.packets:,}" for end in ends if not end.is_inbound), "-")
    came = next(((end.packets, end.forged, end.replayed) for end in ends if end.is_inbound), None)
    return (
        f"{one.spi:08x}",
        f"{one.source} → {one.target}",
        one.suite,
        f"{one.since - start:.3f}",
        f"{until - one.since:.0f} s",
        sent,
        *("---" if came is None else (f"{count:,}" for count in came)),
    )
