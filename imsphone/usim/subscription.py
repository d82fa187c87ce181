"""What a card says of the subscription in it, and how a profile is completed by that (TS 24.229 5.1.1.1A, C.2).

    ISIM    IMPI, IMPUs, home domain as they stand there; perhaps P-CSCFs
    USIM    the IMSI and the length of its MNC; the rest follows from them (TS 23.003 13)

Whatever the profile says itself counts first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from imsphone.errors import CardError, ProfileError
from imsphone.profile import Profile
from imsphone.usim.files import Application


@dataclass(frozen=True, slots=True)
class Subscription:
    """One application of a card. `impus` and `pcscfs` are in the card's order, the first counts first."""

    application: Application
    iccid: str | None = None
    imsi: str | None = None
    mnc_digits: int | None = None
    impi: str | None = None
    impus: tuple[str, ...] = ()
    home_domain: str | None = None
    pcscfs: tuple[str, ...] = ()
    pin: Literal["given", "not asked for"] = "not asked for"

    def complete(self, profile: Profile) -> Profile:
        """The profile with what it leaves open. Raises CardError where the card says something that is of no use.

        A profile that names an IMSI or an IMPI means another subscription than the card's own: then nothing that says
        who is taken from the card.
        """
        said: dict[str, Any] = {}
        if profile.pcscf is None and self.pcscfs:
            said |= {"pcscf": self.pcscfs[0], "other_pcscfs": profile.other_pcscfs or self.pcscfs[1:]}
        if profile.imsi is None and profile.impi is None:
            said |= {"impi": self.impi, "impu": self.impus[0] if self.impus else None}
            said |= {"home_domain": self.home_domain, "imsi": self.imsi, "mnc_digits": self.mnc_digits}
        missing = {name: value for name, value in said.items() if value and not getattr(profile, name)}
        try:
            return replace(profile, **missing)
        except ProfileError as error:
            raise CardError(f"the card's {self.application} says what cannot be used: {error}") from None

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "application": self.application,
            "iccid": self.iccid,
            "imsi": self.imsi,
            "impi": self.impi,
            "impus": list(self.impus),
            "home_domain": self.home_domain,
            "pcscfs": list(self.pcscfs),
            "pin": self.pin,
        }
