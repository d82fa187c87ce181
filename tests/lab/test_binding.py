"""What the P-CSCF remembers of phones: found by token and by source, gone with its time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imsphone.lab.binding import Binding, Bindings, source
from imsphone.machine import Address, Flow
from imsphone.sip.fields import NameAddr
from imsphone.sip.message import Request
from imsphone.sip.uri import Uri

HERE = Address("127.0.10.10", 5060)
PHONE = Address("127.0.0.11", 5060)
CONNECTION = Flow("TCP", HERE, Address("127.0.0.11", 49152))
CONTACT = Uri.parse("sip:a@127.0.0.11:5060")


def binding(token: str = "t", *, flow: Flow = CONNECTION, until: float = 100.0) -> Binding:
    impus = ("sip:a@x", "tel:+1")
    return Binding(token, PHONE, flow, "sip:a@x", CONTACT, ("sip:orig@s;lr",), impus, until)


@pytest.mark.parametrize(
    ("flow", "via", "expected"),
    [
        (Flow("UDP", HERE, Address("127.0.0.11", 7777)), "127.0.0.11:5060", Address("127.0.0.11", 7777)),
        (CONNECTION, "127.0.0.11:5080", Address("127.0.0.11", 5080)),
        (CONNECTION, "127.0.0.11", PHONE),
        (CONNECTION, "127.0.0.12:5080", CONNECTION.remote),  # says it is somebody else
    ],
)
def test_where_a_phone_lives(flow: Flow, via: str, expected: Address) -> None:
    request = Request("REGISTER", "sip:x", [("Via", f"SIP/2.0/TCP {via};branch=z9hG4bK1")])
    assert source(request, flow) == expected


def test_it_is_found_by_token_by_source_and_by_contact() -> None:
    bindings = Bindings()
    bindings.keep(binding())
    assert bindings.get("t") == binding()
    assert bindings.at(PHONE) == [binding()]
    assert bindings.token_of(PHONE, "sip:a@x", Uri.parse("sip:a@127.0.0.11:5060;ob")) == "t"
    assert bindings.token_of(PHONE, "sip:b@x", CONTACT) is None
    assert bindings.at(Address("127.0.0.11", 5070)) == []


def test_it_is_gone_with_its_time_and_a_refresh_gives_it_more() -> None:
    bindings = Bindings()
    bindings.keep(binding(until=100.0))
    bindings.keep(binding(until=200.0))
    bindings.keep(binding("other", until=150.0))
    assert bindings.deadline == 150.0
    bindings.end(150.0)
    assert len(bindings) == 1
    bindings.end(200.0)
    assert len(bindings) == 0
    assert bindings.at(PHONE) == []
    assert bindings.deadline is None


def test_a_lost_connection_leads_to_the_phones_own_address() -> None:
    bindings = Bindings()
    bindings.keep(binding())
    bindings.lose(Flow("TCP", HERE, Address("127.0.0.99", 1)))
    assert bindings.at(PHONE)[0].flow == CONNECTION
    bindings.lose(CONNECTION)
    [left] = bindings.at(PHONE)
    assert left.flow == Flow("UDP", HERE, PHONE)
    assert left.token == "t"
    bindings.lose(CONNECTION)
    bindings.forget("t")
    bindings.forget("t")
    assert len(bindings) == 0


def test_a_phone_that_wants_tcp_is_reached_by_tcp_again() -> None:
    bindings = Bindings()
    bindings.keep(replace(binding(), contact=Uri.parse("sip:a@127.0.0.1:5070;transport=tcp")))
    bindings.lose(CONNECTION)
    assert bindings.at(PHONE)[0].flow == Flow("TCP", HERE, PHONE)


def test_a_phone_chooses_among_its_own_identities_only() -> None:
    ours = binding()
    assert str(ours.assert_identity([NameAddr.parse("<tel:+1>")])) == "<tel:+1>"
    assert str(ours.assert_identity([NameAddr.parse("<sip:queen@palace>"), NameAddr.parse("<tel:+1>")])) == "<tel:+1>"
    assert str(ours.assert_identity([NameAddr.parse("<sip:queen@palace>")])) == "<sip:a@x>"
    assert str(ours.assert_identity([])) == "<sip:a@x>"


def test_after_tls_a_phone_is_reached_by_nothing_less() -> None:
    bindings = Bindings()
    secure = CONNECTION.over("TLS")
    bindings.keep(binding(flow=secure))
    bindings.lose(secure)
    found = bindings.get("t")
    assert found is not None
    assert found.flow == Flow("TLS", HERE, PHONE)
