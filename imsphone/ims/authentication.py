"""The phone's answers to challenges, and when it stops answering (TS 24.229 5.1.1.5, RFC 3310, RFC 7616).

    401 ─▶ nonce = RAND‖AUTN ─▶ SIM ─┬▶ success   response = digest over RES
                                     ├▶ SQN old   auts, response over the empty password (RFC 3310 3.4)
                                     └▶ MAC bad   response=""                            (TS 24.229 5.1.1.5.3)

A network that challenges without end must not keep the phone busy, nor its SIM: two invalid challenges in a row are
answered and no third (5.1.1.5.12); a good answer that is met with a fresh challenge is given twice more, and a nonce
that was answered well is never answered again. (Kamailio's S-CSCF sends the 401 before it notes what it expects: it
challenges again who is quicker than that.) With a password instead of a SIM, a challenge that is not `stale` after
an answer means that the password is wrong (RFC 7616 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imsphone.errors import ParseError
from imsphone.ims.identity import Identity
from imsphone.machine import Authenticate, Ids
from imsphone.profile import Secret
from imsphone.sip.digest import aka_nonce, aka_password, algorithm_of, authorize, choose, first_authorization
from imsphone.sip.fields import Challenge
from imsphone.sip.message import Request, Response
from imsphone.usim.aka import AkaSuccess, MacFailure, NoAnswer, SyncFailure

_MOST_INVALID = 2  # TS 24.229 5.1.1.5.12: a UE shall only respond to two consecutive invalid challenges
_MOST_PROOFS = 3
_MOST_PASSWORDS = 2


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further answer: why, and what to look at."""

    sentence: str


class Authentication:
    """The Authorization of one registration, from its first REGISTER to its last.

    `authorization` is the value for the next REGISTER. `has_answered` tells whether it answers a challenge, well or
    badly, `has_met` whether the network proved itself to the SIM; `deception` says why the MAC of the last challenge
    was wrong, the empty string where it was not.
    """

    def __init__(self, identity: Identity, ids: Ids, password: Secret | None) -> None:
        self._identity = identity
        self._ids = ids
        self._password = password
        self._uri = f"sip:{identity.home_domain}"
        # TS 24.229 5.1.1.2.2 a: who asks, in the realm of the home network, with nothing proven
        self._first = first_authorization(identity.impi, identity.home_domain, self._uri)
        self.start()

    def start(self) -> None:
        """An initial registration begins."""
        self.authorization = self._first
        self._challenge: Challenge | None = None
        self._nc = 0
        self._begin()

    def again(self) -> None:
        """A refresh or a deregistration begins: the last answer stands (TS 24.229 5.1.1.4.2), digests count on."""
        if self._challenge is not None and self._password is not None:
            self._answer_with_password(self._challenge)
        self._begin()

    def _begin(self) -> None:
        self._proofs = 0
        self._invalid = 0
        self._answered_nonce = ""
        self.has_answered = False
        self.has_met = False
        self.deception = ""

    @property
    def algorithm(self) -> str:
        """The algorithm of the last challenge, as the network writes it."""
        return self._challenge.get("algorithm") or "MD5" if self._challenge else ""

    def challenged(self, response: Response) -> Authenticate | GiveUp | None:
        """Takes a 401. Gives the question for the SIM, or None where `authorization` is ready, or gives up."""
        challenge = choose(response.challenges(), want_aka=self._password is None)
        if challenge is None:
            return GiveUp(_not_understood(response.challenges(), has_password=self._password is not None))
        previous, self._challenge = self._challenge, challenge
        is_stale = challenge.get("stale").lower() == "true"
        if self._password is not None:
            if self._proofs >= _MOST_PASSWORDS or (self._proofs and not is_stale):
                return GiveUp(f"the network refuses the password of {self._identity.impi}: compare it, and the impi")
            if previous is None or previous.get("nonce") != challenge.get("nonce"):
                self._nc = 0
            self._answer_with_password(challenge)
            self._proofs += 1
            return None
        if self._proofs >= _MOST_PROOFS or (self._proofs and challenge.get("nonce") == self._answered_nonce):
            return GiveUp(
                f"the network does not take the SIM's answer and challenges again: is {self._identity.impi} the "
                "private identity that belongs to this key?"
            )
        try:
            rand, autn = aka_nonce(challenge)
        except ParseError as error:
            return GiveUp(f"the network's challenge cannot be read: {error}")
        return Authenticate(rand, autn)

    def outcome(self, result: Any) -> GiveUp | None:
        """Takes what the SIM said; afterwards `authorization` is ready, or it gives up."""
        assert self._challenge is not None
        if isinstance(result, AkaSuccess):
            self._proofs += 1
            self._invalid = 0
            self._answered_nonce = self._challenge.get("nonce")
            self.has_met, self.deception = True, ""
            self._set(self._challenge, aka_password(self.algorithm, result.res, result.ck, result.ik))
            return None
        if isinstance(result, NoAnswer):
            return GiveUp(f"the SIM does not answer the network's challenge: {result.sentence}")
        if not isinstance(result, SyncFailure | MacFailure):
            return GiveUp("no SIM answered the network's challenge: k and opc of the profile make one")
        self._invalid += 1
        self.deception = wrong_key(result.sentence) if isinstance(result, MacFailure) else ""
        if self._invalid > _MOST_INVALID:
            return GiveUp(self.deception or _no_resync(result.sentence))
        if isinstance(result, SyncFailure):
            self._set(self._challenge, b"", auts=result.auts)
        else:
            self._set(self._challenge, b"", is_refusal=True)
        return None

    def _answer_with_password(self, challenge: Challenge) -> None:
        assert self._password is not None
        self._set(challenge, self._password.reveal())

    def _set(
        self, challenge: Challenge, password: bytes, *, auts: bytes | None = None, is_refusal: bool = False
    ) -> None:
        self._nc = self._nc + 1 if self._password is not None else 1
        self.has_answered = True
        self.authorization = authorize(
            challenge,
            method="REGISTER",
            uri=self._uri,
            username=self._identity.impi,
            password=password,
            cnonce=self._ids.data(8).hex(),
            nc=self._nc,
            auts=auts,
            is_refusal=is_refusal,
        )


def wrong_key(finding: str) -> str:
    """The network's MAC is wrong: why, where `finding` (of `usim.hypotheses`) knows it."""
    looked = finding or (
        "k or opc differs from the home network's, and no usual slip explains it "
        "(op as opc, opc as op, octets in another order, another AMF were tried where the SIM is in software)"
    )
    return f"the network did not prove that it knows the SIM's key (MAC failure): {looked}"


def _no_resync(distance: str) -> str:
    where = f" ({distance})" if distance else ""
    return (
        f"the network's sequence number stays out of range{where} though the SIM asked for resynchronisation: "
        "the HSS does not take AUTS"
    )


def credentials_for(
    response: Response, request: Request, identity: Identity, password: Secret, cnonce: str
) -> tuple[str, str] | None:
    """Header and value that answer a 401 or 407 to a request other than REGISTER, None where we cannot."""
    challenge = choose(response.challenges(), want_aka=False)
    if challenge is None:
        return None
    value = authorize(
        challenge,
        method=request.method,
        uri=request.uri,
        username=identity.impi,
        password=password.reveal(),
        cnonce=cnonce,
        body=request.body,
    )
    return ("Authorization" if response.status == 401 else "Proxy-Authorization"), value


def _not_understood(challenges: list[Challenge], *, has_password: bool) -> str:
    offered = ", ".join(algorithm_of(challenge) for challenge in challenges) or "nothing that can be read"
    ours = 'a password (auth = "digest")' if has_password else 'a SIM that answers AKAv1 and AKAv2 (auth = "aka")'
    return f"the network asks for proof by {offered}, the profile has {ours}"
