"""The contract: addresses and flows, effects that are facts, identifiers that repeat."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.machine import Address, Ask, Flow, Ids, Machine, Resolve, Send, Tell
from imsphone.sip.transactions import Transactions

UDP = Flow("UDP", Address("127.0.0.1", 5060), Address("::1", 5070))


def test_an_address_prints_as_it_stands_in_a_uri() -> None:
    assert str(Address("127.0.10.10", 5060)) == "127.0.10.10:5060"
    assert str(Address("2001:db8::1", 5060)) == "[2001:db8::1]:5060"


def test_a_flow_over_another_transport_has_the_same_ends() -> None:
    assert UDP.over("TCP") == Flow("TCP", UDP.local, UDP.remote)
    assert UDP.over("UDP") == UDP
    assert str(UDP) == "UDP 127.0.0.1:5060 ↔ [::1]:5070"


def test_effects_are_values_that_nobody_changes() -> None:
    assert Send(b"x", UDP) == Send(b"x", UDP)
    assert Ask(Resolve("h"), "call") != Ask(Resolve("h"), "other call")
    for effect, name in ((Send(b"x", UDP), "data"), (Ask("q"), "question"), (Tell("e"), "event")):
        with pytest.raises(FrozenInstanceError):
            setattr(effect, name, None)


def test_a_machine_has_the_whole_contract() -> None:
    contract = {name for name in vars(Machine) if not name.startswith("_")}
    assert contract == {"deadline", "receive", "answer", "lost", "tick"}
    assert contract <= set(dir(Transactions))
    layer: Machine = Transactions(Ids(b""))
    assert layer.deadline is None
    assert layer.answer(Ask("?"), None, 0.0) == layer.lost(UDP, 0.0) == layer.tick(0.0) == []


def test_a_question_for_several_hosts_is_one_for_each() -> None:
    question = Resolve("a.example", 5070, "TCP", (("b.example", None),))
    assert question.single == (Resolve("a.example", 5070, "TCP"), Resolve("b.example", None, "TCP"))


def test_the_same_seed_names_the_same_run() -> None:
    def names(seed: bytes) -> list[object]:
        ids = Ids(seed)
        return [ids.branch(), ids.tag(), ids.call_id(), ids.number(32), ids.data(32)]

    assert names(b"1") == names(b"1")
    assert not set(names(b"1")) & set(names(b"2"))


def test_identifiers_are_as_long_as_the_standards_ask() -> None:
    ids = Ids(b"seed")
    assert ids.branch().startswith("z9hG4bK")  # RFC 3261 8.1.1.7
    assert len(bytes.fromhex(ids.tag())) * 8 >= 32  # RFC 3261 19.3
    assert len(bytes.fromhex(ids.call_id())) == 16
    assert len({ids.branch() for _ in range(1000)}) == 1000


@given(st.binary(max_size=100), st.integers(1, 64))
def test_numbers_stay_below_their_bits(seed: bytes, bits: int) -> None:
    ids = Ids(seed)
    assert all(0 <= ids.number(bits) < 1 << bits for _ in range(10))
    assert len(ids.data(bits)) == bits
