"""Identities by TS 23.003 13, with the examples of its text."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imsphone.errors import ProfileError
from imsphone.ims.identity import Identity, home_domain, instance_id
from imsphone.profile import Profile
from imsphone.sip.uri import Uri

EXAMPLE = "234150999999999"  # TS 23.003 13.2: MCC 234, MNC 15


def test_everything_follows_from_the_imsi() -> None:
    identity = Identity.of(Profile(imsi=EXAMPLE, imei="904201560257639"))
    assert identity == Identity(
        impi="234150999999999@ims.mnc015.mcc234.3gppnetwork.org",
        impu="sip:234150999999999@ims.mnc015.mcc234.3gppnetwork.org",
        home_domain="ims.mnc015.mcc234.3gppnetwork.org",
        instance_id="urn:gsma:imei:90420156-025763-0",
    )


@pytest.mark.parametrize(
    ("imsi", "mnc_digits", "domain"),
    [
        ("001010000000001", None, "ims.mnc001.mcc001.3gppnetwork.org"),
        ("310260123456789", None, "ims.mnc260.mcc310.3gppnetwork.org"),  # United States: three digits
        ("302720123456789", None, "ims.mnc720.mcc302.3gppnetwork.org"),  # Canada
        ("405840123456789", None, "ims.mnc084.mcc405.3gppnetwork.org"),  # India mixes: two unless told
        ("405840123456789", 3, "ims.mnc840.mcc405.3gppnetwork.org"),
        ("310260123456789", 2, "ims.mnc026.mcc310.3gppnetwork.org"),
    ],
)
def test_the_mnc_has_two_digits_or_three_and_is_written_with_three(
    imsi: str, mnc_digits: int | None, domain: str
) -> None:
    assert home_domain(imsi, mnc_digits) == domain
    assert Identity.of(Profile(imsi=imsi, mnc_digits=mnc_digits)).home_domain == domain


def test_what_the_profile_says_counts_first() -> None:
    profile = Profile(imsi=EXAMPLE, impi="alice@ims.example", impu="tel:+15550100", home_domain="home.example")
    identity = Identity.of(profile)
    assert (identity.impi, identity.impu, identity.home_domain) == (
        "alice@ims.example",
        "tel:+15550100",
        "home.example",
    )


def test_a_domain_of_ones_own_carries_the_derived_identities() -> None:
    identity = Identity.of(Profile(imsi=EXAMPLE, home_domain="ims.example"))
    assert identity.impi == f"{EXAMPLE}@ims.example"
    assert identity.impu == f"sip:{EXAMPLE}@ims.example"


def test_a_telephone_number_keeps_the_domain_of_the_imsi() -> None:
    identity = Identity.of(Profile(imsi=EXAMPLE, impu="tel:+15550100"))
    assert identity.home_domain == "ims.mnc015.mcc234.3gppnetwork.org"
    assert identity.impi == f"{EXAMPLE}@ims.mnc015.mcc234.3gppnetwork.org"


def test_a_user_without_a_sim_needs_only_his_public_identity() -> None:
    identity = Identity.of(Profile(impu="sip:bob@ims.example"))
    assert (identity.impi, identity.home_domain) == ("bob@ims.example", "ims.example")


def test_a_private_identity_alone_is_public_too() -> None:
    assert Identity.of(Profile(impi="bob@ims.example")).impu == "sip:bob@ims.example"


def test_a_number_alone_tells_no_domain() -> None:
    with pytest.raises(ProfileError, match="home_domain is missing"):
        Identity.of(Profile(impu="tel:+15550100"))
    identity = Identity.of(Profile(impu="tel:+15550100", home_domain="ims.example"))
    assert identity.impi == "+15550100@ims.example"


def test_without_an_imei_the_instance_is_a_uuid_that_stays() -> None:
    impi = "alice@ims.example"
    expected = uuid.uuid5(uuid.NAMESPACE_URL, f"sip:{impi}")
    assert instance_id(None, impi) == f"urn:uuid:{expected}"
    assert instance_id(None, "bob@ims.example") != instance_id(None, impi)


def test_the_check_digit_of_the_imei_is_not_sent() -> None:
    assert instance_id("90420156025763", "x@y") == instance_id("904201560257639", "x@y")


@given(imsi=st.text("0123456789", min_size=6, max_size=15), mnc_digits=st.sampled_from([None, 2, 3]))
def test_any_imsi_has_an_identity(imsi: str, mnc_digits: int | None) -> None:
    identity = Identity.of(Profile(imsi=imsi, mnc_digits=mnc_digits))
    labels = identity.home_domain.split(".")
    assert labels[0] == "ims"
    assert len(labels[1]) == len(labels[2]) == len("mnc015")
    assert identity.impu == f"sip:{identity.impi}"
    assert identity.impi.endswith(identity.home_domain)


@given(st.from_regex(r"(sips?:[!-~]{1,12}@[a-z.-]{1,8}|tel:[+0-9().-]{1,9}(;[!-~]{1,9})?)", fullmatch=True))
@example("tel:0;=")
def test_any_public_identity_that_a_profile_takes_is_an_address(impu: str) -> None:
    try:
        profile = Profile(impu=impu, home_domain="ims.example")
    except ProfileError:
        return
    identity = Identity.of(profile)
    assert Uri.parse(identity.impu).scheme == impu.partition(":")[0]
    assert identity.impi.count("@") == 1
