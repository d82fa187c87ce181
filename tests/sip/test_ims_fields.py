"""Feature tags and service identifiers."""

from __future__ import annotations

import pytest

from imsphone.sip.fields import NameAddr
from imsphone.sip.ims_fields import (
    ICSI,
    INSTANCE,
    MMTEL,
    accept_contact,
    icsi_of,
    icsi_param,
    instance_param,
    reason_text,
)


def test_icsi_as_ts_24_229_7_2a_8_2_writes_it() -> None:
    assert icsi_param(MMTEL) == '"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"'
    assert accept_contact(MMTEL) == '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel"'


def test_a_contact_round_trip() -> None:
    instance = instance_param("urn:gsma:imei:35824005-944763-1")
    contact = NameAddr.parse(f"<sip:127.0.2.1:5060>;{INSTANCE}={instance};{ICSI}={icsi_param(MMTEL)}")
    assert contact.params[INSTANCE] == '"<urn:gsma:imei:35824005-944763-1>"'
    assert icsi_of(contact.params) == [MMTEL]
    assert NameAddr.parse(str(contact)) == contact


def test_several_services_and_none() -> None:
    assert icsi_of({ICSI: '"urn%3Aa, urn%3Ab"'}) == ["urn:a", "urn:b"]
    assert icsi_of({ICSI: None}) == icsi_of({}) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('SIP;cause=200;text="Call completed elsewhere"', "Call completed elsewhere"),
        ("SIP ;cause=200", "answered elsewhere"),
        ("SIP;cause=600", ""),
        ("Q.850", ""),
        ('SIP;text="', ""),
        ("", ""),
    ],
)
def test_a_reason_says_something_to_people(value: str, text: str) -> None:
    assert reason_text(value) == text
