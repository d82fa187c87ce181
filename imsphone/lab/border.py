"""What a message loses at the P-CSCF, the border of the network (TS 24.229 5.2.6.3, 5.2.6.4).

phone ── sec-agree ──▶ │ ──▶ core
      ◀──────────────  │ ◀── keys, charging, where others are, who wants to stay unknown
"""

from __future__ import annotations

from typing import Final

from imsphone.ipsec.agreement import OPTION_TAG
from imsphone.machine import Effect
from imsphone.sip.fields import Challenge
from imsphone.sip.message import Message, Request, Response

NOT_FOR_A_PHONE: Final = ("P-Charging-Vector", "P-Charging-Function-Addresses", "P-Access-Network-Info")


def take_agreement_out(request: Request) -> None:
    """The agreement was between phone and P-CSCF (5.2.2.1, 5.2.6.3)."""
    for name in ("Require", "Proxy-Require"):
        tags = request.headers.get_all(name)
        if OPTION_TAG in tags:
            request.headers.set(name, *(tag for tag in tags if tag != OPTION_TAG))


def strip_keys(response: Response) -> None:
    """CK and IK are for the P-CSCF (5.2.2.2); the phone has its own."""
    challenges = response.challenges()
    if challenges:
        values = [
            str(Challenge(challenge.scheme, {n: v for n, v in challenge.params.items() if n not in ("ck", "ik")}))
            for challenge in challenges
        ]
        response.headers.set("WWW-Authenticate", *values)


def hide_the_core(response: Response, now: float) -> list[Effect]:
    """An answer on its way to the phone that asked."""
    for name in NOT_FOR_A_PHONE:
        response.headers.remove(name)
    if is_private(response):
        response.headers.remove("P-Asserted-Identity")
    return []


def is_private(message: Message) -> bool:
    """Whether its sender's asserted identity is to stay in the core (RFC 3325 9.3)."""
    return "id" in (value.strip().lower() for value in (message.headers.get("Privacy") or "").split(";"))
