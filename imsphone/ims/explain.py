"""Why a registration failed, in a sentence that names the likely cause and where to look.

A status says what the network did, seldom why. What it most likely means depends on how far the registration had come:
a 403 to the SIM's answer speaks of the key, a 403 before any challenge of the subscription.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imsphone.events import RegistrationFailed
from imsphone.ims.authentication import Authentication
from imsphone.ims.identity import Identity
from imsphone.sip.message import Response

Cause = Literal["rejected", "authentication", "unreachable", "timeout"]


@dataclass(frozen=True, slots=True)
class Setback:
    """Why an attempt to register came to nothing; `status` None where nothing answered."""

    cause: Cause
    sentence: str
    status: int | None = None
    reason: str = ""
    retry_after_s: int | None = None

    @classmethod
    def of(cls, cause: Cause, sentence: str, response: Response | None) -> Setback:
        """A setback that this response brought."""
        if response is None:
            return cls(cause, sentence)
        return cls(cause, sentence, response.status, response.reason, response.number("Retry-After"))

    def told(self, at: float, tried: list[str], *, is_final: bool) -> RegistrationFailed:
        """The event for the application."""
        return RegistrationFailed(
            at=at,
            cause=self.cause,
            sentence=self.sentence,
            status=self.status,
            reason=self.reason,
            retry_after_s=self.retry_after_s,
            tried=tuple(tried),
            is_final=is_final,
        )


_BEFORE_PROOF = {
    403: "the network does not let {impi} register {impu}: is it subscribed, and do both belong together?",
    404: "the network knows no {impi} with {impu}: compare imsi, impi and impu with the subscription",
    420: "the network does not take an extension that this phone named",
    421: 'the network insists on IPsec (sec-agree): security = "ipsec" in the profile asks for it',
    494: "the network does not take what this phone says of IPsec (sec-agree): compare security_suites with its own",
}
OTHER_AGREEMENT = _BEFORE_PROOF[494]
CHANGED_AGREEMENT = (
    "the P-CSCF finds the agreement on IPsec changed on its way (RFC 3329 2.3.1): does anything between it and this "
    "phone write Security-Client, Security-Server or Security-Verify anew?"
)
NO_IPSEC = "this machine cannot protect messages by IPsec: see what imsphone doctor --sa says"
NO_TCP = (
    'this machine has no TCP inside IPsec: leave transport = "tcp" out, or see what imsphone doctor --sa says of a TUN'
)
NO_AGREEMENT = 'the network knows no security agreement (sec-agree): security = "none" registers without IPsec'
NOT_FOR_ALL = "the network takes away no contacts but one's own (Contact: *): the user's other devices stay registered"
_PROVEN = (
    "the network refuses {impi} though it proved to know the SIM's key, so k and opc are right: does {impi} belong to "
    "that SIM, is RES of the length that the HSS expects, and is {impu} allowed to register?"
)
_AFTER_PROOF = {
    403: "the network refuses the proof of {impi}: is it the key or the password of this subscription?",
    404: "the network knows {impi} and no {impu}: compare impu with the subscription",
}


def refusal(identity: Identity, response: Response, proof: Authentication) -> Setback:
    """A final refusal; `proof` tells how far the two had come in proving themselves."""
    status = response.status
    sentences = _BEFORE_PROOF | _AFTER_PROOF if proof.has_answered else _BEFORE_PROOF
    sentence = sentences.get(status, "the network refuses to register {impu}")
    if status == 403 and proof.deception:
        sentence = proof.deception
    elif status == 403 and proof.has_met:
        sentence = _PROVEN
    cause: Cause = "authentication" if status == 403 and proof.has_answered else "rejected"
    return Setback.of(cause, sentence.format(impi=identity.impi, impu=identity.impu), response)


RAN_OUT = Setback("timeout", "the registration ran out before a refresh succeeded; a new one begins")


NO_OTHER = Setback(
    "unreachable", "there is no P-CSCF that this registration may go to: others are taken, or not allowed"
)


def no_contact(impu: str, response: Response) -> Setback:
    """The network agrees and does nothing."""
    sentence = f"200 OK, but the network holds no contact of {impu}: its answer to REGISTER lacks ours"
    return Setback.of("rejected", sentence, response)


def failure(answer: Response | str, tried: list[str]) -> Setback:
    """A response that says nothing of us, or "timeout" or "unreachable" where there is none."""
    if isinstance(answer, Response):
        return trouble(answer, tried)
    return silence(tried) if answer == "timeout" else no_way(tried)


def silence(tried: list[str]) -> Setback:
    """Nothing came back."""
    return Setback(
        "timeout", f"nothing answered at {_listed(tried)}: is the P-CSCF there, and is it SIP that it speaks?"
    )


def no_way(tried: list[str]) -> Setback:
    """The way is shut."""
    return Setback("unreachable", f"nothing listens at {_listed(tried)}: is the P-CSCF's address right, is it running?")


def no_address(host: str) -> Setback:
    """There is nobody to send to."""
    remedy = "name a P-CSCF in the profile (pcscf) or a resolver that knows this domain (dns)"
    return Setback("unreachable", f"no address for {host}: {remedy}")


def trouble(response: Response, tried: list[str]) -> Setback:
    """The network has troubles of its own."""
    return Setback.of("rejected", f"{_listed(tried)} cannot register anybody now: try again later", response)


def _listed(tried: list[str]) -> str:
    return ", ".join(tried)
