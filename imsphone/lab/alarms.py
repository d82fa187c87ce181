"""Many things that end at their own time, one deadline for all of them.

    set("a", 12.0)  set("b", 9.0)  set("a", 15.0)      heap: 9 b, 12 a (stale), 15 a
    deadline ──▶ 9.0        due(10.0) ──▶ ["b"]        deadline ──▶ 15.0

A time that was moved leaves its old entry in the heap until that comes up or until most entries are stale, so memory
follows the number of things and not the number of changes.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_STALE_AT_LEAST: Final = 64


class Alarms(Generic[K]):
    """The alarm of each key; times in seconds."""

    def __init__(self) -> None:
        self._times: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0

    @property
    def deadline(self) -> float | None:
        """The earliest alarm."""
        heap = self._heap
        while heap and self._times.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def set(self, key: K, at: float | None) -> None:
        """This key's alarm is at `at` from now on; None: it has none."""
        if self._times.get(key) == at:
            return
        if at is None:
            del self._times[key]
            return
        self._times[key] = at
        if len(self._heap) > _STALE_AT_LEAST + 2 * len(self._times):
            self._heap = [entry for entry in self._heap if self._times.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, key))

    def due(self, now: float) -> list[K]:
        """The keys whose time has come, in the order of their times; they have no alarm any more."""
        keys = []
        while (at := self.deadline) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._times[key]
            keys.append(key)
        return keys

    def __len__(self) -> int:
        return len(self._times)
