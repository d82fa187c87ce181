"""Identities in their canonical form, SQNs that rise, a profile that survives its XML."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.lab.subscriber import Profile, Subscriber, canonical_impu, impi_of
from imsphone.sip.uri import Uri

REALM = "ims.mnc001.mcc001.3gppnetwork.org"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("sip:Alice@IMS.example:5060;transport=tcp", "sip:Alice@ims.example"),
        ("sip:al%69ce@ims.example", "sip:alice@ims.example"),
        ("tel:+49-30-123;phone-context=x", "tel:+4930123"),
        ("sip:+4930123@ims.example;user=phone", "tel:+4930123"),
        ("sip:4930123@ims.example;user=phone", "sip:4930123@ims.example"),
    ],
)
def test_one_identity_has_one_form(written: str, canonical: str) -> None:
    assert canonical_impu(Uri.parse(written)) == canonical


def test_the_private_identity_that_a_public_one_stands_for() -> None:
    assert impi_of(Uri.parse(f"sip:001010000000001@{REALM}:5060;x=y")) == f"001010000000001@{REALM}"


def test_each_sqn_has_a_higher_seq_and_the_next_index() -> None:
    subscriber = Subscriber("a", ("sip:a@b",))
    sqns = [subscriber.next_sqn() for _ in range(70)]
    assert [sqn >> 5 for sqn in sqns] == list(range(1, 71))
    assert [sqn & 31 for sqn in sqns] == [number % 32 for number in range(1, 71)]


def test_a_password_is_kept_as_its_hash_only() -> None:
    subscriber = Subscriber.with_password("softphone1", ("sip:softphone1@x",), "secret1", "x", "SHA-256")
    assert subscriber.ha1 == hashlib.sha256(b"softphone1:x:secret1").hexdigest()
    assert "secret1" not in repr(subscriber)
    assert subscriber.ha1 not in repr(subscriber)


impus = st.lists(st.from_regex(r"sip:[a-z0-9&]{1,8}@x", fullmatch=True), min_size=1, max_size=5, unique=True)


@given(impus, st.data())
def test_the_s_cscf_reads_what_the_hss_wrote(uris: list[str], data: st.DataObject) -> None:
    barred = frozenset(data.draw(st.sets(st.sampled_from(uris))))
    profile = Profile.parse(Subscriber("impi@x", tuple(uris), barred).profile())
    assert profile == Profile("impi@x", tuple(uris), barred)
    assert profile.default == next((uri for uri in uris if uri not in barred), None)


@pytest.mark.parametrize("data", [b"", b"<IMSSubscription>", b"<IMSSubscription/>"])
def test_a_profile_without_identities_is_none(data: bytes) -> None:
    with pytest.raises(ParseError):
        Profile.parse(data)
