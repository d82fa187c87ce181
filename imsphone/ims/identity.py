"""Who the phone is to the network, worked out from the little that a profile says (TS 23.003 13).

    IMSI 234 15 0999999999
         MCC MNC  └ the subscriber
    home domain  ims.mnc015.mcc234.3gppnetwork.org                          13.2
    IMPI         234150999999999@ims.mnc015.mcc234.3gppnetwork.org          13.3   proves itself, is never called
    IMPU         sip:234150999999999@ims.mnc015.mcc234.3gppnetwork.org      13.4B  until the network names a better one
    instance-id  urn:gsma:imei:90420156-025763-0                            13.8   this device among those of the user

Whatever the profile says itself counts first. How long the MNC is, the IMSI does not tell; a country's numbering plan
does, but for the few countries that mix (`mnc_digits` of the profile).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from imsphone.errors import ProfileError
from imsphone.profile import Profile

# Countries whose MNCs have three digits (ITU-T E.212, national lists); all others are taken to have two.
_THREE_DIGITS = frozenset(
    "302 310 311 312 313 314 315 316 330 334 338 342 344 346 348 "
    "352 354 356 358 360 365 366 376 708 722 732 750".split()
)
_UUID_OF_NAMES = bytes.fromhex("6ba7b8119dad11d180b400c04fd430c8")  # RFC 9562 6.6: the namespace of URLs


@dataclass(frozen=True, slots=True)
class Identity:
    """What a REGISTER says of its sender.

    `impi` is the username of the credentials, `impu` stands in To and From, `home_domain` in the Request-URI (without
    its "sip:"), `instance_id` in +sip.instance of the Contact (without its angle brackets).
    """

    impi: str
    impu: str
    home_domain: str
    instance_id: str

    @classmethod
    def of(cls, profile: Profile) -> Identity:
        """The identity of a profile that has at least one of imsi, impi and impu. Else raises ProfileError."""
        domain = profile.home_domain or _domain_said_by(profile)
        impi = profile.impi or (
            f"{profile.imsi}@{domain}" if profile.imsi else _private_from_public(profile.impu or "", domain)
        )
        impu = profile.impu or f"sip:{impi}"  # TS 23.003 13.4B
        return cls(impi, impu, domain, instance_id(profile.imei, impi))


def home_domain(imsi: str, mnc_digits: int | None = None) -> str:
    """The home network domain of an IMSI (TS 23.003 13.2). `mnc_digits` 2 or 3; None asks the country's plan."""
    mcc = imsi[:3]
    digits = mnc_digits or (3 if mcc in _THREE_DIGITS else 2)
    return f"ims.mnc{imsi[3 : 3 + digits]:0>3}.mcc{mcc}.3gppnetwork.org"


def instance_id(imei: str | None, impi: str) -> str:
    """The URN that tells this device from the user's others (TS 23.003 13.8).

    The IMEI's where there is one, its last digit the spare 0 and not the check digit (RFC 7254 4.2); else a UUID that
    follows from the IMPI, so that a restarted phone replaces its own binding (RFC 5626 4.1).
    """
    if imei:
        return f"urn:gsma:imei:{imei[:8]}-{imei[8:14]}-0"
    digest = bytearray(hashlib.sha1(_UUID_OF_NAMES + f"sip:{impi}".encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50  # RFC 9562 5.5: version 5
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"urn:uuid:{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _domain_said_by(profile: Profile) -> str:
    for identity in (profile.impi, profile.impu):
        if identity and "@" in identity:
            return identity.rpartition("@")[2]
    if profile.imsi:
        return home_domain(profile.imsi, profile.mnc_digits)
    raise ProfileError("home_domain is missing: the domain to register with; neither imsi nor impi nor impu tells it")


def _private_from_public(impu: str, domain: str) -> str:
    """The usual private identity of a subscription without a SIM: the public one without its scheme."""
    user = impu.partition(":")[2]
    return user if "@" in user else f"{user.partition(';')[0]}@{domain}"
