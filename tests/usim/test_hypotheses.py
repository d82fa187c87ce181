"""Each slip is made on purpose, and the sentence has to name it and nothing secret."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.usim.aka import Algorithms, Vector
from imsphone.usim.hypotheses import explain
from imsphone.usim.keys import Keys
from imsphone.usim.milenage import opc_from_op
from imsphone.usim.tuak import topc_from_top

# TS 35.208 4.3, set 1
K = bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc")
OP = bytes.fromhex("cdc202d5123e20f62b6d676ac72cb318")
OPC = opc_from_op(K, OP)
RAND = bytes(range(16))
RIGHT = Keys("milenage", K, OPC)
TOP = OP + K
TUAK = Keys("tuak", K, topc_from_top(K, TOP))


def challenge(keys: Keys, amf: bytes = b"\x80\x00") -> bytes:
    return Vector.make(keys.algorithms(), 1 << 20, amf, RAND).autn


def nibbles(data: bytes) -> bytes:
    return bytes.fromhex("".join(text[1] + text[0] for text in (f"{octet:02x}" for octet in data)))


@pytest.mark.parametrize(
    ("right", "ours", "words"),
    [
        (RIGHT, replace(RIGHT, constant=OP), ("calls opc is op", "write op =")),
        (RIGHT, replace(RIGHT, is_bound=False), ("calls op is opc", "write opc =")),
        (RIGHT, replace(RIGHT, k=K[::-1]), ("reverse the octets of k",)),
        (RIGHT, replace(RIGHT, constant=OPC[::-1]), ("reverse the octets of opc",)),
        (RIGHT, replace(RIGHT, k=nibbles(K)), ("swap the two hex digits", "k")),
        (RIGHT, replace(RIGHT, k=K[::-1], constant=OP[::-1]), ("octets of k", "octets of opc", "op")),
        (RIGHT, replace(RIGHT, k=K[3::-1] + K[7:3:-1] + K[11:7:-1] + K[15:11:-1]), ("group of four", "k")),
        (TUAK, replace(TUAK, constant=TOP), ("calls topc is top",)),
        (TUAK, replace(TUAK, is_bound=False), ("calls top is topc",)),
    ],
)
def test_a_slip_in_the_profile_is_named(right: Keys, ours: Keys, words: tuple[str, ...]) -> None:
    sentence = explain(ours, RAND, challenge(right))
    assert all(word in sentence for word in words), sentence
    assert not any(secret.hex() in sentence.lower() for secret in (K, OP, OPC))


def test_an_amf_that_autn_does_not_show_is_named() -> None:
    autn = challenge(RIGHT, b"\x00\x00")
    sentence = explain(RIGHT, RAND, autn[:6] + b"\x80\x00" + autn[8:])
    assert "AMF 0000" in sentence
    assert "8000" in sentence


def test_an_sqn_in_the_clear_is_named() -> None:
    algorithms: Algorithms = RIGHT.algorithms()
    sqn, amf = (1 << 20).to_bytes(6, "big"), b"\x80\x00"
    assert "concealing" in explain(RIGHT, RAND, sqn + amf + algorithms.f1(RAND, sqn, amf))


def test_another_key_is_no_slip() -> None:
    assert explain(RIGHT, RAND, challenge(Keys("milenage", bytes(16), bytes(16)))) == ""


@given(rand=st.binary(max_size=20), autn=st.binary(max_size=20))
def test_any_octets_have_an_explanation_or_none(rand: bytes, autn: bytes) -> None:
    sentence = explain(RIGHT, rand, autn)
    assert (sentence == "") == (len(rand) == 16 and len(autn) == 16)
