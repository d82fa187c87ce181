"""A profile completed by a card: what the profile says itself counts first."""

from __future__ import annotations

import pytest

from imsphone.errors import CardError
from imsphone.ims.identity import Identity
from imsphone.profile import Profile
from imsphone.usim.subscription import Subscription

ISIM = Subscription(
    "ISIM",
    iccid="8988211000000000015",
    impi="alice@home.test",
    impus=("sip:alice@home.test", "tel:+15550100"),
    home_domain="home.test",
    pcscfs=("192.0.2.7", "192.0.2.8"),
    pin="given",
)
USIM = Subscription("USIM", imsi="310150123456789", mnc_digits=3)


def test_an_isim_says_who_and_where() -> None:
    profile = ISIM.complete(Profile(sim="card:"))
    identity = Identity.of(profile)
    assert (identity.impi, identity.impu, identity.home_domain) == (
        "alice@home.test",
        "sip:alice@home.test",
        "home.test",
    )
    assert (profile.pcscf, profile.other_pcscfs) == ("192.0.2.7", ("192.0.2.8",))


def test_from_a_usim_the_rest_follows_by_ts_23_003() -> None:
    identity = Identity.of(USIM.complete(Profile(sim="card:")))
    assert identity.impi == "310150123456789@ims.mnc150.mcc310.3gppnetwork.org"
    assert identity.impu == f"sip:{identity.impi}"


def test_what_the_profile_says_counts_first() -> None:
    own = Profile(sim="card:", impu="sip:work@home.test", pcscf="192.0.2.1:5062", home_domain="other.test")
    profile = ISIM.complete(own)
    assert (profile.impu, profile.pcscf, profile.home_domain) == ("sip:work@home.test", "192.0.2.1:5062", "other.test")
    assert profile.impi == "alice@home.test"
    assert profile.other_pcscfs == ()  # the card's go with the card's first


@pytest.mark.parametrize("said", [{"imsi": "001010000000001"}, {"impi": "bob@home.test"}])
def test_who_names_another_subscription_gets_nobody_s_identity_mixed_in(said: dict[str, str]) -> None:
    profile = ISIM.complete(Profile(sim="card:", **said))  # type: ignore[arg-type]
    assert profile.impu is None
    assert "alice" not in str(Identity.of(profile))
    assert profile.pcscf == "192.0.2.7"


def test_what_cannot_be_used_is_said() -> None:
    with pytest.raises(CardError, match="ISIM says what cannot be used: impi"):
        Subscription("ISIM", impi="no identity").complete(Profile(sim="card:"))


def test_as_json_it_has_no_secret_and_no_object() -> None:
    assert ISIM.as_json() == {
        "application": "ISIM",
        "iccid": "8988211000000000015",
        "imsi": None,
        "impi": "alice@home.test",
        "impus": ["sip:alice@home.test", "tel:+15550100"],
        "home_domain": "home.test",
        "pcscfs": ["192.0.2.7", "192.0.2.8"],
        "pin": "given",
    }
    assert USIM.as_json()["pin"] == "not asked for"
