"""The I-CSCF, the door of the home network (TS 24.229 5.3): it asks the HSS where a user is served, and sends on.

    REGISTER ──▶ UAR ──▶ the S-CSCF that serves him, else one chosen here ──▶ S-CSCF       5.3.1
                     └─▶ unknown, not his, barred, not allowed to roam: 403
    INVITE … ──▶ LIR ──▶ the S-CSCF of the called user, the server of a service ──▶ there   5.3.2
                     └─▶ unknown: 404, not registered: 480

It keeps no registrations and stays out of dialogs (no Record-Route, 5.3.2.1): what is inside a dialog never comes by.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from imsphone.errors import ParseError
from imsphone.lab import cx, diameter
from imsphone.lab.cx import Cx, CxAnswered, CxRequested
from imsphone.lab.diameter import Message
from imsphone.lab.node import Node
from imsphone.lab.subscriber import canonical_impu, impi_of
from imsphone.machine import Address, Effect, Flow, Ids, Tell
from imsphone.sip.message import Request
from imsphone.sip.server import ServerTransaction
from imsphone.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that waits for the HSS."""

    request: Request
    transaction: ServerTransaction


class CxNode(Node):
    """A SIP node with a connection to the HSS; `cx_answered` hears what comes over it."""

    def __init__(
        self,
        address: Address,
        realm: str,
        name: str,
        hss: Address,
        core: Collection[str],
        ids: Ids,
        names: Mapping[str, Address] | None = None,
    ) -> None:
        super().__init__(address, ids, names)
        self.realm = realm
        self.core = frozenset(core)
        self.cx = Cx(f"{name}.{realm}", realm, Flow("TCP", address, hss), ids)

    def cx_answered(self, event: CxAnswered, now: float) -> list[Effect]:
        """A question has come to its end."""
        raise NotImplementedError

    def cx_requested(self, event: CxRequested, now: float) -> list[Effect]:
        """The HSS takes a user away; it asks that of an S-CSCF only."""
        return []

    def restart(self) -> None:
        super().restart()
        self.cx.restart()

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """A SIP message, or a Diameter message on the flow of the HSS."""
        if self.cx.owns(flow):
            return self._heed_cx(self.cx.receive(data, flow, now), now)
        return super().receive(data, flow, now)

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """A connection is gone."""
        if self.cx.owns(flow):
            return self._heed_cx(self.cx.lost(flow, now), now)
        return super().lost(flow, now)

    def own_deadline(self) -> float | None:
        return self.cx.deadline

    def own_tick(self, now: float) -> list[Effect]:
        return self._heed_cx(self.cx.tick(now), now)

    def _heed_cx(self, effects: list[Effect], now: float) -> list[Effect]:
        heeded: list[Effect] = []
        for effect in effects:
            event = effect.event if isinstance(effect, Tell) else None
            if isinstance(event, CxAnswered):
                heeded += self.cx_answered(event, now)
            elif isinstance(event, CxRequested):
                heeded += self.cx_requested(event, now)
            else:
                heeded.append(effect)
        return heeded


class ICscf(CxNode):
    """The machine. `servers` are the S-CSCFs it can choose from, as SIP URIs, the first one preferred."""

    def __init__(
        self,
        address: Address,
        realm: str,
        hss: Address,
        servers: tuple[str, ...],
        core: Collection[str],
        ids: Ids,
        names: Mapping[str, Address] | None = None,
    ) -> None:
        super().__init__(address, realm, "icscf", hss, core, ids, names)
        self._servers = servers

    def serve(self, request: Request, transaction: ServerTransaction, flow: Flow, now: float) -> list[Effect]:
        if flow.remote.host not in self.core:
            return self.respond(transaction, 403, now)  # 5.3.1.2: not from a trusted domain
        self.pop_own_route(request)
        if request.method == "REGISTER":
            return self._ask_where_to_register(request, transaction, now)
        if request.to.tag or "Route" in request.headers:
            return self.relay(request, transaction, now)
        target = request.target
        if target.scheme not in ("sip", "tel"):
            return self.respond(transaction, 416, now)
        if target.scheme == "sip" and target.host != self.realm:
            return self.respond(transaction, 404, now)
        if (
            "gr" in target.params and not target.params["gr"]
        ):  # temporary: no HSS knows it, the S-CSCF that made it does
            return self._send_to(Uri.parse(self._servers[0]), request, transaction, now)
        question = cx.location_info(canonical_impu(target))
        return self.cx.ask(cx.LOCATION_INFO, question, _Waiting(request, transaction), now)

    def _ask_where_to_register(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        impu = request.to.uri
        credentials = request.credentials()
        impi = (credentials[0].get("username") if credentials else "") or impi_of(impu)  # 5.3.1.2
        visited = (request.headers.get("P-Visited-Network-ID") or "").strip('"')
        kind = cx.DE_REGISTRATION if _ends_registration(request) else cx.REGISTRATION
        question = cx.user_authorization(impi, canonical_impu(impu), visited, kind)
        return self.cx.ask(cx.USER_AUTHORIZATION, question, _Waiting(request, transaction), now)

    def cx_answered(self, event: CxAnswered, now: float) -> list[Effect]:
        """UAA or LIA: on to the server that it names."""
        request, transaction = event.about.request, event.about.transaction
        if event.answer is None:
            return self.respond(transaction, 504, now, "HSS Does Not Answer")
        server = self._server(event.answer)
        if server is None:
            return self._refuse(request, transaction, event.answer, now)
        return self._send_to(server, request, transaction, now)

    def _send_to(self, server: Uri, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        if request.method == "REGISTER":
            request.uri = str(server)  # 5.3.1.2
        else:
            request.headers.prepend("Route", f"<{server.with_params(lr=None)}>")
        target = self.hop(server)
        if target is None:
            return self.respond(transaction, 504, now)
        self.count_hop(request)
        return self.forward(transaction, [(request, target)], now)

    def _server(self, answer: Message) -> Uri | None:
        """The server that the HSS names, or one of our own where it leaves the choice to us."""
        result = answer.result
        if result is None or not 2000 <= result[0] < 3000:
            return None
        name = answer.avps.text(cx.SERVER_NAME, cx.VENDOR_3GPP)
        try:
            return Uri.parse(name if name is not None else self._servers[0])
        except ParseError:
            return None

    def _refuse(self, request: Request, transaction: ServerTransaction, answer: Message, now: float) -> list[Effect]:
        if request.method == "REGISTER":
            return self.respond(transaction, 403, now)  # 5.3.1.3
        if answer.result == (cx.USER_UNKNOWN, True):
            return self.respond(transaction, 404, now)  # 5.3.2.2
        if answer.result == (cx.IDENTITY_NOT_REGISTERED, True):
            return self.respond(transaction, 480, now)
        return self.respond(transaction, 500 if answer.result == (diameter.UNABLE_TO_COMPLY, False) else 403, now)


def _ends_registration(request: Request) -> bool:
    """Whether this REGISTER takes contacts away (RFC 3261 10.2.2)."""
    contacts = request.contacts
    if not contacts:
        return request.is_contact_star
    expires = request.headers.get("Expires")
    return all(contact.params.get("expires", expires) == "0" for contact in contacts)
