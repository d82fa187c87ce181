"""The SIM: fresh sequence numbers by TS 33.102 Annex C, each good once, saved before it is used."""

from __future__ import annotations

import pickle
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.usim.aka import AkaSuccess, MacFailure, Outcome, SyncFailure, Vector, open_auts
from imsphone.usim.isim import DELTA, Isim, SqnMemory
from imsphone.usim.milenage import Milenage

K = bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc")
OPC = bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf")
RAND = bytes.fromhex("23553cbe9637a89d218ae64dae47bf35")
AMF = b"\x80\x00"


def challenge(isim: Isim, seq: int, ind: int = 0, *, k: bytes = K) -> Outcome:
    vector = Vector.make(Milenage(k, OPC), seq << 5 | ind, AMF, RAND)
    return isim.authenticate(vector.rand, vector.autn)


def sqn_ms(outcome: Outcome) -> int:
    assert isinstance(outcome, SyncFailure)
    sqn = open_auts(Milenage(K, OPC), RAND, outcome.auts)
    assert sqn is not None
    return sqn


@pytest.fixture
def isim() -> Isim:
    return Isim(Milenage(K, OPC))


def test_a_fresh_challenge_gives_res_and_keys(isim: Isim) -> None:
    vector = Vector.make(Milenage(K, OPC), 32, AMF, RAND)
    assert isim.authenticate(RAND, vector.autn) == AkaSuccess(vector.xres, vector.ck, vector.ik)


def test_the_same_challenge_is_not_good_twice(isim: Isim) -> None:
    assert isinstance(challenge(isim, 7, 3), AkaSuccess)
    assert sqn_ms(challenge(isim, 7, 3)) == 7 << 5 | 3


def test_a_network_with_another_key_fails_by_its_mac_whatever_its_sqn(isim: Isim) -> None:
    assert isinstance(challenge(isim, 1, k=bytes(16)), MacFailure)
    challenge(isim, 9)
    assert isinstance(challenge(isim, 1, k=bytes(16)), MacFailure)


def test_vectors_of_different_indices_may_come_out_of_order(isim: Isim) -> None:
    assert isinstance(challenge(isim, 20, 1), AkaSuccess)
    assert isinstance(challenge(isim, 19, 2), AkaSuccess)
    assert isinstance(challenge(isim, 18, 3), AkaSuccess)
    assert sqn_ms(challenge(isim, 19, 1)) == 20 << 5 | 1


def test_sqn_zero_is_not_fresh_for_a_new_sim(isim: Isim) -> None:
    assert sqn_ms(challenge(isim, 0)) == 0


def test_a_jump_by_delta_is_taken_and_one_more_is_not(isim: Isim) -> None:
    assert sqn_ms(challenge(isim, DELTA + 1)) == 0
    assert isinstance(challenge(isim, DELTA), AkaSuccess)


def test_delta_counts_from_the_highest_of_all_indices(isim: Isim) -> None:
    challenge(isim, 1000, 4)
    assert isinstance(challenge(isim, 1000 + DELTA, 5), AkaSuccess)
    assert sqn_ms(challenge(isim, 1001 + 2 * DELTA, 6)) == 1000 + DELTA << 5 | 5


def test_the_age_limit_refuses_what_is_too_far_behind() -> None:
    isim = Isim(Milenage(K, OPC), limit=10)
    challenge(isim, 100, 1)
    assert sqn_ms(challenge(isim, 90, 2)) == 100 << 5 | 1
    assert isinstance(challenge(isim, 91, 2), AkaSuccess)


def test_auts_names_the_highest_of_equal_counters(isim: Isim) -> None:
    for ind in (3, 9, 1):
        challenge(isim, 50, ind)
    assert sqn_ms(challenge(isim, 50, 1)) == 50 << 5 | 9


def test_after_resynchronisation_the_next_sqn_is_taken(isim: Isim) -> None:
    challenge(isim, 5000)
    told = sqn_ms(challenge(isim, 12))
    assert isinstance(challenge(isim, (told >> 5) + 1), AkaSuccess)


def test_a_restarted_sim_remembers() -> None:
    memories: dict[str, SqnMemory] = {}
    save = partial(memories.__setitem__, "alice")
    assert isinstance(challenge(Isim(Milenage(K, OPC), save=save), 7), AkaSuccess)
    restarted = Isim(Milenage(K, OPC), memories["alice"], save)
    assert sqn_ms(challenge(restarted, 7)) == 7 << 5
    assert isinstance(challenge(restarted, 8), AkaSuccess)


def test_a_memory_that_cannot_be_saved_gives_no_result_away() -> None:
    def full_disk(_memory: SqnMemory) -> None:
        raise OSError("No space left on device")

    isim = Isim(Milenage(K, OPC), save=full_disk)
    with pytest.raises(OSError, match="No space"):
        challenge(isim, 7)
    assert isim.memory == SqnMemory.fresh()


def test_a_refused_challenge_saves_nothing() -> None:
    saved: list[SqnMemory] = []
    isim = Isim(Milenage(K, OPC), save=saved.append)
    challenge(isim, 0)
    challenge(isim, 1, k=bytes(16))
    assert saved == []


def test_a_sim_with_a_longer_index() -> None:
    isim = Isim(Milenage(K, OPC), SqnMemory.fresh(ind_bits=6))
    vector = Vector.make(Milenage(K, OPC), 3 << 6 | 63, AMF, RAND)
    assert isinstance(isim.authenticate(RAND, vector.autn), AkaSuccess)
    assert isim.memory.seqs[63] == 3


@given(st.lists(st.integers(0, 40 << 5), max_size=60))
def test_no_sqn_is_ever_accepted_twice(numbers: list[int]) -> None:
    isim = Isim(Milenage(K, OPC))
    accepted = [sqn for sqn in numbers if isinstance(challenge(isim, sqn >> 5, sqn & 31), AkaSuccess)]
    assert len(accepted) == len(set(accepted))
    assert isim.memory.sqn_ms == max(accepted, default=0)


@given(sqn=st.integers(0, 2**48 - 1), seqs=st.lists(st.integers(0, 2**43 - 1), min_size=32, max_size=32))
def test_any_sqn_on_any_memory_only_raises_it(sqn: int, seqs: list[int]) -> None:
    before = SqnMemory(tuple(seqs))
    after = before.accept(sqn)
    if after is not None:
        assert after.sqn_ms >= before.sqn_ms
        assert after.accept(sqn) is None
        assert sum(old != new for old, new in zip(before.seqs, after.seqs, strict=True)) == 1


@given(rand=st.binary(max_size=32), autn=st.binary(max_size=32))
def test_any_octets_give_an_outcome(rand: bytes, autn: bytes) -> None:
    assert isinstance(Isim(Milenage(K, OPC)).authenticate(rand, autn), AkaSuccess | SyncFailure | MacFailure)


def test_it_shows_no_key_and_does_not_pickle(isim: Isim) -> None:
    assert K.hex() not in repr(isim)
    with pytest.raises((TypeError, AttributeError)):
        pickle.dumps(isim)
