"""STUN by the test vectors of RFC 5769 2.2 and 2.3 (their transaction and addresses; no attribute but the one)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.machine import Address
from imsphone.sip import stun

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")


@pytest.mark.parametrize(
    ("source", "attribute"),
    [
        (Address("192.0.2.1", 32853), "002000080001a147e112a643"),
        (
            Address("2001:db8:1234:5678:11:2233:4455:6677", 32853),
            "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9",
        ),
    ],
)
def test_the_answer_says_where_the_request_came_from(source: Address, attribute: str) -> None:
    answer = stun.success(stun.request(TRANSACTION), source)
    assert answer[20:].hex() == attribute
    assert stun.is_stun(answer)
    assert stun.is_success(answer)
    assert stun.transaction_of(answer) == TRANSACTION
    assert int.from_bytes(answer[2:4], "big") == len(answer) - 20


def test_a_request_is_twenty_octets() -> None:
    assert stun.request(TRANSACTION).hex() == "000100002112a442" + TRANSACTION.hex()
    assert stun.is_request(stun.request(TRANSACTION))


@given(st.binary(max_size=60))
def test_no_sip_is_taken_for_it(data: bytes) -> None:
    assert not stun.is_stun(b"REGISTER " + data)
    stun.is_stun(data)
