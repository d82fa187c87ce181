"""TUAK, the second set of algorithms for a SIM (TS 35.231): the same functions as MILENAGE, out of SHA-3's permutation.

One block holds everything, back to front, and INSTANCE says which function is meant; one permutation (Keccak-f[1600])
mixes it, and the outputs lie at fixed places:

    TOPc 32 │ INSTANCE 1 │ "TUAK1.0" 7 │ RAND 16 │ AMF 2 │ SQN 6 │ K 32 │ 1F 00 … 80
                                        ▼
    f1, f1*: MAC  0…     f2: RES  0…     f3: CK  32…     f4: IK  64…     f5, f5*: AK  96…101

The padding is that of SHAKE256 and fills its one block of 136 octets, so one permutation is `hashlib.shake_256` of the
first 96. An operator may ask for more permutations than one (TS 35.231 5): hashlib cannot do that, and this does not.
"""

from __future__ import annotations

import hashlib
from typing import NoReturn

_NAME = b"TUAK1.0"[::-1]
_OUT_BYTES = 102
_TOPC, _F1, _F1_STAR, _F2345, _F5_STAR = 0x00, 0x00, 0x80, 0x40, 0xC0  # TS 35.231 6.2 to 6.6
_LONG_K = 1  # the last bit of INSTANCE: K has 256 bits
_LONG_CK, _LONG_IK = 4, 2


def topc_from_top(k: bytes, top: bytes) -> bytes:
    """TOPc, 32 octets, out of K (16 or 32) and TOP (32), the constant that all subscribers of an operator share."""
    block = _sized(top, "TOP", 32)[::-1] + bytes([_TOPC | _length_bit(k)]) + _NAME + bytes(24) + _key(k)
    return hashlib.shake_256(block).digest(32)[::-1]


class Tuak:
    """The functions f1 to f5* for one subscriber: K of 16 or 32 octets, TOPc of 32.

    MAC, RES, CK and IK may be longer than MILENAGE's where the operator chose so: `res_bytes` 4, 8, 16 or 32,
    `mac_bytes` 8, 16 or 32 (AUTN holds 8), `ck_bytes` and `ik_bytes` 16 or 32. A wrong length of K or TOPc raises
    ValueError; the sentence does not show them.
    """

    __slots__ = ("_ck_bytes", "_ik_bytes", "_k", "_long", "_mac_bytes", "_res_bytes", "_topc")

    def __init__(
        self,
        k: bytes,
        topc: bytes,
        *,
        res_bytes: int = 8,
        mac_bytes: int = 8,
        ck_bytes: int = 16,
        ik_bytes: int = 16,
    ) -> None:
        self._long = _length_bit(k)
        self._k = _key(k)
        self._topc = _sized(topc, "TOPc", 32)[::-1]
        self._res_bytes, self._mac_bytes = res_bytes, mac_bytes
        self._ck_bytes, self._ik_bytes = ck_bytes, ik_bytes

    @classmethod
    def from_top(cls, k: bytes, top: bytes, *, res_bytes: int = 8) -> Tuak:
        """The same from TOP."""
        return cls(k, topc_from_top(k, top), res_bytes=res_bytes)

    def f1(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        """MAC-A: the network's proof."""
        return self._mac(_F1, rand, sqn, amf)

    def f1_star(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        """MAC-S: the SIM's proof in a resynchronisation."""
        return self._mac(_F1_STAR, rand, sqn, amf)

    def f2345(self, rand: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        """RES, CK, IK and AK (6 octets) of one RAND."""
        instance = _F2345 | _bits(self._res_bytes)
        instance |= (_LONG_CK if self._ck_bytes == 32 else 0) | (_LONG_IK if self._ik_bytes == 32 else 0)
        out = self._permuted(instance, rand, bytes(8))
        parts = ((0, self._res_bytes), (32, self._ck_bytes), (64, self._ik_bytes), (96, 6))
        res, ck, ik, ak = (out[start : start + size][::-1] for start, size in parts)
        return res, ck, ik, ak

    def f5_star(self, rand: bytes) -> bytes:
        """AK, 6 octets, which hides SQN in AUTS."""
        return self._permuted(_F5_STAR, rand, bytes(8))[96:102][::-1]

    def __reduce__(self) -> NoReturn:
        raise TypeError("Tuak holds a key and is not pickled")

    def _mac(self, function: int, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        out = self._permuted(function | _bits(self._mac_bytes), rand, amf[::-1] + sqn[::-1])
        return out[: self._mac_bytes][::-1]

    def _permuted(self, instance: int, rand: bytes, amf_sqn: bytes) -> bytes:
        block = self._topc + bytes([instance | self._long]) + _NAME + rand[::-1] + amf_sqn + self._k
        return hashlib.shake_256(block).digest(_OUT_BYTES)


def _bits(n_bytes: int) -> int:
    """How INSTANCE writes the length of a MAC or a RES: 4, 8, 16, 32 octets are 00, 08, 10, 20."""
    return {4: 0x00, 8: 0x08, 16: 0x10, 32: 0x20}[n_bytes]


def _length_bit(k: bytes) -> int:
    return _LONG_K if len(k) == 32 else 0


def _key(k: bytes) -> bytes:
    if len(k) not in (16, 32):
        raise ValueError(f"K has {len(k)} octets; it should have 16 or 32")
    return k[::-1].ljust(32, b"\0")


def _sized(data: bytes, name: str, n_bytes: int) -> bytes:
    if len(data) != n_bytes:
        raise ValueError(f"{name} has {len(data)} octets; it should have {n_bytes}")
    return data
