"""The book of a host's associations: it has them set up and taken down, and knows afterwards what there was.

Protect ──▶ protect() ──▶ open                                 ┐
Inspect ──▶ passed()                                           ├──▶ Lifespan, for traces: of keys, nothing
Release ──▶ counted(), release() ──▶ closed, the newest kept   ┘
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any, Protocol

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import Associations, Inspect, Protect, Release
from imsphone.ipsec.shield import Counted, Passed
from imsphone.lifespan import Lifespan
from imsphone.trace import Trace

_MOST_CLOSED = 4096  # a day of refreshes each minute, and room


class _Keeper(Protocol):
    """Who has the associations: a `Shield`, or a `net.protection.Protection`."""

    def protect(self, associations: Associations) -> Any: ...

    def release(self, associations: Associations) -> None: ...

    def counted(self) -> list[Counted]: ...

    def passed(self, associations: Associations) -> Passed: ...


class Ledger:
    """The associations of `who`, which `keeper` has; `trace`, where there is one, is told of them."""

    def __init__(self, who: str, keeper: _Keeper, trace: Trace | None = None) -> None:
        self._who = who
        self._keeper = keeper
        self._open: dict[Associations, list[Lifespan]] = {}
        self._closed: deque[Lifespan] = deque(maxlen=_MOST_CLOSED)
        if trace is not None:
            trace.follow(self.all)

    def answer(self, question: Protect | Release | Inspect, now: float) -> Any:
        """Does what a machine asks, or says what it wants to know. Raises what the keeper raises."""
        match question:
            case Protect(associations):
                found = self._keeper.protect(associations)
                self._open[associations] = self._begun(associations, now)
                return found
            case Release(associations):
                for one in self._with_counts(self._open.pop(associations, [])):
                    self._closed.append(replace(one, until=now))
                self._keeper.release(associations)
            case Inspect(associations):
                return self._keeper.passed(associations)
        return True

    def _begun(self, associations: Associations, now: float) -> list[Lifespan]:
        ways = [(one, False) for one in associations.outbound] + [(one, True) for one in associations.inbound]
        suite = str(associations.suite)
        return [
            Lifespan(self._who, spi, source, target, suite, is_inbound, now)
            for (spi, source, target), is_inbound in ways
        ]

    def freeze(self) -> None:
        """Their counts can be had no longer; they stay open, for nobody has released them."""
        self._closed.extend(self.living())
        self._open = {}

    def living(self) -> list[Lifespan]:
        """Those that are there, with what has passed them so far."""
        return self._with_counts([one for ends in self._open.values() for one in ends])

    def all(self) -> list[Lifespan]:
        """Those that have gone, and those that are there."""
        return [*self._closed, *self.living()]

    def _with_counts(self, lifespans: list[Lifespan]) -> list[Lifespan]:
        try:
            counts = {(*one.association, one.is_inbound): one for one in self._keeper.counted()} if lifespans else {}
        except NetworkError:  # who keeps them has gone, and a trace is written all the same
            counts = {}
        found = []
        for one in lifespans:
            counted = counts.get((one.spi, one.source, one.target, one.is_inbound))
            if counted is not None:
                one = replace(one, packets=counted.packets, forged=counted.forged, replayed=counted.replayed)
            found.append(one)
        return found
