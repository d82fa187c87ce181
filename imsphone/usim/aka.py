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
from typing import NoReturn

from imsphone.usim.milenage import Milenage

_AMF_OF_AUTS = bytes(2)  # TS 33.102 6.3.3: MAC-S assumes a dummy AMF of zeros, so that AMF need not go with AUTS


class _Unpicklable:
    """Holds session keys: nothing that writes objects to a disk or a pipe gets them."""

    __slots__ = ()

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds keys and is not pickled")


@dataclass(frozen=True, slots=True)
class AkaSuccess(_Unpicklable):
    """The network proved itself: RES is the answer to it (8 octets, any values, 00 too), CK and IK have 16 each."""

    res: bytes = field(repr=False)
    ck: bytes = field(repr=False)
    ik: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SyncFailure:
    """The network is ours, but its SQN is not fresh: AUTS, 14 octets, tells it where the SIM stands."""

    auts: bytes


@dataclass(frozen=True, slots=True)
class MacFailure:
    """The network did not prove that it knows our key, or the challenge is none at all."""


Outcome = AkaSuccess | SyncFailure | MacFailure


@dataclass(frozen=True, slots=True)
class Vector(_Unpicklable):
    """One authentication vector, the HSS's gift to the S-CSCF: good for one challenge."""

    rand: bytes
    autn: bytes
    xres: bytes = field(repr=False)
    ck: bytes = field(repr=False)
    ik: bytes = field(repr=False)

    @classmethod
    def make(cls, milenage: Milenage, sqn: int, amf: bytes, rand: bytes) -> Vector:
        """The vector for this SQN, AMF (2 octets) and RAND (16), by TS 33.102 6.3.2."""
        res, ck, ik, ak = milenage.f2345(rand)
        octets = sqn.to_bytes(6, "big")
        return cls(rand, _conceal(octets, ak) + amf + milenage.f1(rand, octets, amf), res, ck, ik)


@dataclass(frozen=True, slots=True)
class Opened:
    """A challenge whose MAC is right: its SQN in the clear, and the success if that SQN is fresh."""

    sqn: int
    success: AkaSuccess


def open_challenge(milenage: Milenage, rand: bytes, autn: bytes) -> Opened | None:
    """What RAND and AUTN hold, or None where the MAC is wrong or one of them has not 16 octets (TS 33.102 6.3.3).

    The MAC comes first: an SQN that nobody vouches for says nothing. AMF is what AUTN says it is.
    """
    if len(rand) != 16 or len(autn) != 16:
        return None
    res, ck, ik, ak = milenage.f2345(rand)
    sqn, amf, mac = _conceal(autn[:6], ak), autn[6:8], autn[8:]
    if not compare_digest(mac, milenage.f1(rand, sqn, amf)):
        return None
    return Opened(int.from_bytes(sqn, "big"), AkaSuccess(res, ck, ik))


def make_auts(milenage: Milenage, rand: bytes, sqn_ms: int) -> bytes:
    """AUTS, 14 octets: the SIM's highest SQN, concealed and vouched for (TS 33.102 6.3.3)."""
    sqn = sqn_ms.to_bytes(6, "big")
    return _conceal(sqn, milenage.f5_star(rand)) + milenage.f1_star(rand, sqn, _AMF_OF_AUTS)


def open_auts(milenage: Milenage, rand: bytes, auts: bytes) -> int | None:
    """SQN_MS out of AUTS, or None where MAC-S is wrong: then the HSS keeps its own SQN (TS 33.102 6.3.5).

    `rand` is the one that the SIM refused.
    """
    if len(rand) != 16 or len(auts) != 14:
        return None
    sqn = _conceal(auts[:6], milenage.f5_star(rand))
    if not compare_digest(auts[6:], milenage.f1_star(rand, sqn, _AMF_OF_AUTS)):
        return None
    return int.from_bytes(sqn, "big")


def _conceal(sqn: bytes, ak: bytes) -> bytes:
    """SQN ⊕ AK, its own inverse."""
    return (int.from_bytes(sqn, "big") ^ int.from_bytes(ak, "big")).to_bytes(6, "big")
