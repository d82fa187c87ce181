"""The SIM as software: a key, a memory of sequence numbers, and the one question a SIM answers.

An SQN is a counter SEQ and an index IND. The SIM remembers the highest SEQ *of each index*, so that vectors handed to
several servers may be used out of order, while none is ever good twice (TS 33.102 Annex C.2):

    SQN, 48 bits:  ┌────────── SEQ, 43 ──────────┬ IND, 5 ┐
                                                      │
    memory:        ┌ 0: 118 ┬ 1: 120 ┬ 2: 97 ┬ … ┬ 31: 0 ┐     fresh: SEQ above the entry of its own IND,
                             highest ▲                          not more than Δ above the highest of all,
                                                                less than L below it (where L is set)

The memory is handed to `save` before the result is given away. If the power fails in between, one vector is lost; the
other order would take the same challenge twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from imsphone.usim.aka import Algorithms, MacFailure, Outcome, SyncFailure, make_auts, open_challenge

IND_BITS = 5  # TS 33.102 C.3: 5 bits of IND and an array of 32
DELTA = 1 << 28  # TS 33.102 C.3: Δ = 2^28


@dataclass(frozen=True, slots=True)
class SqnMemory:
    """The highest accepted SEQ of each index; `len(seqs)` is 2^`ind_bits`. A new SIM holds zeros."""

    seqs: tuple[int, ...]

    @classmethod
    def fresh(cls, ind_bits: int = IND_BITS) -> SqnMemory:
        """The memory of a SIM that never met its network."""
        return cls((0,) * (1 << ind_bits))

    @property
    def ind_bits(self) -> int:
        return len(self.seqs).bit_length() - 1

    @property
    def sqn_ms(self) -> int:
        """SQN_MS: the highest SQN accepted so far with any index, 0 where none was."""
        bits = self.ind_bits
        return max((seq << bits | ind for ind, seq in enumerate(self.seqs) if seq), default=0)

    def accept(self, sqn: int, delta: int = DELTA, limit: int | None = None) -> SqnMemory | None:
        """The memory after this SQN, or None where it is not fresh.

        `delta` bounds the jump upwards, so that nobody drives the counter to its end (C.2.1); `limit`, L, refuses what
        is that far behind the highest, however fresh in its own index (C.2.2).
        """
        bits = self.ind_bits
        seq, ind = sqn >> bits, sqn & ((1 << bits) - 1)
        highest = max(self.seqs)
        is_fresh = (
            seq - highest <= delta  # TS 33.102 C.2.1
            and (limit is None or highest - seq < limit)  # TS 33.102 C.2.2, last paragraph
            and seq > self.seqs[ind]  # TS 33.102 C.2.2
        )
        return SqnMemory((*self.seqs[:ind], seq, *self.seqs[ind + 1 :])) if is_fresh else None


class Isim:
    """One SIM. `memory` is what it accepted so far; `save` keeps a new memory for good, or raises.

    Without `save` it forgets with the process, which is right for the lab and wrong for a real subscription. A test
    that wants to restart a SIM keeps the memories in a dict: `save=partial(memories.__setitem__, impi)`. `suspect` is
    asked why a MAC does not fit (`usim.hypotheses`).
    """

    def __init__(
        self,
        algorithms: Algorithms,
        memory: SqnMemory | None = None,
        save: Callable[[SqnMemory], object] = lambda _memory: None,
        *,
        suspect: Callable[[bytes, bytes], str] = lambda _rand, _autn: "",
        delta: int = DELTA,
        limit: int | None = None,
    ) -> None:
        self._algorithms = algorithms
        self.memory = memory or SqnMemory.fresh()
        self._save = save
        self._suspect = suspect
        self._delta = delta
        self._limit = limit

    def authenticate(self, rand: bytes, autn: bytes) -> Outcome:
        """AUTHENTICATE of TS 31.103 7.1: what the SIM says to RAND and AUTN. Any octets give one of three outcomes.

        Whatever `save` raises goes through, and the result stays here.
        """
        opened = open_challenge(self._algorithms, rand, autn)
        if opened is None:
            return MacFailure(self._suspect(rand, autn))
        memory = self.memory.accept(opened.sqn, self._delta, self._limit)
        if memory is None:
            return SyncFailure(make_auts(self._algorithms, rand, self.memory.sqn_ms), self._distance(opened.sqn))
        self._save(memory)
        self.memory = memory
        return opened.success

    def _distance(self, sqn: int) -> str:
        """Where the network's counter stands, in words."""
        ahead = (sqn >> self.memory.ind_bits) - max(self.memory.seqs)
        if ahead > self._delta:
            return f"the network's counter is {ahead} ahead of the SIM's, which takes jumps of at most {self._delta}"
        return (
            f"the network's counter is {-ahead} behind the SIM's" if ahead < 0 else "the network used this SQN before"
        )
