"""What a client may have in the kernel, and what not."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys
from imsphone.net.addresses import local_host
from imsphone.net.grant import Grant
from tests.net.ledger import Ledger

OWN = local_host("192.0.2.9") or ""
PEER = "192.0.2.9"
KEYS = Keys.of(SUITES[0], bytes(16), bytes(range(16)))

needs_route = pytest.mark.skipif(not OWN, reason="asks for associations to another host: no route leads to any")


def addition(**changes: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "do": "add",
        "number": 0,
        "lifetime_s": 240.5,
        "suite": str(SUITES[0]),
        "hosts": [OWN, PEER],
        "ends": [[1256, 1257, 20001, 20002], [1300, 1301, 5100, 6100]],
        "keys": [KEYS.integrity.hex(), KEYS.encryption.hex(), ""],
    }
    return request | changes


def answered(grant: Grant, request: Any) -> dict[str, Any]:
    return dict(json.loads(grant.answer(json.dumps(request).encode() + b"\n")))


@needs_route
def test_a_set_comes_is_prolonged_counted_and_goes() -> None:
    ledger = Ledger()
    grant = Grant(ledger)
    assert answered(grant, addition()) == {}
    ends = (Ends(1256, 1257, 20001, 20002), Ends(1300, 1301, 5100, 6100))
    assert ledger.held == {Associations(SUITES[0], OWN, PEER, *ends, KEYS): 240}
    assert answered(grant, {"do": "prolong", "number": 0, "lifetime_s": 600_030}) == {}
    assert len(answered(grant, {"do": "counted", "number": 0})["counted"]) == 2
    assert answered(grant, {"do": "remove", "number": 0}) == {}
    assert ledger.acts == ["add", "prolong", "remove"]
    assert "no" in answered(grant, {"do": "remove", "number": 0})
    assert answered(grant, {"do": "expect", "number": 0, "is_v6": True}) == {}


@needs_route
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"hosts": ["192.0.2.1", PEER]}, "192.0.2.1 is no address of this host"),
        ({"hosts": [OWN, OWN]}, "this very host"),
        ({"hosts": ["127.0.0.1", "127.0.0.2"]}, "no address of one host"),
        ({"hosts": [OWN, "0.0.0.0"]}, "no address of one host"),
        ({"hosts": [OWN, "224.0.0.1"]}, "no address of one host"),
        ({"hosts": [OWN, "2001:db8::1"]}, "of two kinds"),
        ({"hosts": [OWN, "fe80::1%lo"]}, "no address of one host"),
        ({"hosts": [OWN, 7]}, "no address of one host"),
        ({"ends": [[255, 1257, 20001, 20002], [1300, 1301, 5100, 6100]]}, "256"),
        ({"ends": [[1256, 1257, 1023, 20002], [1300, 1301, 5100, 6100]]}, "1024"),
        ({"ends": [[1256, 1257, 20001, 20002], [1300, 1301, 0, 6100]]}, "65535"),
        ({"ends": [[1256, 1256, 20001, 20002], [1300, 1301, 5100, 6100]]}, "the same"),
        ({"ends": [[1256, 1257, 20001, 20001], [1300, 1301, 5100, 6100]]}, "the same"),
        ({"ends": [[1256, 1257, 20001], [1300, 1301, 5100, 6100]]}, "no request"),
        ({"ends": [[True, 1257, 20001, 20002], [1300, 1301, 5100, 6100]]}, "256"),
        ({"suite": "null/null"}, "no request"),
        ({"keys": [KEYS.integrity.hex(), "", ""]}, "no keys for"),
        ({"keys": ["zz", "", ""]}, "no request"),
        ({"lifetime_s": 0}, "a number"),
        ({"number": -1}, "a number"),
        ({"do": "flush"}, "no request"),
    ],
)
def test_what_is_not_for_this_user_is_refused_and_named(changes: dict[str, Any], why: str) -> None:
    ledger = Ledger()
    assert why in answered(Grant(ledger), addition(**changes))["no"]
    assert not ledger.acts


@needs_route
def test_a_number_with_a_fraction_becomes_whole() -> None:
    """Else packing it for the kernel would end the thread of `imsphone-sa` half way."""
    ledger = Ledger()
    ends = [[1256.5, 1257.0, 20001.5, 20002.0], [1300.5, 1301.0, 5100.5, 6100.0]]
    assert answered(Grant(ledger), addition(ends=ends)) == {}
    (held,) = ledger.held
    assert (held.own, held.peer) == (Ends(1256, 1257, 20001, 20002), Ends(1300, 1301, 5100, 6100))
    assert all(type(number) is int for number in (*held.own, *held.peer))
    equal = [[1256.5, 1256, 20001, 20002], ends[1]]
    assert "the same" in answered(Grant(ledger), addition(ends=equal))["no"]


@needs_route
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize("host", [OWN, ""])
def test_nobody_is_cut_off_by_another_users_associations(kind: socket.SocketKind, host: str) -> None:
    with socket.socket(socket.AF_INET, kind) as others:
        others.bind((host, 0))
        if kind == socket.SOCK_STREAM:
            others.listen()
        port = others.getsockname()[1]
        ledger = Ledger()
        ends = [[1256, 1257, 20001, port], [1300, 1301, 5100, 6100]]
        said = answered(Grant(ledger), addition(ends=ends))
    assert said == {"no": f"port {port} of {OWN} is taken by another program"}
    assert not ledger.acts


@needs_route
def test_a_second_set_may_share_the_port_at_which_the_first_one_listens() -> None:
    grant = Grant(Ledger())
    assert answered(grant, addition()) == {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((OWN, 20002))
        ends = [[1258, 1259, 20003, 20002], [1302, 1303, 5101, 6100]]
        assert answered(grant, addition(number=1, ends=ends)) == {}


@needs_route
def test_sixteen_sets_are_enough_for_anybody() -> None:
    grant = Grant(Ledger(most=100))
    said = [answered(grant, addition(number=number)) for number in (*range(16), 3, 16)]
    assert said[:16] == [{}] * 16
    assert all("16 sets" in refused["no"] for refused in said[16:])


@needs_route
def test_no_answer_says_a_key() -> None:
    ledger = Ledger(most=0)
    said = Grant(ledger).answer(json.dumps(addition()).encode())
    assert b"full" in said
    assert KEYS.integrity.hex().encode() not in said


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@given(st.binary(max_size=200))
def test_no_line_raises(junk: bytes) -> None:
    assert Grant(Ledger()).answer(junk).endswith(b"}\n")


@given(st.sampled_from([*addition(), "is_v6"]), values)
def test_no_value_raises(key: str, value: Any) -> None:
    said = Grant(Ledger()).answer(json.dumps(addition(**{key: value})).encode())
    assert said.endswith(b"}\n")
    assert KEYS.integrity.hex().encode() not in said
