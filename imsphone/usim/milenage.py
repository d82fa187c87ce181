"""MILENAGE, the usual set of algorithms inside a SIM (TS 35.206): six functions out of one block cipher.

RAND goes once through AES under K; the result, TEMP, is turned by r bits, marked with a constant c and goes through
again, so that each function sees another block. OPc, the operator's constant already bound to K, is added before and
after each pass:

    RAND ─⊕─ AES ─▶ TEMP ─┬──────────────⊕ SQN‖AMF‖SQN‖AMF ─ AES ─⊕─▶ f1  MAC-A │ f1* MAC-S
         OPc              ├─⊕─ turn   0 ─⊕ 1 ─────────────── AES ─⊕─▶ f5  AK    │ f2  RES
                          ├─⊕─ turn  32 ─⊕ 2 ─────────────── AES ─⊕─▶ f3  CK
                          ├─⊕─ turn  64 ─⊕ 4 ─────────────── AES ─⊕─▶ f4  IK
                          └─⊕─ turn  96 ─⊕ 8 ─────────────── AES ─⊕─▶ f5* AK of a resynchronisation

Blocks are integers inside, since that is the quickest exclusive-or that Python has; one AES context serves the life of
the key, and the passes that do not need each other go through it in one call.
"""

from __future__ import annotations

from typing import NoReturn

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_MASK = (1 << 128) - 1
_C1, _C2, _C3, _C4, _C5 = 0, 1, 2, 4, 8  # TS 35.206 4.1
_R1, _R2, _R3, _R4, _R5 = 64, 0, 32, 64, 96


def opc_from_op(k: bytes, op: bytes) -> bytes:
    """OPc = E_K(OP) ⊕ OP (TS 35.206 4.1). K and OP of 16 octets give OPc of 16."""
    encrypt = Cipher(algorithms.AES(_block(k, "K")), modes.ECB()).encryptor().update
    return _octets(_number(encrypt(op)) ^ _number(_block(op, "OP")), 16)


class Milenage:
    """The functions f1 to f5* for one subscriber: his K and OPc, 16 octets each.

    RAND has 16 octets, SQN 6, AMF 2. A wrong length of K or OPc raises ValueError; the sentence does not show them.
    """

    __slots__ = ("_encrypt", "_opc")

    def __init__(self, k: bytes, opc: bytes) -> None:
        self._encrypt = Cipher(algorithms.AES(_block(k, "K")), modes.ECB()).encryptor().update
        self._opc = _number(_block(opc, "OPc"))

    @classmethod
    def from_op(cls, k: bytes, op: bytes) -> Milenage:
        """The same from OP, the constant that all subscribers of an operator share."""
        return cls(k, opc_from_op(k, op))

    def f1(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        """MAC-A, 8 octets: the network's proof."""
        return self._out1(rand, sqn, amf)[:8]

    def f1_star(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        """MAC-S, 8 octets: the SIM's proof in a resynchronisation."""
        return self._out1(rand, sqn, amf)[8:]

    def f2(self, rand: bytes) -> bytes:
        """RES, 8 octets."""
        return self.f2345(rand)[0]

    def f3(self, rand: bytes) -> bytes:
        """CK, 16 octets."""
        return self.f2345(rand)[1]

    def f4(self, rand: bytes) -> bytes:
        """IK, 16 octets."""
        return self.f2345(rand)[2]

    def f5(self, rand: bytes) -> bytes:
        """AK, 6 octets, which hides SQN in AUTN."""
        return self.f2345(rand)[3]

    def f5_star(self, rand: bytes) -> bytes:
        """AK, 6 octets, which hides SQN in AUTS."""
        mixed = self._temp(rand) ^ self._opc
        return _octets(_number(self._encrypt(_octets(_turn(mixed, _R5) ^ _C5, 16))) ^ self._opc, 16)[:6]

    def f2345(self, rand: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        """RES, CK, IK and AK in one go: what the SIM and the HSS both want of one RAND."""
        opc = self._opc
        mixed = self._temp(rand) ^ opc
        blocks = (_turn(mixed, _R2) ^ _C2) << 256 | (_turn(mixed, _R3) ^ _C3) << 128 | (_turn(mixed, _R4) ^ _C4)
        out = _octets(_number(self._encrypt(_octets(blocks, 48))) ^ (opc << 256 | opc << 128 | opc), 48)
        return out[8:16], out[16:32], out[32:], out[:6]

    def __reduce__(self) -> NoReturn:
        raise TypeError("Milenage holds a key and is not pickled")

    def _temp(self, rand: bytes) -> int:
        return _number(self._encrypt(_octets(_number(rand) ^ self._opc, 16)))

    def _out1(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        in1 = _number(sqn + amf + sqn + amf)
        block = self._temp(rand) ^ _turn(in1 ^ self._opc, _R1) ^ _C1
        return _octets(_number(self._encrypt(_octets(block, 16))) ^ self._opc, 16)


def _turn(block: int, bits: int) -> int:
    return ((block << bits) | (block >> (128 - bits))) & _MASK


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _octets(number: int, n_bytes: int) -> bytes:
    return number.to_bytes(n_bytes, "big")


def _block(data: bytes, name: str) -> bytes:
    if len(data) != 16:
        raise ValueError(f"{name} has {len(data)} octets; it should have 16")
    return data
