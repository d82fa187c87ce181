"""The P-CSCF, a phone's first hop (TS 24.229 5.2): it vouches for the phone to the core and keeps strangers out.

    phone                         P-CSCF                                  core
      REGISTER ───────────────────▶ + Path, P-Visited-Network-ID, icid,   ──▶ I-CSCF
                                      integrity-protected
      ◀── 401 without ck, ik ───────                                      ◀── 401
      ◀── 200 ───────────── remembers contact, flow, Service-Route, identities ◀── 200
      INVITE, Route = Service-Route ▶ + P-Asserted-Identity, icid,        ──▶ S-CSCF
             (else 400; 403 unregistered)  Record-Route
      ◀── INVITE on its flow ──────── by the token in Route               ◀── S-CSCF

A phone that offers a security agreement gets one with the 401 (`lab.security`); then REGISTER and all that follows are
inside ESP, and "yes" stands for them. With `security` "required" whoever offers none is refused (421), with "none" the
agreement is an unknown extension (420).

Without IPsec the phone's proof of AKA comes unprotected, which `integrity-protected="no"` says honestly; the lab's
S-CSCF takes it all the same. A SIP Digest phone is known by its address: "ip-assoc-yes" once it has registered from
there (5.2.2.3, TS 33.203 Annex N).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Literal

from imsphone.errors import ParseError
from imsphone.ipsec.agreement import OPTION_TAG
from imsphone.ipsec.sa import SUITES, Suite
from imsphone.lab import border, emergency
from imsphone.lab.binding import Binding, Bindings, source
from imsphone.lab.dialogs import Dialogs
from imsphone.lab.node import Node
from imsphone.lab.proxy import Edit
from imsphone.lab.security import Agreement, Agreements
from imsphone.lab.subscriber import canonical_impu
from imsphone.machine import Address, Effect, Flow, Ids, Send
from imsphone.sip import stun
from imsphone.sip.digest import is_aka
from imsphone.sip.fields import Challenge, NameAddr
from imsphone.sip.message import Request, Response
from imsphone.sip.server import ServerTransaction
from imsphone.sip.stun import is_stun
from imsphone.sip.timers import RFC_3261, TS_24_229
from imsphone.sip.uri import Uri

# What a phone may not say of itself, or what is meant for the P-CSCF alone (TS 24.229 4.4, 5.2.6.3.3).
_NOT_FROM_A_PHONE: Final = (
    "P-Asserted-Identity",
    "P-Asserted-Service",
    "P-Charging-Vector",
    "P-Charging-Function-Addresses",
    "P-Preferred-Identity",
    "Security-Client",
    "Security-Verify",
)
# What the core says to itself, and where the other phone is: not for a phone's eyes (TS 24.229 4.4, 5.2.6.4.3).


Security = Literal["none", "offered", "required"]


class PCscf(Node):
    """The machine. `entry` is the I-CSCF, `core` the hosts of the trust domain.

    With `is_strict` an initial request whose Route is not the Service-Route gets 400; otherwise the right one is put in
    its place. Both are open to a P-CSCF (5.2.6.3.3); a phone that sends no Route at all is always helped. With `keep_s`
    a phone that offers keep-alives is to send them that often, 0: as often as it likes (RFC 6223). `secure` is where
    phones come by TLS; they reach it again by a Record-Route of its own (RFC 5658 6).
    """

    def __init__(
        self,
        address: Address,
        realm: str,
        entry: Address,
        core: Collection[str],
        ids: Ids,
        names: Mapping[str, Address] | None = None,
        *,
        is_strict: bool = True,
        keep_s: int | None = None,
        security: Security = "offered",
        suites: tuple[Suite, ...] = SUITES,
        psap: Address | None = None,
        secure: Address | None = None,
    ) -> None:
        # TS 24.229 7.7: both ways between us and a phone the times are those of the air
        super().__init__(address, ids, names, lambda flow: RFC_3261 if flow.remote.host in core else TS_24_229)
        self.realm = realm
        self.bindings = Bindings()
        self.dialogs = Dialogs()
        self._entry = Flow("UDP", address, entry)
        self._core = frozenset(core)
        self._is_strict = is_strict
        self._suites = suites
        self._security = security
        self._agree_anew()
        self._keep_s = keep_s
        self._psap = psap
        self.emergency_numbers: frozenset[str] = frozenset()  # what this country dials
        self._secure = secure

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """A SIP message, or a phone's keep-alive (RFC 5626 5.1)."""
        if is_stun(data):
            return [Send(stun.success(data, flow.remote), flow)] if stun.is_request(data) else []
        return super().receive(data, flow, now)

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """A connection is gone; a phone that registered on it is reached at its contact address from now on."""
        self.bindings.lose(flow)
        return super().lost(flow, now)

    def restart(self) -> None:
        super().restart()
        self.bindings = Bindings()
        self.dialogs = Dialogs()
        self._agree_anew()

    def _agree_anew(self) -> None:
        """No agreement with anybody so far."""
        self.agreements = Agreements(self.address.host, self._suites, self.ids)
        if self._security != "none":
            self.understands = frozenset((OPTION_TAG,))
            self.transactions.protected[self.agreements.server] = self.agreements.server
            self.transactions.udp_only.add(self.agreements.server)  # a phone is called by the transport it came by

    def own_deadline(self) -> float | None:
        times = (self.bindings.deadline, self.agreements.deadline)
        return min((at for at in times if at is not None), default=None)

    def own_tick(self, now: float) -> list[Effect]:
        self.bindings.end(now)
        return self.agreements.end(now)

    def is_own(self, uri: Uri) -> bool:
        return super().is_own(uri) or (uri.host, uri.port) in (self.agreements.server, self._secure)

    def pop_own_route(self, request: Request) -> Uri | None:
        """Two of them where a phone's way to us is another than the core's."""
        first = super().pop_own_route(request)
        return first and (super().pop_own_route(request) or first)

    def _source(self, request: Request, flow: Flow) -> Address:
        """Where the phone lives: under protection, at its protected server port."""
        agreement = self.agreements.of(flow)
        return source(request, flow) if agreement is None else agreement.home

    def serve(self, request: Request, transaction: ServerTransaction, flow: Flow, now: float) -> list[Effect]:
        if flow.remote.host in self._core:
            return self._from_core(request, transaction, now)
        if request.method == "REGISTER":
            return self._register(request, transaction, flow, now)
        return self._from_phone(request, transaction, flow, now)

    def acknowledge(self, request: Request, flow: Flow, now: float) -> list[Effect]:
        own = self.pop_own_route(request)
        if flow.remote.host in self._core:
            target = self._way(request, own)
        else:
            is_registered = bool(self.bindings.at(self._source(request, flow)))
            target = self._into_core(request) if is_registered and self.dialogs.sets_route(request) else None
        if target is None:
            return []
        self.count_hop(request)
        return self.transactions.send(request, target)

    # REGISTER, 5.2.2 --------------------------------------------------------------------------------------------------

    def _register(self, request: Request, transaction: ServerTransaction, flow: Flow, now: float) -> list[Effect]:
        if request.target.host != self.realm:
            return self.respond(transaction, 404, now, "No Such Home Network Here")
        agreement = self.agreements.of(flow)
        if self._security == "required" and OPTION_TAG not in request.require:
            return self.respond(transaction, 421, now, Require=OPTION_TAG)  # RFC 3329 2.3.1
        if agreement is not None and not self.agreements.is_kept(agreement, request):
            return self._want_agreement(transaction, agreement, now)  # 5.2.2.2
        offer = self.agreements.offer(request) if OPTION_TAG in request.require else None
        if offer is None and OPTION_TAG in request.require:
            return self._want_agreement(transaction, None, now)
        at = self._source(request, flow)
        way = flow if agreement is None else Flow(flow.transport, self.agreements.server, at)
        impu = canonical_impu(request.to.uri)
        contacts = request.contacts
        contact = contacts[0].uri if contacts else None
        reg_id = contacts[0].params.get("reg-id") if contacts else None
        token = contact and self.bindings.token_of(at, impu, contact)
        if token is None:
            token = self.ids.tag()
        for name in ("Route", "Path", *_NOT_FROM_A_PHONE):
            request.headers.remove(name)
        border.take_agreement_out(request)
        outbound = ";ob" if reg_id and "outbound" in request.supported else ""  # RFC 5626 5.1
        request.headers.add("Path", f"<sip:{token}@{self.address};lr{outbound}>")  # 5.2.2.1 step 1
        request.headers.add("Require", "path")  # step 2
        request.headers.add("P-Charging-Vector", self._charging())
        request.headers.add("P-Visited-Network-ID", f'"{self.realm}"')
        self._protect(request, at, flow, is_protected=agreement is not None)
        self.count_hop(request)

        def edit(response: Response, then: float) -> list[Effect]:
            effects: list[Effect] = []
            if response.status == 401:
                if offer is not None:
                    effects = self.agreements.propose(offer, response, flow.remote.host, then)
                border.strip_keys(response)
            elif response.status == 200:
                self._grant_keep(response)
                expires_s = self._registered(response, way, at, token, impu, contact, reg_id, then)
                if agreement is not None:
                    effects = self.agreements.accept(agreement, expires_s, then)
                response.headers.remove("P-Charging-Vector")
            return effects

        return self.forward(transaction, [(request, self._entry)], now, edit)

    def _want_agreement(self, transaction: ServerTransaction, agreement: Agreement | None, now: float) -> list[Effect]:
        """494, with what there is to agree on (RFC 3329 2.3.1)."""
        return self.respond(transaction, 494, now, Security_Server=self.agreements.listed(agreement))

    def _grant_keep(self, response: Response) -> None:
        """The phone's Via offers to keep the way alive: yes, this often (RFC 6223 4.4)."""
        if self._keep_s is not None and "keep" in response.via.params:
            via = response.via.with_params(keep=str(self._keep_s))
            response.headers.set("Via", str(via), *response.headers.get_all("Via")[1:])

    def _protect(self, request: Request, at: Address, flow: Flow, *, is_protected: bool) -> None:
        """Says in Authorization how the phone is protected (5.2.2.2, 5.2.2.3, 7.2A.2): a phone cannot say it itself."""
        credentials = request.credentials()
        if not credentials:
            return
        params = {name: value for name, value in credentials[0].params.items() if name != "integrity-protected"}
        if is_protected:
            params["integrity-protected"] = "yes"
        elif is_aka(credentials[0]) or not credentials[0].get("response"):
            params["integrity-protected"] = "no"
        else:
            kind = "tls" if flow.transport == "TLS" else "ip-assoc"
            params["integrity-protected"] = f"{kind}-yes" if self.bindings.at(at) else f"{kind}-pending"
        request.headers.set("Authorization", Challenge(credentials[0].scheme, params).print(bare=_BARE))

    def _registered(
        self,
        response: Response,
        flow: Flow,
        at: Address,
        token: str,
        impu: str,
        contact: Uri | None,
        reg_id: str | None,
        now: float,
    ) -> int:
        """5.2.2.1 at the 200: store what later requests are checked against. Gives how long it is good for."""
        try:
            held = [bound for bound in response.contacts if bound.params.get("reg-id", reg_id) == reg_id]
            ours = [bound for bound in held if contact is not None and bound.uri.matches(contact)]
            expires_s = int(ours[0].params.get("expires") or response.headers.get("Expires") or 0) if ours else 0
            if contact is None or expires_s <= 0:
                self._deregistered(response, token, at, contact)
                return 0
            impus = tuple(canonical_impu(associated.uri) for associated in response.associated_uris)
            route = tuple(_bare_route(entry) for entry in response.service_routes)
        except (ParseError, ValueError):
            return 0
        self.bindings.keep(Binding(token, at, flow, impu, contact, route, impus or (impu,), now + expires_s))
        return expires_s

    def _deregistered(self, response: Response, token: str, at: Address, contact: Uri | None) -> None:
        """This contact is gone; after `Contact: *` every contact of this phone that the 200 does not list."""
        self.bindings.forget(token)
        if contact is None:
            for binding in self.bindings.at(at):
                if not any(bound.uri.matches(binding.contact) for bound in response.contacts):
                    self.bindings.forget(binding.token)

    # Requests of the phone, 5.2.6.3 -----------------------------------------------------------------------------------

    def _from_phone(self, request: Request, transaction: ServerTransaction, flow: Flow, now: float) -> list[Effect]:
        bindings = self.bindings.at(self._source(request, flow))
        if not bindings:
            return self.respond(transaction, 403, now, "Register First")
        agreement = self.agreements.of(flow)
        if agreement and OPTION_TAG in request.require and not self.agreements.is_kept(agreement, request):
            return self._want_agreement(transaction, agreement, now)
        self.pop_own_route(request)
        if request.method == "OPTIONS" and self.is_own(request.target):
            return self.respond(transaction, 200, now)
        for name in _NOT_FROM_A_PHONE:
            if name != "P-Preferred-Identity":
                request.headers.remove(name)
        border.take_agreement_out(request)
        if request.to.tag:
            request.headers.remove("P-Preferred-Identity")
            if not self.dialogs.sets_route(request):
                return self.respond(transaction, 403, now, "No Such Dialog")
            return self._onward(request, transaction, self._into_core(request), now, border.hide_the_core)
        is_emergency = emergency.is_call(request.target, self.emergency_numbers)
        route = tuple(_bare_route(entry) for entry in request.routes)
        if is_emergency:
            binding = next((known for known in bindings if emergency.is_contact(known.contact)), None)
            if binding is None or self._psap is None:
                return self.transactions.respond(transaction, emergency.refusal(request, self.ids.tag()), now)
        else:
            binding = next((known for known in bindings if known.service_route == route), None)
        if binding is None:
            binding = bindings[0]
            if route and self._is_strict:
                return self.respond(transaction, 400, now, "Route Is Not the Service-Route")
            request.headers.set("Route", *(f"<{entry}>" for entry in binding.service_route))
        asserted = binding.assert_identity(request.addresses("P-Preferred-Identity"))
        request.headers.remove("P-Preferred-Identity")
        request.headers.add("P-Asserted-Identity", str(asserted))
        request.headers.add("P-Charging-Vector", self._charging())
        self._stay(request, binding, is_from_core=False)
        way = Flow("UDP", self.address, self._psap) if is_emergency and self._psap else self._into_core(request)

        def edit(response: Response, then: float) -> list[Effect]:
            self.dialogs.begun_by_phone(request, response)
            return border.hide_the_core(response, then)

        return self._onward(request, transaction, way, now, edit)

    def _into_core(self, request: Request) -> Flow | None:
        """The way on for a request of a phone: into the core by its Route, or to the PSAP (5.2.6.3, 5.2.10)."""
        target = self.next_hop(request)
        if target is None or target.remote.host not in self._core:
            return None
        return target if "Route" in request.headers or target.remote == self._psap else None

    # Requests of the core, 5.2.6.4 ------------------------------------------------------------------------------------

    def _from_core(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        own = self.pop_own_route(request)
        for name in border.NOT_FOR_A_PHONE:
            request.headers.remove(name)
        if own is None or request.to.tag:
            self.dialogs.ended_by_core(request)
            return self._onward(request, transaction, self._way(request, own), now)
        binding = self.bindings.get(own.user)
        if binding is None:
            status = 430 if "ob" in own.params else 480  # the core believes what has ended here meanwhile
            return self.respond(transaction, status, now)
        if border.is_private(request):
            request.headers.remove("P-Asserted-Identity")
        self._stay(request, binding, is_from_core=True)
        called = request.headers.get("P-Called-Party-ID")

        def edit(response: Response, then: float) -> list[Effect]:
            self.dialogs.begun_by_core(request, response)
            for name in _NOT_FROM_A_PHONE:
                response.headers.remove(name)
            if called is not None:
                response.headers.add("P-Asserted-Identity", called)
            return []

        return self._onward(request, transaction, self._way(request, own), now, edit)

    def _onward(
        self,
        request: Request,
        transaction: ServerTransaction,
        target: Flow | None,
        now: float,
        edit: Edit | None = None,
    ) -> list[Effect]:
        if target is None:
            return self.respond(transaction, 403, now, "Nowhere to Go")
        self.count_hop(request)
        return self.forward(transaction, [(request, target)], now, edit)

    def _way(self, request: Request, own: Uri | None) -> Flow | None:
        """To the phone whose token our Route carried if that was the last one, else on by Route or Request-URI."""
        if own is not None and "Route" not in request.headers:
            binding = self.bindings.get(own.user)
            if binding is not None:
                return binding.flow
        return self.next_hop(request)

    def _stay(self, request: Request, binding: Binding, *, is_from_core: bool) -> None:
        """On the path of the dialog, for either side at the address that it knows."""
        if binding.flow.transport != "TLS" or self._secure is None or request.method == "MESSAGE":
            self.record_route(request, binding.token)
            return
        sides = [f"<sip:{binding.token}@{self.address};lr>", f"<sip:{binding.token}@{self._secure};transport=tls;lr>"]
        for side in sides if is_from_core else reversed(sides):
            request.headers.prepend("Record-Route", side)

    def _charging(self) -> str:
        return f'icid-value="{self.ids.tag()}";icid-generated-at={self.address.host};orig-ioi={self.realm}'


_BARE: Final = frozenset(("qop",))


def _bare_route(route: NameAddr) -> str:
    """A route entry as it is compared: the URI alone."""
    return str(route.uri)
