"""Databases that any machine has: what would be in a kernel is written down, and nothing is sealed."""

from __future__ import annotations

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import Associations
from imsphone.ipsec.shield import Counted


class Ledger:
    """Takes `most` sets; `acts` is what was done, in its order."""

    def __init__(self, most: int = 16) -> None:
        self.held: dict[Associations, float] = {}
        self.acts: list[str] = []
        self._most = most

    def expect_esp(self, is_v6: bool) -> None:
        self.acts.append(f"expect v{6 if is_v6 else 4}")

    def add(self, associations: Associations, lifetime_s: float) -> None:
        if len(self.held) == self._most:
            raise NetworkError("the kernel is full")
        self.acts.append("add")
        self.held[associations] = lifetime_s

    def prolong(self, associations: Associations, lifetime_s: float) -> None:
        self.acts.append("prolong")
        self.held[associations] = lifetime_s

    def remove(self, associations: Associations) -> None:
        self.acts.append("remove")
        del self.held[associations]

    def counted(self, associations: Associations) -> list[Counted]:
        return [Counted(one, True, 3, 2, 1) for one in associations.inbound]

    def close(self) -> None:
        self.acts.append("close")
        self.held.clear()
