"""reginfo by RFC 3680: the example of its clause 5.3, gaps in versions, and XML that means no good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.ims.reginfo import Contact, Known, Reginfo, Sighting
from imsphone.sip.uri import Uri

# RFC 3680 5.3
EXAMPLE = b"""<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">
 <registration aor="sip:user@example.com" id="as9" state="active">
   <contact id="76" state="active" event="registered" duration-registered="7322" q="0.8">
      <uri>sip:user@pc887.example.com</uri>
   </contact>
   <contact id="77" state="terminated" event="expired" duration-registered="3600" q="0.5">
      <uri>sip:user@university.edu</uri>
   </contact>
 </registration>
</reginfo>"""


def text(version: int, body: str, state: str = "full") -> Reginfo:
    xml = f'<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="{version}" state="{state}">{body}</reginfo>'
    return Reginfo.parse(xml.encode())


def one(state: str = "active", event: str = "registered", more: str = "", aor: str = "sip:a@x", own: str = "me") -> str:
    return (
        f'<registration aor="{aor}" id="{aor}" state="{state}"><contact id="{own}" state="{state}" event="{event}"'
        f"{more}><uri>sip:{own}@127.0.0.1</uri></contact></registration>"
    )


def is_own(uri: Uri) -> bool:
    return uri.user == "me"


def seen(*documents: Reginfo) -> Sighting | None:
    known = Known()
    for document in documents:
        known.apply(document)
    return known.sighting(is_own)


def test_the_example_of_the_rfc() -> None:
    document = Reginfo.parse(EXAMPLE)
    assert (document.version, document.is_full) == (0, True)
    (registration,) = document.registrations
    assert (registration.aor, registration.state) == ("sip:user@example.com", "active")
    assert registration.contacts[1] == Contact("77", "sip:user@university.edu", "terminated", "expired")


def test_gruus_are_read() -> None:
    gruu = '<pub-gruu xmlns="urn:ietf:params:xml:ns:gruuinfo" uri="sip:a@x;gr=1"/>'
    document = text(0, one().replace("</uri>", f"</uri>{gruu}"))
    assert document.registrations[0].contacts[0].pub_gruu == "sip:a@x;gr=1"


def test_either_gruu_will_do_and_whose_are_over_is_told() -> None:
    """TS 24.229 5.1.2.1."""
    known = Known()
    temporary = '</uri><temp-gruu xmlns="urn:ietf:params:xml:ns:gruuinfo" uri="sip:t@x;gr" first-cseq="1"/>'
    known.apply(text(0, one().replace("</uri>", temporary) + one("terminated", "rejected", aor="sip:b@x")))
    assert known.gruus(is_own) == [("sip:a@x", "", "sip:t@x;gr")]
    assert known.ended() == ["sip:b@x"]


@pytest.mark.parametrize(
    ("documents", "sighting"),
    [
        ([text(0, one())], Sighting("held", "registered")),
        ([text(0, one(event="shortened", more=' expires="60"'))], Sighting("held", "shortened", 60)),
        ([text(0, one("terminated", "rejected"))], Sighting("gone", "rejected")),
        ([text(0, one("terminated", "probation", ' retry-after="9"'))], Sighting("gone", "probation", None, 9)),
        ([text(0, one()), text(1, one("terminated", "deactivated"), "partial")], Sighting("gone", "deactivated")),
        ([text(0, one(own="other"))], None),
        ([text(0, one("terminated", "rejected", aor="sip:b@x") + one())], Sighting("held", "registered")),
        ([text(0, '<registration aor="sip:a@x" id="1" state="terminated"/>')], Sighting("gone", "")),
        ([text(5, one()), text(5, one("terminated", "rejected"))], Sighting("held", "registered")),
        ([text(5, one()), text(0, one("terminated", "rejected"))], Sighting("gone", "rejected")),
    ],
)
def test_what_became_of_our_own_contact(documents: list[Reginfo], sighting: Sighting | None) -> None:
    assert seen(*documents) == sighting


def test_a_gap_in_the_versions_is_not_applied() -> None:
    """EVT-03: versions 0, 1, 3."""
    known = Known()
    assert known.apply(text(0, one()))
    assert known.apply(text(1, one(own="other"), "partial"))
    assert not known.apply(text(3, one("terminated", "rejected"), "partial"))
    assert known.sighting(is_own) == Sighting("held", "registered")
    assert known.apply(text(4, one()))


def test_a_partial_state_before_any_full_one_says_nothing() -> None:
    assert not Known().apply(text(0, one(), "partial"))


def test_entities_stay_what_they_are() -> None:
    bomb = b"""<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
    <!ENTITY f SYSTEM "file:///etc/passwd">]>
    <reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">
    <registration aor="sip:a@x" id="1" state="active"><contact id="1" state="active" event="registered">
    <uri>&b;&f;</uri></contact></registration></reginfo>"""
    contact = Reginfo.parse(bomb).registrations[0].contacts[0]
    assert "root" not in contact.uri
    assert "haha" not in contact.uri


@pytest.mark.parametrize(
    "data",
    [b"", b"<", b"<a/>", b"<reginfo/>", EXAMPLE.replace(b'"full"', b'"some"'), EXAMPLE.replace(b'"0"', b'"x"')],
)
def test_what_is_no_reginfo_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        Reginfo.parse(data)


@given(st.binary(max_size=300), st.integers(0, len(EXAMPLE)), st.integers(0, 40))
def test_mangled_reginfo_never_raises_anything_else(junk: bytes, at: int, cut: int) -> None:
    for data in (junk, EXAMPLE[:at] + junk + EXAMPLE[at + cut :]):
        try:
            document = Reginfo.parse(data)
        except ParseError:
            continue
        known = Known()
        known.apply(document)
        known.sighting(is_own)
        known.as_json(is_own)
