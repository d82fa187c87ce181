"""The tokens of TS 33.102 6.3, on test set 1 of TS 35.208 and on anything at all."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.usim.aka import AkaSuccess, MacFailure, SyncFailure, Vector, make_auts, open_auts, open_challenge
from imsphone.usim.milenage import Milenage

K = bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc")
OPC = bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf")
RAND = bytes.fromhex("23553cbe9637a89d218ae64dae47bf35")
SQN = 0xFF9BB4D0B607
AMF = bytes.fromhex("b9b9")
RES, CK, IK = "a54211d5e3ba50bf", "b40ba9a3c58b2a05bbf0d987b21bf8cb", "f769bcd751044604127672711c6d3441"
MILENAGE = Milenage(K, OPC)

sqns = st.integers(0, 2**48 - 1)
rands = st.binary(min_size=16, max_size=16)


def test_the_vector_of_test_set_1() -> None:
    vector = Vector.make(MILENAGE, SQN, AMF, RAND)
    # TS 35.208 4.3.1: SQN ff9bb4d0b607 under AK aa689c648370, then AMF, then f1
    assert vector.autn.hex() == "55f328b43577" + "b9b9" + "4a9ffac354dfafb3"
    assert (vector.xres.hex(), vector.ck.hex(), vector.ik.hex()) == (RES, CK, IK)


def test_the_sim_finds_in_a_challenge_what_the_hss_put_there() -> None:
    opened = open_challenge(MILENAGE, RAND, Vector.make(MILENAGE, SQN, AMF, RAND).autn)
    assert opened is not None
    assert opened.sqn == SQN
    assert opened.success == AkaSuccess(bytes.fromhex(RES), bytes.fromhex(CK), bytes.fromhex(IK))


@given(sqn=sqns, amf=st.binary(min_size=2, max_size=2), rand=rands)
def test_any_amf_is_taken_from_autn(sqn: int, amf: bytes, rand: bytes) -> None:
    opened = open_challenge(MILENAGE, rand, Vector.make(MILENAGE, sqn, amf, rand).autn)
    assert opened is not None
    assert opened.sqn == sqn


@given(sqn=sqns, rand=rands, bit=st.integers(0, 127))
def test_one_flipped_bit_of_autn_is_noticed(sqn: int, rand: bytes, bit: int) -> None:
    autn = int.from_bytes(Vector.make(MILENAGE, sqn, AMF, rand).autn, "big") ^ 1 << bit
    assert open_challenge(MILENAGE, rand, autn.to_bytes(16, "big")) is None


@given(rand=st.binary(max_size=40), autn=st.binary(max_size=40))
def test_any_octets_are_answered(rand: bytes, autn: bytes) -> None:
    assert open_challenge(MILENAGE, rand, autn) is None  # a right MAC by chance: 2^-64


def test_a_res_holding_a_zero_octet_survives() -> None:
    for number in range(10_000):
        vector = Vector.make(MILENAGE, 32, AMF, number.to_bytes(16, "big"))
        if 0 in vector.xres[:-1]:
            break
    opened = open_challenge(MILENAGE, vector.rand, vector.autn)
    assert opened is not None
    assert opened.success.res == vector.xres
    assert len(opened.success.res) == 8


@given(sqn=sqns, rand=rands)
def test_the_hss_reads_sqn_ms_out_of_auts(sqn: int, rand: bytes) -> None:
    auts = make_auts(MILENAGE, rand, sqn)
    assert len(auts) == 14
    assert open_auts(MILENAGE, rand, auts) == sqn


@given(sqn=sqns, rand=rands, bit=st.integers(0, 111))
def test_a_forged_auts_moves_nothing(sqn: int, rand: bytes, bit: int) -> None:
    auts = int.from_bytes(make_auts(MILENAGE, rand, sqn), "big") ^ 1 << bit
    assert open_auts(MILENAGE, rand, auts.to_bytes(14, "big")) is None


@given(rand=st.binary(max_size=20), auts=st.binary(max_size=20))
def test_any_auts_is_answered(rand: bytes, auts: bytes) -> None:
    assert open_auts(MILENAGE, rand, auts) is None


def test_mac_s_counts_amf_as_zero() -> None:
    auts = make_auts(MILENAGE, RAND, SQN)
    assert auts[6:] == MILENAGE.f1_star(RAND, SQN.to_bytes(6, "big"), b"\0\0")


def test_no_outcome_shows_or_leaks_its_keys() -> None:
    vector = Vector.make(MILENAGE, SQN, AMF, RAND)
    success = AkaSuccess(vector.xres, vector.ck, vector.ik)
    shown = f"{vector!r} {vector} {success!r} {success} {MacFailure()!r}"
    for secret in (vector.xres, vector.ck, vector.ik):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
    for holder in (vector, success):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError):
                pickle.dumps(holder, protocol)
        with pytest.raises(TypeError):
            copy.copy(holder)


def test_outcomes_compare_by_value() -> None:
    assert MacFailure() == MacFailure()
    assert SyncFailure(bytes(14)) != SyncFailure(b"\1" + bytes(13))
