"""GRUUs that the network gives lead to one device, and to nobody once that is gone."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.lab.gruu import Gruus
from imsphone.lab.registrar import Bound
from imsphone.machine import Ids
from imsphone.sip.fields import NameAddr
from imsphone.sip.uri import Uri

IMEI = "urn:gsma:imei:35622410-483840-0"
ALICE = "sip:alice@ims.example"
DEVICE = Bound(NameAddr.parse(f'<sip:x@h1>;+sip.instance="<{IMEI}>"'), (), "a@x", 600.0, "call-1", 2)
OTHER = Bound(NameAddr.parse('<sip:y@h2>;+sip.instance="<urn:uuid:2>"'), (), "a@x", 600.0, "call-2", 2)
GRUUS = Gruus("ims.example", Ids(b"g"))


def leads(gruu: str, bound: Bound) -> bool:
    named = GRUUS.read(Uri.parse(gruu))
    return named is not None and named.impu == ALICE and GRUUS.leads_to(named, bound)


def test_both_lead_to_the_device_and_neither_shows_its_imei() -> None:
    for gruu in GRUUS.of(ALICE, DEVICE) or ():
        assert leads(gruu, DEVICE)
        assert not leads(gruu, OTHER)
        assert "35622410" not in gruu  # RFC 7255


def test_the_public_one_stays_and_temporary_ones_end_with_their_call_id() -> None:
    first, second = GRUUS.of(ALICE, DEVICE), GRUUS.of(ALICE, DEVICE)
    assert first is not None
    assert second is not None
    assert first[0] == second[0]
    assert first[1] != second[1]
    moved = replace(DEVICE, call_id="call-3")
    assert leads(first[0], moved)
    assert not leads(first[1], moved)


def test_there_is_none_of_a_number_nor_of_a_device_without_a_name() -> None:
    assert GRUUS.of("tel:+1", DEVICE) is None
    assert GRUUS.of(ALICE, Bound(NameAddr.parse("<sip:x@h1>"), (), "a@x", 600.0)) is None


@given(st.from_regex(r"sip:[^@\s<>\":]+@ims\.example;gr(=\S*)?", fullmatch=True))
def test_any_address_may_be_asked_for(text: str) -> None:
    try:
        uri = Uri.parse(text)
    except ParseError:
        return
    named = GRUUS.read(uri)
    assert named is None or not GRUUS.leads_to(named, DEVICE)
