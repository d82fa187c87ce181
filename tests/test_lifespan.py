"""The security associations of a trace: kept without keys, shown as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.lifespan import Lifespan, table
from imsphone.machine import Address

PHONE, PCSCF = Address("192.0.2.1", 40001), Address("192.0.2.2", 6100)
OUT = Lifespan("alice", 0x9C7F0A31, PHONE, PCSCF, "hmac-sha-1-96/aes-cbc", False, 10.0, None, 1204)
IN = Lifespan("alice", 0x4EF2F4DC, PCSCF, PHONE, "hmac-sha-1-96/aes-cbc", True, 10.0, 40.0, 7, 2, 1)


def test_the_table_says_which_way_how_long_and_how_much() -> None:
    head, out, came = table([OUT, IN], start=8.0, now=70.0).splitlines()
    assert head.split() == "spi from → to algorithms since age sent came forged replayed".split()
    assert (
        out.split() == "9c7f0a31 192.0.2.1:40001 → 192.0.2.2:6100 hmac-sha-1-96/aes-cbc 2.000 60 s 1,204 - - -".split()
    )
    assert came.split() == "4ef2f4dc 192.0.2.2:6100 → 192.0.2.1:40001 hmac-sha-1-96/aes-cbc 2.000 30 s - 7 2 1".split()
    assert len({len(line) for line in (head, out, came)}) == 1
    assert table([], start=0.0, now=0.0) == ""


def test_both_ends_of_an_association_are_one_row() -> None:
    far = replace(OUT, who="p-cscf", is_inbound=True, since=9.9, packets=1200, forged=3)
    again = replace(OUT, since=500.0)  # the same SPI, long after
    rows = table([OUT, far, again], start=0.0, now=600.0).splitlines()[1:]
    assert [row.split()[-4:] for row in rows] == [["1,204", "1,200", "3", "0"], ["1,204", "-", "-", "-"]]


@pytest.mark.parametrize("one", [OUT, IN])
def test_it_is_json(one: Lifespan) -> None:
    assert Lifespan.from_json(one.as_json()) == one


keys = st.sampled_from(sorted(OUT.as_json()))
values = st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.lists(st.integers(), max_size=3)


@given(keys, values)
def test_any_json_is_read_or_refused(key: str, value: object) -> None:
    try:
        one = Lifespan.from_json(OUT.as_json() | {key: value})
    except (KeyError, TypeError, ValueError, OverflowError):
        return
    assert table([one], start=0.0, now=1.0).count("\n") == 1
