"""What counts as an address of this device, and what of it the phone may say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.ims.gruu import Gruus
from imsphone.sip.uri import Uri

ALICE = "sip:alice@ims.example"
PUBLIC = f"{ALICE};gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
TEMPORARY = "sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@ims.example;gr"


def gruus() -> Gruus:
    known = Gruus()
    known.granted(ALICE, {"pub-gruu": f'"{PUBLIC}"', "temp-gruu": f'"{TEMPORARY}"', "expires": "7200"})
    return known


def test_both_are_ours_and_the_public_one_is_shown() -> None:
    known = gruus()
    assert known.of(ALICE) == PUBLIC
    assert known.of("tel:+1") == ""
    assert known.is_own(Uri.parse(PUBLIC))
    assert known.is_own(Uri.parse(TEMPORARY))


@pytest.mark.parametrize("other", [ALICE, f"{ALICE};gr=urn:uuid:another", "sip:tgruu.other@ims.example;gr"])
def test_another_device_is_not_us(other: str) -> None:
    assert not gruus().is_own(Uri.parse(other))


def test_the_network_tells_more_later_and_all_of_it_ends() -> None:
    known = gruus()
    known.seen([("sip:a.b@ims.example", "sip:a.b@ims.example;gr=x", "")])
    assert known.of("sip:a.b@ims.example") == "sip:a.b@ims.example;gr=x"
    known.forget()
    assert not known.is_own(Uri.parse(PUBLIC))
    assert known.of(ALICE) == ""


def test_what_is_deregistered_has_none() -> None:
    """TS 24.229 5.1.2.1."""
    known = gruus()
    known.seen([("sip:a.b@ims.example", "sip:a.b@ims.example;gr=x", "")])
    known.ended([ALICE, "tel:+1"])
    assert known.of(ALICE) == ""
    assert not known.is_own(Uri.parse(TEMPORARY))
    assert known.of("sip:a.b@ims.example") == "sip:a.b@ims.example;gr=x"


@given(st.text(), st.text())
def test_anything_may_come(public: str, temporary: str) -> None:
    known = Gruus()
    known.granted(ALICE, {"pub-gruu": public, "temp-gruu": temporary})
    shown = known.of(ALICE)
    assert not shown or known.is_own(Uri.parse(shown))
