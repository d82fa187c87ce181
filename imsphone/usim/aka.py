"""AKA, the mutual proof of a SIM and its home network (TS 33.102 6.3): both know K, neither says it.

    HSS                                                SIM
     RAND, SQN ─▶ AUTN = SQN⊕AK ‖ AMF ‖ MAC ─────────▶  MAC right? the network is ours
                                                        SQN fresh? nobody replays an old challenge
     XRES == RES?  ◀──────────────────────── RES ─────  CK, IK now on both sides
     SQN := SQN_MS ◀── AUTS = SQN_MS⊕AK* ‖ MAC-S ─────  not fresh: "this is where I am"

Here is what both sides share: the tokens, the vector that the HSS makes and the three outcomes of a challenge. What
counts as fresh is the SIM's matter (`usim.isim`). SQN is a number of 48 bits throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hmac import compare_digest
from typing import NoReturn, Protocol

_AMF_OF_AUTS = bytes(2)  # TS 33.102 6.3.3: MAC-S assumes a dummy AMF of zeros, so that AMF need not go with AUTS


class Algorithms(Protocol):
    """What a SIM and its HSS compute alike: `algorithms.Milenage` or `tuak.Tuak`. RAND has 16 octets, SQN 6, AMF 2."""

    def f1(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        """MAC-A, the network's proof."""

    def f1_star(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        """MAC-S, the SIM's proof in a resynchronisation."""

    def f2345(self, rand: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        """RES, CK, IK and AK."""

    def f5_star(self, rand: bytes) -> bytes:
        """AK of a resynchronisation."""


class _Unpicklable:
    """Holds session keys: nothing that writes objects to a disk or a pipe gets them."""

    __slots__ = ()

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds keys and is not pickled")


@dataclass(frozen=True, slots=True)
class AkaSuccess(_Unpicklable):
    """The network proved itself: RES is the answer to it (8 octets with MILENAGE, any values, 00 too).

    CK and IK have 16 octets each.
    """

    res: bytes = field(repr=False)
    ck: bytes = field(repr=False)
    ik: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SyncFailure:
    """The network is ours, but its SQN is not fresh: AUTS, 14 octets, tells it where the SIM stands.

    `sentence` says how far off it is, where the SIM tells; a card does not.
    """

    auts: bytes
    sentence: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class MacFailure:
    """The network did not prove that it knows our key, or the challenge is none at all.

    `sentence` says why, where that could be found out (`usim.hypotheses`); a card cannot.
    """

    sentence: str = field(default="", compare=False)


Outcome = AkaSuccess | SyncFailure | MacFailure


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The SIM says nothing to the challenge: a card was taken out, or wants its PIN. `sentence` says which."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Vector(_Unpicklable):
    """One authentication vector, the HSS's gift to the S-CSCF: good for one challenge."""

    rand: bytes
    autn: bytes
    xres: bytes = field(repr=False)
    ck: bytes = field(repr=False)
    ik: bytes = field(repr=False)

    @classmethod
    def make(cls, algorithms: Algorithms, sqn: int, amf: bytes, rand: bytes) -> Vector:
        """The vector for this SQN, AMF (2 octets) and RAND (16), by TS 33.102 6.3.2."""
        res, ck, ik, ak = algorithms.f2345(rand)
        octets = sqn.to_bytes(6, "big")
        return cls(rand, _conceal(octets, ak) + amf + algorithms.f1(rand, octets, amf), res, ck, ik)


@dataclass(frozen=True, slots=True)
class Opened:
    """A challenge whose MAC is right: its SQN in the clear, and the success if that SQN is fresh."""

    sqn: int
    success: AkaSuccess


def open_challenge(algorithms: Algorithms, rand: bytes, autn: bytes) -> Opened | None:
    """What RAND and AUTN hold, or None where the MAC is wrong or one of them has not 16 octets (TS 33.102 6.3.3).

    The MAC comes first: an SQN that nobody vouches for says nothing. AMF is what AUTN says it is.
    """
    if len(rand) != 16 or len(autn) != 16:
        return None
    res, ck, ik, ak = algorithms.f2345(rand)
    sqn, amf, mac = _conceal(autn[:6], ak), autn[6:8], autn[8:]
    if not compare_digest(mac, algorithms.f1(rand, sqn, amf)):
        return None
    return Opened(int.from_bytes(sqn, "big"), AkaSuccess(res, ck, ik))


def make_auts(algorithms: Algorithms, rand: bytes, sqn_ms: int) -> bytes:
    """AUTS, 14 octets: the SIM's highest SQN, concealed and vouched for (TS 33.102 6.3.3)."""
    sqn = sqn_ms.to_bytes(6, "big")
    return _conceal(sqn, algorithms.f5_star(rand)) + algorithms.f1_star(rand, sqn, _AMF_OF_AUTS)


def open_auts(algorithms: Algorithms, rand: bytes, auts: bytes) -> int | None:
    """SQN_MS out of AUTS, or None where MAC-S is wrong: then the HSS keeps its own SQN (TS 33.102 6.3.5).

    `rand` is the one that the SIM refused.
    """
    if len(rand) != 16 or len(auts) != 14:
        return None
    sqn = _conceal(auts[:6], algorithms.f5_star(rand))
    if not compare_digest(auts[6:], algorithms.f1_star(rand, sqn, _AMF_OF_AUTS)):
        return None
    return int.from_bytes(sqn, "big")


def _conceal(sqn: bytes, ak: bytes) -> bytes:
    """SQN ⊕ AK, its own inverse."""
    return (int.from_bytes(sqn, "big") ^ int.from_bytes(ak, "big")).to_bytes(6, "big")
