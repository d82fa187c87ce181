"""The test sets 1 to 6 of TS 35.208 4.3 (TS 35.207 holds the same figures step by step)."""

from __future__ import annotations

import pickle
from typing import NamedTuple

import pytest

from imsphone.usim.milenage import Milenage, opc_from_op


class Case(NamedTuple):
    k: str
    rand: str
    sqn: str
    amf: str
    op: str
    opc: str
    f1: str
    f1_star: str
    f2: str
    f5: str
    f3: str
    f4: str
    f5_star: str

    def octets(self, field: str) -> bytes:
        return bytes.fromhex(getattr(self, field))


CASES = [
    Case(
        k="465b5ce8b199b49faa5f0a2ee238a6bc",
        rand="23553cbe9637a89d218ae64dae47bf35",
        sqn="ff9bb4d0b607",
        amf="b9b9",
        op="cdc202d5123e20f62b6d676ac72cb318",
        opc="cd63cb71954a9f4e48a5994e37a02baf",
        f1="4a9ffac354dfafb3",
        f1_star="01cfaf9ec4e871e9",
        f2="a54211d5e3ba50bf",
        f5="aa689c648370",
        f3="b40ba9a3c58b2a05bbf0d987b21bf8cb",
        f4="f769bcd751044604127672711c6d3441",
        f5_star="451e8beca43b",
    ),
    Case(
        k="0396eb317b6d1c36f19c1c84cd6ffd16",
        rand="c00d603103dcee52c4478119494202e8",
        sqn="fd8eef40df7d",
        amf="af17",
        op="ff53bade17df5d4e793073ce9d7579fa",
        opc="53c15671c60a4b731c55b4a441c0bde2",
        f1="5df5b31807e258b0",
        f1_star="a8c016e51ef4a343",
        f2="d3a628ed988620f0",
        f5="c47783995f72",
        f3="58c433ff7a7082acd424220f2b67c556",
        f4="21a8c1f929702adb3e738488b9f5c5da",
        f5_star="30f1197061c1",
    ),
    Case(
        k="fec86ba6eb707ed08905757b1bb44b8f",
        rand="9f7c8d021accf4db213ccff0c7f71a6a",
        sqn="9d0277595ffc",
        amf="725c",
        op="dbc59adcb6f9a0ef735477b7fadf8374",
        opc="1006020f0a478bf6b699f15c062e42b3",
        f1="9cabc3e99baf7281",
        f1_star="95814ba2b3044324",
        f2="8011c48c0c214ed2",
        f5="33484dc2136b",
        f3="5dbdbb2954e8f3cde665b046179a5098",
        f4="59a92d3b476a0443487055cf88b2307b",
        f5_star="deacdd848cc6",
    ),
    Case(
        k="9e5944aea94b81165c82fbf9f32db751",
        rand="ce83dbc54ac0274a157c17f80d017bd6",
        sqn="0b604a81eca8",
        amf="9e09",
        op="223014c5806694c007ca1eeef57f004f",
        opc="a64a507ae1a2a98bb88eb4210135dc87",
        f1="74a58220cba84c49",
        f1_star="ac2cc74a96871837",
        f2="f365cd683cd92e96",
        f5="f0b9c08ad02e",
        f3="e203edb3971574f5a94b0d61b816345d",
        f4="0c4524adeac041c4dd830d20854fc46b",
        f5_star="6085a86c6f63",
    ),
    Case(
        k="4ab1deb05ca6ceb051fc98e77d026a84",
        rand="74b0cd6031a1c8339b2b6ce2b8c4a186",
        sqn="e880a1b580b6",
        amf="9f07",
        op="2d16c5cd1fdf6b22383584e3bef2a8d8",
        opc="dcf07cbd51855290b92a07a9891e523e",
        f1="49e785dd12626ef2",
        f1_star="9e85790336bb3fa2",
        f2="5860fc1bce351e7e",
        f5="31e11a609118",
        f3="7657766b373d1c2138f307e3de9242f9",
        f4="1c42e960d89b8fa99f2744e0708ccb53",
        f5_star="fe2555e54aa9",
    ),
    Case(
        k="6c38a116ac280c454f59332ee35c8c4f",
        rand="ee6466bc96202c5a557abbeff8babf63",
        sqn="414b98222181",
        amf="4464",
        op="1ba00a1a7c6700ac8c3ff3e96ad08725",
        opc="3803ef5363b947c6aaa225e58fae3934",
        f1="078adfb488241a57",
        f1_star="80246b8d0186bcf1",
        f2="16c8233f05a0ac28",
        f5="45b0f69ab06c",
        f3="3f8c7587fe8e4b233af676aede30ba3b",
        f4="a7466cc1e6b2a1337d49d3b66e95d7b4",
        f5_star="1f53cd2b1113",
    ),
]


@pytest.fixture(params=CASES, ids=[f"set{number}" for number in range(1, 7)])
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def test_opc_comes_from_k_and_op(case: Case) -> None:
    assert opc_from_op(case.octets("k"), case.octets("op")) == case.octets("opc")


@pytest.mark.parametrize("constant", ["op", "opc"])
def test_every_function_gives_the_figures_of_the_standard(case: Case, constant: str) -> None:
    make = Milenage.from_op if constant == "op" else Milenage
    milenage = make(case.octets("k"), case.octets(constant))
    rand, sqn, amf = case.octets("rand"), case.octets("sqn"), case.octets("amf")
    assert milenage.f1(rand, sqn, amf) == case.octets("f1")
    assert milenage.f1_star(rand, sqn, amf) == case.octets("f1_star")
    assert milenage.f2(rand) == case.octets("f2")
    assert milenage.f3(rand) == case.octets("f3")
    assert milenage.f4(rand) == case.octets("f4")
    assert milenage.f5(rand) == case.octets("f5")
    assert milenage.f5_star(rand) == case.octets("f5_star")


@pytest.mark.parametrize(("k_octets", "opc_octets"), [(15, 16), (17, 16), (32, 16), (16, 0), (16, 15)])
def test_a_key_of_the_wrong_length_is_refused_without_being_shown(k_octets: int, opc_octets: int) -> None:
    with pytest.raises(ValueError, match="should have 16") as refused:
        Milenage(b"\xab" * k_octets, b"\xab" * opc_octets)
    assert "abab" not in str(refused.value)


def test_an_op_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="OP has 15 octets"):
        opc_from_op(bytes(16), bytes(15))


def test_it_shows_no_key_and_does_not_pickle() -> None:
    milenage = Milenage(CASES[0].octets("k"), CASES[0].octets("opc"))
    assert CASES[0].opc not in repr(milenage)
    with pytest.raises(TypeError):
        pickle.dumps(milenage)
