"""The test sets 1 to 5 of TS 35.233 6.3 to 6.7 (set 6 wants two permutations, which Tuak does not offer)."""

from __future__ import annotations

import pickle
from typing import NamedTuple

import pytest

from imsphone.usim.aka import AkaSuccess, Vector, make_auts, open_auts, open_challenge
from imsphone.usim.tuak import Tuak, topc_from_top


class Case(NamedTuple):
    k: str
    rand: str
    sqn: str
    amf: str
    top: str
    topc: str
    f1: str
    f1_star: str
    f2: str
    f3: str
    f4: str
    f5: str
    f5_star: str

    def octets(self, field: str) -> bytes:
        return bytes.fromhex(getattr(self, field))

    def tuak(self) -> Tuak:
        lengths = {"mac_bytes": "f1", "res_bytes": "f2", "ck_bytes": "f3", "ik_bytes": "f4"}
        sizes = {name: len(self.octets(field)) for name, field in lengths.items()}
        return Tuak(self.octets("k"), self.octets("topc"), **sizes)


CASES = [
    Case(
        k="abababababababababababababababab",
        rand="42424242424242424242424242424242",
        sqn="111111111111",
        amf="ffff",
        top="5555555555555555555555555555555555555555555555555555555555555555",
        topc="bd04d9530e87513c5d837ac2ad954623a8e2330c115305a73eb45d1f40cccbff",
        f1="f9a54e6aeaa8618d",
        f1_star="e94b4dc6c7297df3",
        f2="657acd64",
        f3="d71a1e5c6caffe986a26f783e5c78be1",
        f4="be849fa2564f869aecee6f62d4337e72",
        f5="719f1e9b9054",
        f5_star="e7af6b3d0e38",
    ),
    Case(
        k="fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0",
        rand="0123456789abcdef0123456789abcdef",
        sqn="0123456789ab",
        amf="abcd",
        top="808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        topc="305425427e18c503c8a4b294ea72c95d0c36c6c6b29d0c65de5974d5977f8524",
        f1="c0b8c2d4148ec7aa5f1d78a97e4d1d58",
        f1_star="ef81af7290f7842c6ceafa537fa0745b",
        f2="e9d749dc4eea0035",
        f3="a4cb6f6529ab17f8337f27baa8234d47",
        f4="2274155ccf4199d5e2abcbf621907f90",
        f5="480a9345cc1e",
        f5_star="f84eb338848c",
    ),
    Case(
        k="fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0",
        rand="0123456789abcdef0123456789abcdef",
        sqn="0123456789ab",
        amf="abcd",
        top="808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        topc="305425427e18c503c8a4b294ea72c95d0c36c6c6b29d0c65de5974d5977f8524",
        f1="d97b75a1776065271b1e212bc3b1bf173f438b21e6c64a55a96c372e085e5cc5",
        f1_star="427bbf07c6e3a86c54f8c5216499f3909a6fd4a164c9fe235b1550258111b821",
        f2="07021c73e7635c7d",
        f3="4d59ac796834eb85d11fa148a5058c3c",
        f4="126d47500136fdc5ddfd14f19ebf16749ce4b6435323fbb5715a3a796a6082bd",
        f5="1d6622c4e59a",
        f5_star="f84eb338848c",
    ),
    Case(
        k="b8da837a50652d6ac7c97da14f6acc61",
        rand="6887e55425a966bd86c9661a5fa72be8",
        sqn="0dea2ee2c5af",
        amf="df1e",
        top="0952be13556c32ebc58195d9dd930493e12a9003669988ffde5fa1f0fe35cc01",
        topc="2bc16eb657a68e1f446f08f57c0efb1d493527a2e652ce281eb6ca0e4487760a",
        f1="749214087958dd8f58bfcdf869d8ae3f",
        f1_star="619e865afe80e382aee13063f9dfb56d",
        f2="4041ce438e3e38e8aa96562eed83ac43",
        f3="3e3bc01bea0cd914c4c2c83ce2d92757",
        f4="666a8e6f577b1aa77b7fd53cebb8a3d6",
        f5="1f880d005119",
        f5_star="45e617d77fe5",
    ),
    Case(
        k="1574ca56881d05c189c82880f789c9cd4244955f4426aa2b69c29f15770e5aa5",
        rand="c570aac68cde651fb1e3088322498bef",
        sqn="c89bb71f3a41",
        amf="297d",
        top="e59f6eb10ea406813f4991b0b9e02f181edf4c7e17b480f66d34da35ee88c95e",
        topc="3c6052e41532a28a47aa3cbb89f223e8f3aaa976aecd48bc3e7d6165a55eff62",
        f1="d7340dad02b4cb01",
        f1_star="c6021e2e66accb15",
        f2="84d89b41db1867ffd4c7ba1d82163f4d526a20fbae5418fbb526940b1eeb905c",
        f3="d419676afe5ab58c1d8bee0d43523a4d2f52ef0b31a4676a0c334427a988fe65",
        f4="205533e505661b61d05cc0eac87818f4",
        f5="d7b3d2d4980a",
        f5_star="ca9655264986",
    ),
]
IDS = [f"set {number}" for number in range(1, 6)]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_topc_follows_from_top(case: Case) -> None:
    assert topc_from_top(case.octets("k"), case.octets("top")) == case.octets("topc")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_both_macs(case: Case) -> None:
    tuak, (rand, sqn, amf) = case.tuak(), map(case.octets, ("rand", "sqn", "amf"))
    assert tuak.f1(rand, sqn, amf) == case.octets("f1")
    assert tuak.f1_star(rand, sqn, amf) == case.octets("f1_star")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_res_keys_and_both_anonymity_keys(case: Case) -> None:
    tuak, rand = case.tuak(), case.octets("rand")
    assert tuak.f2345(rand) == tuple(map(case.octets, ("f2", "f3", "f4", "f5")))
    assert tuak.f5_star(rand) == case.octets("f5_star")


def test_aka_runs_on_it_as_on_milenage() -> None:
    tuak = Tuak.from_top(bytes(32), bytes(range(32)))
    vector = Vector.make(tuak, 1 << 20, b"\x80\x00", bytes(16))
    opened = open_challenge(tuak, vector.rand, vector.autn)
    assert opened is not None
    assert opened.sqn == 1 << 20
    assert opened.success == AkaSuccess(vector.xres, vector.ck, vector.ik)
    assert open_auts(tuak, vector.rand, make_auts(tuak, vector.rand, 99)) == 99


@pytest.mark.parametrize(("k", "topc", "name"), [(bytes(15), bytes(32), "K"), (bytes(16), bytes(16), "TOPc")])
def test_a_key_of_another_length_is_named_and_not_shown(k: bytes, topc: bytes, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} has"):
        Tuak(k, topc)


def test_nobody_writes_the_key_to_a_pipe() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Tuak(bytes(16), bytes(32)))
