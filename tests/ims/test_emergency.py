"""No emergency call leaves a phone but to the test PSAP of its profile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from imsphone.errors import ProfileError, StateError
from imsphone.ims.emergency import expect_none, may_ask, profile_of, service_of
from imsphone.ims.identity import Identity
from imsphone.ims.target import target_of
from imsphone.ims.ue import Ue
from imsphone.machine import Address, Flow, Ids
from imsphone.profile import Profile

SOS = Profile(imsi="001010000000001", imei="35622410483840", emergency=True, test_psap="127.0.10.10:5060")
FLOW = Flow("UDP", Address("127.0.20.1", 5060), Address("127.0.10.10", 5060))


@pytest.mark.parametrize(
    ("lacking", "named"), [({"test_psap": None}, "test_psap is missing"), ({"imei": None}, "imei")]
)
def test_without_a_test_psap_there_is_no_emergency_phone(lacking: dict[str, Any], named: str) -> None:
    profile = replace(SOS, **lacking)
    with pytest.raises(ProfileError, match=named):
        Ue(profile, Identity.of(profile), Ids(b"s"))


@pytest.mark.parametrize("psap", ["psap.example:5060", "127.0.10.10", "[::1]", ""])
def test_a_psap_that_a_name_server_could_turn_elsewhere_is_none(psap: str) -> None:
    with pytest.raises(ProfileError, match="an IP address and a port"):
        replace(SOS, test_psap=psap)


def test_whatever_else_the_profile_says_it_goes_there() -> None:
    profile = profile_of(replace(SOS, pcscf="192.0.2.1", reg_event=True))
    assert profile.pcscf == SOS.test_psap
    assert not profile.reg_event
    assert may_ask(profile, FLOW)
    for other in (Address("127.0.10.10", 5061), Address("127.0.10.11", 5060)):
        assert not may_ask(profile, FLOW._replace(remote=other))
    plain = replace(SOS, emergency=False)
    assert profile_of(plain) is plain
    assert may_ask(plain, FLOW._replace(remote=Address("192.0.2.1", 5060)))


@pytest.mark.parametrize(
    "target",
    ["112", "911", "1-1-2", "tel:112", "tel:911;phone-context=x", "sip:112@x;user=phone", "urn:service:sos.fire"],
)
def test_a_normal_phone_refuses_with_a_sentence(target: str) -> None:
    uri = None if target.startswith("urn:") else target_of(target, "ims.example")
    with pytest.raises(StateError, match="test_psap"):
        expect_none(target, uri)


@pytest.mark.parametrize("target", ["115", "+49112", "bob", "sip:bob@112.example"])
def test_and_nothing_else(target: str) -> None:
    expect_none(target, target_of(target, "ims.example"))


@pytest.mark.parametrize("target", ["112", "bob", "urn:service:counseling", "", "urn:service:sos?x"])
def test_an_emergency_phone_calls_emergency_services_alone(target: str) -> None:
    assert str(service_of(" urn:service:SOS.police ")) == "urn:service:sos.police"
    with pytest.raises(StateError, match="urn:service:sos"):
        service_of(target)
