"""Emergency registration and call (TS 24.229 5.1.6), towards a test PSAP that the profile names and nowhere else.

    normal phone      112, 911, urn:service:sos   refused with a sentence; a 380 of the network is told, not followed
    emergency phone   REGISTER at test_psap       Contact: <sip:…;sos>;+sip.instance="<urn:gsma:imei:…>", beside the
                                                  normal registration, with associations of its own
                      INVITE urn:service:sos      Route: that P-CSCF alone, no Service-Route
                                                  no reg event, no GRUU, no deregistration, refreshed during calls only

A program that is tried out must never ring at real emergency services. So there is no way to one but a key that says
whose test PSAP it is, by an IP address and a port, which no name server can turn elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from imsphone.errors import ProfileError, StateError
from imsphone.machine import Flow
from imsphone.profile import Profile, place
from imsphone.sip.uri import Uri

SOS: Final = "urn:service:sos"
_URN = re.compile(r"urn:service:sos(\.[a-z0-9-]+)*", re.IGNORECASE)
_NUMBERS: Final = ("112", "911")  # TS 22.101 10.1.1: everywhere; what else a country has, nothing here knows
_VISUAL = str.maketrans("", "", "-.()")

_REFUSAL: Final = (
    "{what} is an emergency number: imsphone calls none, but a test PSAP that the profile names (test_psap) by "
    "Phone.emergency()"
)


def profile_of(profile: Profile) -> Profile:
    """The profile as an emergency phone goes by it, any other as it is. Raises ProfileError where it may not."""
    if not profile.emergency:
        return profile
    if profile.test_psap is None:
        raise ProfileError(
            "test_psap is missing: emergency registrations and calls go to a test PSAP alone, named by address and port"
        )
    if profile.imei is None:
        raise ProfileError("imei is missing: an emergency registration names its device by it (TS 24.229 5.1.6.2)")
    return replace(
        profile, pcscf=profile.test_psap, dns=None, reg_event=False, keep_alive_s=0, keep_trying=False, gruu=False
    )


def may_ask(profile: Profile, flow: Flow) -> bool:
    """Whether a phone of this profile may register by this flow: an emergency phone at its test PSAP alone."""
    return not profile.emergency or flow.remote == place(profile.test_psap or "")


def service_of(text: str) -> Uri:
    """The emergency service that a user of an emergency phone means. Raises StateError for anything else."""
    text = text.strip()
    if not _URN.fullmatch(text):
        raise StateError(f'an emergency phone calls {SOS} or one of its kinds ("{SOS}.fire"), and nothing else')
    return Uri.parse(text.lower())


def expect_none(text: str, uri: Uri | None = None) -> None:
    """Raises StateError where a normal phone is asked for an emergency call; `uri` is what `text` means."""
    number = uri.user.translate(_VISUAL) if uri is not None and uri.scheme in ("sip", "tel") else ""
    if _URN.fullmatch(text.strip()) or number in _NUMBERS:
        raise StateError(_REFUSAL.format(what=text.strip()))
