"""REGISTER at the S-CSCF, step by step (TS 24.229 5.4.1): prove it, tell the HSS, answer.

REGISTER ──▶ a challenge of ours answered? ─no─▶ MAR ──▶ 401
               │ right                  wrong ─▶ 403, SAR (authentication failure)
               ▼                        AUTS ──▶ MAR with RAND, AUTS ──▶ 401
             how long? ─too short─▶ 423
               ▼
             SAR ──▶ bind, 200 with Service-Route, P-Associated-URI, Contact
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from imsphone.errors import ParseError
from imsphone.lab import cx, diameter
from imsphone.lab.authentication import MOST_REFUSALS, Authentication, Authentications, Manner
from imsphone.lab.cx import Cx
from imsphone.lab.diameter import Message
from imsphone.lab.gruu import INSTANCE, Gruus
from imsphone.lab.notifier import Notifier
from imsphone.lab.registrar import Bound, Registrar, Registration
from imsphone.lab.subscriber import Profile, canonical_impu, impi_of
from imsphone.machine import Effect, Ids
from imsphone.sip.digest import is_aka
from imsphone.sip.fields import Challenge, NameAddr
from imsphone.sip.message import Request, Response
from imsphone.sip.server import ServerTransaction
from imsphone.sip.validation import examine_require

DEFAULT_EXPIRES_S: Final = 3600
_UNDERSTOOD: Final = frozenset(("path",))


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a registration may last, whether each refresh has to prove itself again, and how that is asked for.

    `does_outbound`: whether a device may have several flows (RFC 5626).
    """

    min_expires_s: int = 60
    max_expires_s: int = 600_000
    is_every_refresh_challenged: bool = True
    does_outbound: bool = True
    manner: Manner = field(default_factory=Manner)


class Server(Protocol):
    """What the procedure needs of the S-CSCF that it runs in."""

    cx: Cx
    ids: Ids
    realm: str
    name: str
    service_route: str
    notifier: Notifier
    gruus: Gruus

    def respond(
        self, transaction: ServerTransaction, status: int, now: float, reason: str | None = None, **headers: str
    ) -> list[Effect]: ...

    def send_response(self, transaction: ServerTransaction, response: Response, now: float) -> list[Effect]: ...


@dataclass(frozen=True, slots=True)
class Challenging:
    """A REGISTER that waits for something to challenge it with."""

    request: Request
    transaction: ServerTransaction
    impi: str
    impu: str
    is_stale: bool
    refusals: int


@dataclass(frozen=True, slots=True)
class Assigning:
    """A REGISTER that has proven itself and waits for the HSS to hear of it."""

    request: Request
    transaction: ServerTransaction
    impi: str
    impu: str


class Registering:
    """The procedure, and what it remembers."""

    def __init__(self, server: Server, terms: Terms) -> None:
        self.registrar = Registrar()
        self._server = server
        self._terms = terms
        self._awaited = Authentications()

    @property
    def deadline(self) -> float | None:
        """The next contact that ends, or the next proof that never came."""
        times = (self.registrar.deadline, self._awaited.deadline)
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> list[Effect]:
        """Ends what has lasted long enough and tells the HSS (5.4.1.2.1 and 5.4.1.4)."""
        effects: list[Effect] = []
        for registration, gone in self.registrar.end(now):
            effects += self._server.notifier.changed(registration, now, "registered", gone, "expired")
            profile = registration.profile
            if not registration.bound:
                effects += self._tell_hss(profile.impi, profile.impus[0], cx.TIMEOUT_DEREGISTRATION, now)
        for missed in self._awaited.end(now):
            if missed.is_proven:
                continue
            effects += self._tell_hss(missed.impi, missed.impu, cx.AUTHENTICATION_TIMEOUT, now)
        return effects

    def start(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        """A REGISTER has come. Raises ParseError where it cannot be read."""
        server = self._server
        impu = canonical_impu(request.to.uri)
        fault = examine_require(request, _UNDERSTOOD)
        if fault is not None:
            return server.respond(transaction, 420, now, Unsupported=fault.headers[0][1])
        if self._is_flow(request) and "ob" not in request.paths[0].uri.params:
            return server.respond(transaction, 439, now, "First Hop Lacks Outbound Support")  # RFC 5626 6
        request.headers.get_all("Path")  # what cannot be read is refused now, not after the HSS has been asked
        credentials = next(iter(request.credentials()), None)
        impi = (credentials.get("username") if credentials else "") or impi_of(request.to.uri)
        if credentials is None:
            return self._challenge(request, transaction, impi, impu, cx.SCHEME_UNKNOWN, now)
        if credentials.get("realm") not in ("", server.realm):
            return server.respond(transaction, 403, now, "Not the Home Realm")
        awaited = self._awaited.get(impi, request.call_id)
        if awaited is None or awaited.nonce != credentials.get("nonce"):
            scheme = cx.SCHEME_AKA if is_aka(credentials) else cx.SCHEME_UNKNOWN
            is_stale = bool(credentials.get("response"))
            return self._challenge(request, transaction, impi, impu, scheme, now, is_stale=is_stale)
        return self._judge(request, transaction, credentials, awaited, impu, now)

    # Proof ------------------------------------------------------------------------------------------------------------

    def _challenge(
        self,
        request: Request,
        transaction: ServerTransaction,
        impi: str,
        impu: str,
        scheme: str,
        now: float,
        *,
        is_stale: bool = False,
        refusals: int = 0,
        resynchronisation: bytes = b"",
    ) -> list[Effect]:
        question = cx.multimedia_auth(impi, impu, self._server.name, scheme, resynchronisation)
        about = Challenging(request, transaction, impi, impu, is_stale, refusals)
        return self._server.cx.ask(cx.MULTIMEDIA_AUTH, question, about, now)

    def challenged(self, about: Challenging, answer: Message | None, now: float) -> list[Effect]:
        """MAA: a 401 with what it gave (5.4.1.2.1A, 5.4.1.2.1B)."""
        server = self._server
        if answer is None:
            return server.respond(about.transaction, 504, now, "HSS Does Not Answer")
        if answer.result != (diameter.SUCCESS, False):
            return server.respond(about.transaction, 403, now)
        asked = Authentication.of(
            answer, about.impi, about.impu, about.request.call_id, now, server.ids, self._terms.manner
        )
        if asked is None:
            return server.respond(about.transaction, 500, now)
        asked.refusals = about.refusals
        self._awaited.keep(asked)
        response = about.request.answer(401, tag=server.ids.tag())
        for value in asked.www_authenticate(answer, server.realm, is_stale=about.is_stale):
            response.headers.add("WWW-Authenticate", value)
        return server.send_response(about.transaction, response, now)

    def _judge(
        self,
        request: Request,
        transaction: ServerTransaction,
        credentials: Challenge,
        awaited: Authentication,
        impu: str,
        now: float,
    ) -> list[Effect]:
        verdict = awaited.judge(credentials)
        if (
            verdict == "right"
            and awaited.is_proven
            and awaited.password is not None
            and self._is_elsewhere(request, impu)
        ):
            return self._server.respond(transaction, 403, now, "Contact Not Registered")  # 5.4.1.2.2: not unchallenged
        if verdict == "right":
            if self._terms.is_every_refresh_challenged or not credentials.get("qop"):  # without qop nothing counts uses
                self._awaited.drop(awaited)
            else:  # the nonce stays good for the refreshes, with a higher nc each time
                awaited.is_proven = True
                awaited.expires_at = now + self._terms.max_expires_s
                self._awaited.keep(awaited)
            return self._assign(request, transaction, awaited.impi, impu, now)
        self._awaited.drop(awaited)
        again = None
        if verdict == "resync":
            again = awaited.resynchronisation(credentials)
        elif verdict == "refused":
            again = b""
        if again is None or awaited.refusals >= MOST_REFUSALS:  # 5.4.1.2.3A
            failed = self._tell_hss(awaited.impi, awaited.impu, cx.AUTHENTICATION_FAILURE, now)
            return self._server.respond(transaction, 403, now, "Authentication Failed") + failed
        return self._challenge(
            request,
            transaction,
            awaited.impi,
            impu,
            cx.SCHEME_AKA,
            now,
            refusals=awaited.refusals + 1,
            resynchronisation=again,
        )

    def _is_elsewhere(self, request: Request, impu: str) -> bool:
        """Whether a contact is to be bound that is not bound yet."""
        registration = self.registrar.find(impu)
        known = [] if registration is None else [bound.contact.uri for bound in registration.bound]
        return any(not any(uri.matches(contact.uri) for uri in known) for contact in request.contacts)

    # Bindings ---------------------------------------------------------------------------------------------------------

    def _assign(
        self, request: Request, transaction: ServerTransaction, impi: str, impu: str, now: float
    ) -> list[Effect]:
        """He is who he says: what does he want, and may he? (5.4.1.2.2 from step 4 on, 5.4.1.4 for the end)"""
        server = self._server
        registration = self.registrar.find(impu)
        effects: list[Effect] = []
        contacts = request.contacts
        if request.is_contact_star and request.expires != 0:
            return server.respond(transaction, 400, now, "Contact * Without Expires 0")  # RFC 3261 10.3 step 6
        named = [None] if request.is_contact_star else [contact.uri for contact in contacts]
        if registration and any(registration.is_overtaken(uri, request.call_id, request.cseq.number) for uri in named):
            return server.respond(transaction, 500, now, "Overtaken")
        new = [contact for contact in contacts if self._asked_s(contact, request)]
        if any(self._asked_s(contact, request) < self._terms.min_expires_s for contact in new):
            return server.respond(transaction, 423, now, Min_Expires=str(self._terms.min_expires_s))
        if new:
            if not self.registrar.has_room(registration, new, impi):
                return server.respond(transaction, 403, now, "Too Many Contacts")
            kind = cx.ASSIGN_RE_REGISTRATION if registration else cx.ASSIGN_REGISTRATION
        elif registration is None:
            return server.respond(transaction, 200, now)  # nothing to take away, nothing to tell
        else:
            gone = [one for contact in contacts for one in self.registrar.unbind(registration, contact, impi)]
            if request.is_contact_star:
                gone += self.registrar.unbind(registration, None, impi)
            effects = server.notifier.changed(registration, now, "registered", gone, "unregistered")
            if registration.bound:
                return self._accept(request, transaction, registration, now) + effects
            self.registrar.close(registration)
            kind = cx.USER_DEREGISTRATION
        question = cx.server_assignment(impi, impu, server.name, kind, has_profile=registration is not None)
        about = Assigning(request, transaction, impi, impu)
        return effects + server.cx.ask(cx.SERVER_ASSIGNMENT, question, about, now)

    def assigned(self, about: Assigning, answer: Message | None, now: float) -> list[Effect]:
        """SAA: the registration stands, or has ended."""
        request, transaction = about.request, about.transaction
        if answer is None:
            return self._server.respond(transaction, 504, now, "HSS Does Not Answer")
        if answer.result != (diameter.SUCCESS, False):
            return self._server.respond(transaction, 403, now)
        new = [contact for contact in request.contacts if self._asked_s(contact, request)]
        if not new:
            return self._server.respond(transaction, 200, now)
        registration = self.registrar.find(about.impu)
        data = answer.avps.get(cx.USER_DATA, cx.VENDOR_3GPP)
        if data is not None:
            try:
                registration = self.registrar.open(Profile.parse(data))
            except ParseError:
                return self._server.respond(transaction, 500, now, "User Profile Cannot Be Read")
        if registration is None:  # it ended while we asked
            return self._server.respond(transaction, 500, now)
        path = tuple(request.headers.get_all("Path"))
        order = request.call_id, request.cseq.number
        replaced: list[Bound] = []
        for contact in request.contacts:
            asked_s = min(self._asked_s(contact, request), self._terms.max_expires_s)
            if asked_s:
                kept = _without(contact, "expires", *(() if self._is_flow(request) else ("reg-id",)))
                bound = Bound(kept, path, about.impi, now + asked_s, *order)
                replaced += self.registrar.bind(registration, bound)
            else:
                self.registrar.unbind(registration, contact, about.impi)
        accepted = self._accept(request, transaction, registration, now)
        return accepted + self._server.notifier.changed(registration, now, "registered", replaced, "unregistered")

    # By the network ---------------------------------------------------------------------------------------------------

    def deregister(self, impus: Iterable[str], fate: str, now: float) -> list[Effect]:
        """The network takes these identities' sets away (5.4.1.5): `fate` is rejected or deactivated."""
        effects: list[Effect] = []
        for impu in impus:
            registration = self.registrar.find(impu)
            if registration is not None:
                gone, registration.bound = registration.bound, []
                self.registrar.close(registration)
                effects += self._server.notifier.changed(registration, now, "registered", gone, fate)
        return effects

    def shorten(self, impu: str, seconds: float, now: float) -> list[Effect]:
        """The user is to prove himself again within this time (5.4.1.6)."""
        registration = self.registrar.find(impu)
        if registration is None:
            return []
        self.registrar.shorten(registration, now + seconds)
        return self._server.notifier.changed(registration, now, "shortened")

    def _accept(
        self, request: Request, transaction: ServerTransaction, registration: Registration, now: float
    ) -> list[Effect]:
        """200 (5.4.1.2.2F)."""
        response = request.answer(200, tag=self._server.ids.tag())
        add = response.headers.add
        for path in request.headers.get_all("Path"):
            add("Path", path)
        add("Service-Route", self._server.service_route)
        if self._is_flow(request):
            add("Require", "outbound")
        for impu in registration.associated():
            add("P-Associated-URI", f"<{impu}>")
        impu = canonical_impu(request.to.uri)
        wants_gruu = "gruu" in request.supported and impu not in registration.profile.barred
        for bound in registration.bound:
            gruus = self._server.gruus.of(impu, bound) if wants_gruu else None
            add("Contact", bound.header(now, gruus))
        return self._server.send_response(transaction, response, now)

    def _is_flow(self, request: Request) -> bool:
        """Whether this is one of several flows of a device (RFC 5626 6)."""
        if not self._terms.does_outbound or "outbound" not in request.supported or not request.paths:
            return False
        return any({"reg-id", INSTANCE} <= contact.params.keys() for contact in request.contacts)

    @staticmethod
    def _asked_s(contact: NameAddr, request: Request) -> int:
        """How long this contact is to be bound (RFC 3261 10.2.1.1: its own word, Expires, then the default)."""
        own = contact.params.get("expires")
        if own is not None and own.isascii() and own.isdigit() and len(own) <= 10:
            return int(own)
        return DEFAULT_EXPIRES_S if request.expires is None else request.expires

    def _tell_hss(self, impi: str, impu: str, kind: int, now: float) -> list[Effect]:
        question = cx.server_assignment(impi, impu, self._server.name, kind, has_profile=True)
        return self._server.cx.ask(cx.SERVER_ASSIGNMENT, question, None, now)


def _without(contact: NameAddr, *names: str) -> NameAddr:
    return contact._replace(params={name: value for name, value in contact.params.items() if name not in names})
