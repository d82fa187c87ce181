"""Which header field stands where (TS 24.229 5.1.1.2.1, 5.1.2A.1.1, 5.1.3.1)."""

from __future__ import annotations

from typing import Any

import pytest

from imsphone.errors import ProfileError
from imsphone.ims.agent import Agent, Binding
from imsphone.ims.identity import Identity
from imsphone.ims.register import Register
from imsphone.machine import Address, Flow, Ids
from imsphone.profile import Profile, Secret
from imsphone.sip.message import Request
from imsphone.sip.timers import RFC_3261, TS_24_229
from imsphone.sip.uri import Uri

FLOW = Flow("UDP", Address("127.0.20.1", 5060), Address("127.0.10.10", 5060))
ROUTE = "<sip:orig@127.0.10.30:5060;lr>"
ALICE = "sip:alice@ims.example"
BINDING = Binding(FLOW, ALICE, (ALICE, "tel:+4930123456"), (ROUTE,))
ACCESS = "IEEE-802.11; i-wlan-node-id=ffffffffffff"


def agent(**keys: Any) -> Agent:
    keys = {"imsi": "001010000000001", "imei": "35209900176148"} | keys
    profile = Profile(**keys)
    return Agent(profile, Identity.of(profile), Ids(b"a"), None)


def invite(one: Agent, binding: Binding = BINDING) -> Request:
    return one.invite(Uri.parse("tel:+4930987654"), binding, binding.impu, call_id="c", tag="t")


def test_an_invite_says_all_that_ims_wants_to_know() -> None:
    request = invite(agent(display_name='Alice "A"', access_network_info=ACCESS))
    assert request.uri == "tel:+4930987654"
    assert [str(route) for route in request.routes] == ["<sip:127.0.10.10:5060;lr>", ROUTE]  # 5.1.2A.1.1
    assert str(request.from_) == f'"Alice \\"A\\"" <{ALICE}>;tag=t'
    assert str(request.to) == "<tel:+4930987654>"
    expected = {
        "P-Preferred-Identity": f'"Alice \\"A\\"" <{ALICE}>',
        "P-Preferred-Service": "urn:urn-7:3gpp-service.ims.icsi.mmtel",
        "Accept-Contact": '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"',
        "P-Access-Network-Info": ACCESS,
        "Privacy": "none",
        "Supported": "100rel",
        "Max-Forwards": "70",
        "User-Agent": "imsphone",
    }
    assert {name: request.headers.get(name) for name in expected} == expected
    assert "PRACK" in request.allow
    assert "+g.3gpp.icsi-ref" in request.contacts[0].params


def test_the_number_of_the_device_is_for_the_registrar_alone() -> None:
    one = agent()
    register = Register(one).next(FLOW, "Digest x=y", is_known=False)
    assert b"urn:gsma:imei:35209900-176148-0" in bytes(register)
    assert b"imei" not in bytes(invite(one))  # RFC 7255


def test_the_pcscf_is_not_named_twice() -> None:
    own = "<sip:127.0.10.10;lr>"
    binding = Binding(FLOW, ALICE, (ALICE,), (own, ROUTE))
    assert agent().route(binding) == [own, ROUTE]


def test_without_a_service_route_the_pcscf_is_the_route() -> None:
    binding = Binding(FLOW.over("TCP"), ALICE, (ALICE,), ())
    assert agent().route(binding) == ["<sip:127.0.10.10:5060;transport=tcp;lr>"]


def test_an_ipv6_address_stands_in_brackets() -> None:
    flow = Flow("UDP", Address("::1", 5060), Address("::2", 5060))
    request = invite(agent(), Binding(flow, ALICE, (ALICE,), ()))
    assert request.contacts[0].uri.host == "::1"
    assert request.routes[0].uri.host == "::2"


def test_what_is_ours_is_known_by_contact_or_identity() -> None:
    one = agent()
    own = [one.address(FLOW), "sip:alice@ims.example;user=phone", "sip:%61lice@IMS.example", "tel:+49-30-123456"]
    assert all(one.is_own(Uri.parse(text), BINDING) for text in own)
    others = ["sip:mallory@ims.example", "sip:alice@other.example", "tel:+4930", "urn:service:sos"]
    assert not any(one.is_own(Uri.parse(text), BINDING) for text in others)


def incoming(method: str, tag: str = "") -> Request:
    to = f"<{ALICE}>" + (f";tag={tag}" if tag else "")
    return Request(method, ALICE, [("Via", "SIP/2.0/UDP h;branch=z9hG4bKx"), ("From", "<sip:b@x>;tag=b"), ("To", to),
                                   ("Call-ID", "c"), ("CSeq", f"1 {method}")])  # fmt: skip


def test_responses_inside_a_dialog_say_where_we_are() -> None:
    one = agent(access_network_info=ACCESS)
    assert one.answer(incoming("BYE", "t"), 200).headers.get("P-Access-Network-Info") == ACCESS
    assert (
        one.answer(incoming("INVITE"), 180, contact=one.contact(FLOW, ALICE)).headers.get("P-Access-Network-Info")
        == ACCESS
    )
    assert "P-Access-Network-Info" not in one.answer(incoming("CANCEL"), 200).headers  # 5.1.2A.1.1
    assert "P-Access-Network-Info" not in one.answer(incoming("OPTIONS"), 200).headers


def test_a_100_makes_no_dialog() -> None:
    response = agent().answer(incoming("INVITE"), 100)
    assert response.to.tag == ""
    assert "Contact" not in response.headers


@pytest.mark.parametrize(("method", "status"), [("INVITE", 0), ("INFO", 405), ("REFER", 405), ("FLY", 501)])
def test_a_method_is_taken_or_not(method: str, status: int) -> None:
    assert Agent.lack_of(method) == status


def test_a_password_profile_wants_its_password() -> None:
    profile = Profile(impu=ALICE, auth="digest")
    with pytest.raises(ProfileError, match="password is missing"):
        Agent(profile, Identity.of(profile), Ids(b"a"), None)
    Agent(profile, Identity.of(profile), Ids(b"a"), Secret(b"x"))


def test_the_hop_to_the_pcscf_is_slow_unless_the_profile_says_otherwise() -> None:
    assert agent().timers == TS_24_229
    assert agent(timers="rfc3261").timers == RFC_3261
