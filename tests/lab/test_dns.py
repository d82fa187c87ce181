"""The lab's name server, asked by dnspython's own queries: NAPTR leads to SRV, SRV to A."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.events import Violated
from imsphone.lab.dns import NameServer
from imsphone.machine import Address, Flow, Send, Tell

REALM = "ims.mnc001.mcc001.3gppnetwork.org"
FLOW = Flow("UDP", Address("127.0.10.53", 5053), Address("127.0.0.1", 40000))
SERVER = NameServer(REALM, {"pcscf": Address("127.0.10.10", 5060), "icscf": Address("::1", 5060)}, "pcscf")


def ask(name: str, kind: str) -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    [effect] = SERVER.receive(query.to_wire(), FLOW, 0.0)
    assert isinstance(effect, Send)
    assert effect.flow == FLOW
    response = dns.message.from_wire(effect.data)
    assert query.is_response(response)
    return response


def test_from_the_domain_to_the_address_of_the_p_cscf() -> None:
    [naptr] = ask(REALM, "NAPTR").answer
    first, second, third = sorted(naptr, key=lambda record: record.order)
    assert (first.service, second.service, third.service) == (b"SIP+D2U", b"SIP+D2T", b"SIPS+D2T")
    assert ask(third.replacement.to_text(), "SRV").answer[0][0].port == 5061
    [srv] = ask(first.replacement.to_text(), "SRV").answer
    assert (srv[0].port, srv[0].target.to_text()) == (5060, f"pcscf.{REALM}.")
    response = ask(srv[0].target.to_text(), "A")
    assert response.answer[0][0].address == "127.0.10.10"
    assert response.flags & dns.flags.AA


def test_srv_brings_the_address_along() -> None:
    [extra] = ask(f"_sip._tcp.{REALM}", "SRV").additional
    assert extra[0].address == "127.0.10.10"


def test_an_address_of_version_6_is_an_aaaa() -> None:
    assert ask(f"icscf.{REALM}", "AAAA").answer[0][0].address == "::1"
    assert ask(f"icscf.{REALM}", "A").answer == []


@pytest.mark.parametrize(
    ("name", "rcode"),
    [
        (f"nobody.{REALM}", dns.rcode.NXDOMAIN),
        (f"_udp.{REALM}", dns.rcode.NOERROR),
        ("example.org", dns.rcode.REFUSED),
    ],
)
def test_a_name_that_leads_nowhere(name: str, rcode: dns.rcode.Rcode) -> None:
    response = ask(name, "A")
    assert response.answer == []
    assert response.rcode() == rcode


def test_an_update_is_not_implemented() -> None:
    update = dns.update.UpdateMessage(REALM)
    [effect] = SERVER.receive(update.to_wire(), FLOW, 0.0)
    assert isinstance(effect, Send)
    assert dns.message.from_wire(effect.data).rcode() == dns.rcode.NOTIMP


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: b"\0\1\1\0\0\1\0\0\0\0\0\0" + tail))
def test_any_octets_are_answered_or_dropped(data: bytes) -> None:
    for effect in SERVER.receive(data, FLOW, 0.0):
        assert isinstance(effect, Send) or (isinstance(effect, Tell) and isinstance(effect.event, Violated))
