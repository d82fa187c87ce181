"""What the S-CSCF writes, read with another parser."""

from __future__ import annotations

from lxml import etree

from imsphone.lab.reginfo import document
from imsphone.lab.registrar import Bound, Registration
from imsphone.lab.subscriber import Profile
from imsphone.sip.fields import NameAddr

NAMESPACE = {"r": "urn:ietf:params:xml:ns:reginfo"}
PROFILE = Profile("a@x", ("sip:hidden@x", "sip:a@x", "tel:+1"), frozenset(["sip:hidden@x"]))


def bound(text: str) -> Bound:
    return Bound(NameAddr.parse(text), (), "a@x", 100.0)


def test_every_identity_that_is_not_barred_and_every_contact() -> None:
    registration = Registration(PROFILE, [bound("<sip:me@h1;a=%22&b>")])
    root = etree.fromstring(document(registration, 3, "shortened", 40.0, [bound("<sip:me@h2>")], "expired"))
    assert (root.get("version"), root.get("state")) == ("3", "full")
    assert root.xpath("r:registration/@aor", namespaces=NAMESPACE) == ["sip:a@x", "tel:+1"]
    (first, second) = root[0]
    assert (first.get("state"), first.get("event"), first.get("expires")) == ("active", "shortened", "60")
    assert first[0].text == "sip:me@h1;a=%22&b"
    assert (second.get("state"), second.get("event"), second.get("expires")) == ("terminated", "expired", None)
    assert first.get("id") != second.get("id")


def test_without_a_contact_the_registration_is_terminated() -> None:
    root = etree.fromstring(document(Registration(PROFILE), 0, "registered", 0.0))
    assert root[0].get("state") == "terminated"


def test_a_contact_of_odd_octets_is_still_xml() -> None:
    registration = Registration(PROFILE, [bound(b"<sip:m\xff@h1>".decode("utf-8", "surrogateescape"))])
    root = etree.fromstring(document(registration, 0, "registered", 0.0))
    assert root[0][0][0].text == "sip:m?@h1"
