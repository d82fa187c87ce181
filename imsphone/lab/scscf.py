"""The S-CSCF, the registrar and the router of its users' sessions (TS 24.229 5.4).

    REGISTER ──▶ lab.registration
    Route: <sip:orig@…>   the caller is ours: registered? ──▶ I-CSCF (a user or a service of this network)    5.4.3.2
    Request-URI: an IMPU  the called user is ours: registered? ──▶ all his contacts, by their Paths           5.4.3.3
    inside a dialog       onward by Route

Both sides stay in the dialog by Record-Route, and both may be this same S-CSCF: it then takes both of its entries away
at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from imsphone.lab import cx, diameter
from imsphone.lab.cx import CxAnswered, CxRequested
from imsphone.lab.emergency import is_contact
from imsphone.lab.gruu import INSTANCE, Gruus
from imsphone.lab.icscf import CxNode
from imsphone.lab.notifier import Notifier
from imsphone.lab.registrar import Registration
from imsphone.lab.registration import Assigning, Challenging, Registering, Terms
from imsphone.lab.subscriber import canonical_impu
from imsphone.machine import Address, Effect, Flow, Ids
from imsphone.sip.client import ClientTransaction
from imsphone.sip.fields import NameAddr
from imsphone.sip.message import Request, Response
from imsphone.sip.server import ServerTransaction

ORIGINATING: Final = "orig"
"""User part of the Service-Route, by which a request of a registered user is known (5.4.3.1)."""


# TS 24.229 7.6.1, 7.6.2
_RESTORATION: Final = b"""<?xml version="1.0"?>
<ims-3gpp version="1"><alternative-service><type>restoration</type><reason/>
<action>initial-registration</action></alternative-service></ims-3gpp>
"""


@dataclass(frozen=True, slots=True)
class _Called:
    """A request for a user whom we do not know, while the HSS is asked who he is."""

    transaction: ServerTransaction


class SCscf(CxNode):
    """The machine. `entry` is the I-CSCF, where requests for users and services of the realm go."""

    def __init__(
        self,
        address: Address,
        realm: str,
        hss: Address,
        entry: Address,
        core: Collection[str],
        ids: Ids,
        names: Mapping[str, Address] | None = None,
        terms: Terms | None = None,
    ) -> None:
        super().__init__(address, realm, "scscf", hss, core, ids, names)
        self.name = f"sip:{address}"
        self.service_route = f"<sip:{ORIGINATING}@{address};lr>"
        self._terms = terms or Terms()
        self.gruus = Gruus(realm, ids)
        self._has_restarted = False
        self.notifier = Notifier(self)
        self.registering = Registering(self, self._terms)
        self._entry = Flow("UDP", address, entry)

    def restart(self) -> None:
        super().restart()
        self._has_restarted = True
        self.notifier = Notifier(self)
        self.registering = Registering(self, self._terms)

    def own_deadline(self) -> float | None:
        times = (super().own_deadline(), self.registering.deadline, self.notifier.deadline)
        return min((at for at in times if at is not None), default=None)

    def own_tick(self, now: float) -> list[Effect]:
        self.notifier.tick(now)
        return super().own_tick(now) + self.registering.tick(now)

    def serve(self, request: Request, transaction: ServerTransaction, flow: Flow, now: float) -> list[Effect]:
        if flow.remote.host not in self.core:
            return self.respond(transaction, 403, now)
        if request.method == "REGISTER":
            return self.registering.start(request, transaction, now)
        own = self.pop_own_route(request)
        if request.to.tag:
            while self.pop_own_route(request) is not None:
                pass
            if request.method == "SUBSCRIBE" and self.is_own(request.target):
                registration = self.registering.registrar.find(self.notifier.set_of(request))
                return self.notifier.refresh(request, transaction, registration, now)
            self._translate(request)
            return self.relay(request, transaction, now)
        if own is not None and own.user == ORIGINATING:
            return self._originate(request, transaction, now)
        return self._terminate(request, transaction, now)

    def acknowledge(self, request: Request, flow: Flow, now: float) -> list[Effect]:
        while self.pop_own_route(request) is not None:
            pass
        self._translate(request)
        return super().acknowledge(request, flow, now)

    def send_response(self, transaction: ServerTransaction, response: Response, now: float) -> list[Effect]:
        """Answer a request with a response made elsewhere."""
        return self.transactions.respond(transaction, response, now)

    def send_request(self, request: Request, now: float, mark: object) -> list[Effect]:
        """A request of our own, onward by its Route."""
        self.pop_own_route(request)
        target = self.next_hop(request)
        return [] if target is None else self.transactions.request(request, target, now, mark)[1]

    def own_answered(self, branch: ClientTransaction, response: Response | None, now: float) -> list[Effect]:
        """A NOTIFY that nobody took ends its subscription."""
        if response is None or response.status >= 400:
            self.notifier.lost(branch.mark)
        return []

    def cx_requested(self, event: CxRequested, now: float) -> list[Effect]:
        """RTR (5.4.1.5): a user who moves to another server is to register again, any other is not."""
        is_moving = event.reason in (cx.SERVER_CHANGE, cx.NEW_SERVER_ASSIGNED)
        impus = event.impus or self.registering.registrar.of(event.impi)
        return self.registering.deregister(impus, "deactivated" if is_moving else "rejected", now)

    def cx_answered(self, event: CxAnswered, now: float) -> list[Effect]:
        about = event.about
        if isinstance(about, Challenging):
            return self.registering.challenged(about, event.answer, now)
        if isinstance(about, Assigning):
            return self.registering.assigned(about, event.answer, now)
        if isinstance(about, _Called):
            is_known = event.answer is not None and event.answer.result == (diameter.SUCCESS, False)
            return self.respond(about.transaction, 480 if is_known or event.answer is None else 404, now)
        return []

    def _originate(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        """A request of our user (5.4.3.2)."""
        asserted = request.addresses("P-Asserted-Identity")
        registration = self._registration(asserted[0]) if asserted else None
        if registration is None and self._has_restarted:
            return self._ask_to_register(request, transaction, now)
        if registration is None:
            return self.respond(transaction, 403, now, "Not Registered")
        if canonical_impu(asserted[0].uri) in registration.profile.barred:
            return self.respond(transaction, 403, now, "Barred Identity")
        target = request.target
        if request.method == "SUBSCRIBE" and self.registering.registrar.find(canonical_impu(target)) is registration:
            if (request.headers.get("Event") or "").partition(";")[0].strip() != "reg":
                return self.respond(transaction, 489, now, Allow_Events="reg")
            self.record_route(request)
            return self.notifier.subscribe(request, transaction, registration, now)
        if request.method == "OPTIONS" and target.host == self.realm and not target.user:  # RFC 3261 11: meant for us
            return self.respond(transaction, 200, now)
        if target.scheme == "sip" and target.host != self.realm:
            return self.respond(transaction, 404, now, "No Way to That Domain")
        if len(asserted) == 1 and asserted[0].uri.scheme == "sip":
            for impu in registration.associated():
                if impu.startswith("tel:"):  # 5.4.3.2 step 4: the number beside the name
                    request.headers.add("P-Asserted-Identity", f"<{impu}>")
                    break
        service = request.headers.get("P-Preferred-Service")
        if service is not None:  # RFC 6050 4.2
            request.headers.remove("P-Preferred-Service")
            request.headers.add("P-Asserted-Service", service)
        self.record_route(request)
        self.count_hop(request)
        return self.forward(transaction, [(request, self._entry)], now)

    def _ask_to_register(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        """504: we have forgotten this user and hope that he registers again (5.4.3.2, S-CSCF restoration)."""
        response = request.answer(504, tag=self.ids.tag())
        response.headers.add("P-Asserted-Identity", self.service_route)
        response.set_body(_RESTORATION, "application/3gpp-ims+xml")
        return self.transactions.respond(transaction, response, now)

    def _registration(self, identity: NameAddr) -> Registration | None:
        return self.registering.registrar.find(canonical_impu(identity.uri))

    def _translate(self, request: Request) -> None:
        """Inside a dialog a GRUU becomes the contact that it stands for; the dialog's routes stay as they are."""
        target = request.target
        named = self.gruus.read(target) if "gr" in target.params else None
        if named is None or (registration := self.registering.registrar.find(named.impu)) is None:
            return
        for bound in registration.bound:
            if self.gruus.leads_to(named, bound):
                request.uri = str(bound.contact.uri)

    def _terminate(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        """A request for our user, or by a GRUU for one of his devices (5.4.3.3, RFC 5627)."""
        is_gruu = "gr" in request.target.params
        named = self.gruus.read(request.target) if is_gruu else None
        if named is None and is_gruu:
            return self.respond(transaction, 404, now)
        impu = canonical_impu(request.target) if named is None else named.impu
        registration = self.registering.registrar.find(impu)
        if registration is None:
            question = cx.server_assignment("", impu, self.name, cx.ASSIGN_UNREGISTERED_USER)
            return self.cx.ask(cx.SERVER_ASSIGNMENT, question, _Called(transaction), now)
        if impu in registration.profile.barred:
            return self.respond(transaction, 404, now)
        called = f"<{request.uri}>"
        self.record_route(request)
        self.count_hop(request)
        onward: dict[str, list[tuple[Request, Flow]]] = {}
        for bound in reversed(registration.bound):  # of a device's flows the newest first
            if is_contact(bound.contact.uri) or (named is not None and not self.gruus.leads_to(named, bound)):
                continue
            copy = request.copy()
            copy.uri = str(bound.contact.uri)
            copy.headers.set("P-Called-Party-ID", called)
            for route in reversed(bound.path):
                copy.headers.prepend("Route", route)
            target = self.next_hop(copy)
            if target is not None:
                device = f"{bound.impi} {bound.contact.params.get(INSTANCE)}"
                is_flow = "reg-id" in bound.contact.params
                onward.setdefault(device if is_flow else str(bound.contact.uri), []).append((copy, target))
        if not onward:
            return self.respond(transaction, 480, now)
        return self.forward_in_turn(transaction, list(onward.values()), now)
