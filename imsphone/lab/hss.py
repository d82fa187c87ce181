"""The Home Subscriber Server: answers the four questions of Cx (TS 29.228) from what it knows of its subscribers.

It asks one itself: `terminate` takes a registered user away from his S-CSCF (RTR, TS 29.228 6.2).

                 UAR                       SAR (registration)                 SAR (deregistration)
    unknown ──▶ 5001        not registered ──────────────▶ registered ──────────────────▶ not registered
    IMPI ≠ IMPU ─▶ 5002       │ MAR: vector, S-CSCF noted     │ UAR: 2002 and its S-CSCF
    all barred ──▶ 5003       │ UAR: 2001, choose one         │ LIR: its S-CSCF
                              │ LIR: 5003 (or 2003)           │

Each peer opens its connection with CER once; whoever asks anything else first is told so (RFC 6733 5.3, 5.6). Keys stay
inside `Subscriber.algorithms`; what leaves are vectors, which the S-CSCF needs (TS 29.228 6.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from imsphone.errors import ParseError
from imsphone.events import Violated
from imsphone.lab import cx, diameter
from imsphone.lab.cx import tgpp
from imsphone.lab.diameter import Avp, Avps, Message
from imsphone.lab.subscriber import Subscriber
from imsphone.machine import Address, Ask, Effect, Flow, Ids, Send, Tell
from imsphone.usim.aka import Vector, open_auts

_PEERS_AT_MOST: Final = 1000
_RAND_BYTES: Final = 16

# Result and AVPs of an answer; `is_experimental` says whose number space the code belongs to.
_Answer = tuple[int, bool, list[Avp]]


def _refuse(code: int, *, is_experimental: bool = True) -> _Answer:
    return code, is_experimental, []


class Hss:
    """The machine. `services` maps public service identities to the server that answers them (TS 23.228 5.4.12)."""

    def __init__(
        self,
        address: Address,
        host: str,
        realm: str,
        subscribers: Iterable[Subscriber],
        ids: Ids,
        services: dict[str, str] | None = None,
    ) -> None:
        self.address = address
        self._host = host
        self._realm = realm
        self._ids = ids
        self._application = cx.application()
        self._stateless = Avp.of(diameter.AUTH_SESSION_STATE, cx.NO_STATE_MAINTAINED)
        self._origin = (Avp.of(diameter.ORIGIN_HOST, host), Avp.of(diameter.ORIGIN_REALM, realm))
        self._subscribers: dict[str, Subscriber] = {}
        self._by_impu: dict[str, Subscriber] = {}
        self._services = services or {}
        self._peers: dict[Flow, str] = {}  # their Origin-Host
        self._hop_by_hop = 0
        self._serve: dict[int, Callable[[Avps], _Answer]] = {
            cx.USER_AUTHORIZATION: self._user_authorization,
            cx.MULTIMEDIA_AUTH: self._multimedia_auth,
            cx.SERVER_ASSIGNMENT: self._server_assignment,
            cx.LOCATION_INFO: self._location_info,
        }
        for subscriber in subscribers:
            self.add(subscriber)

    def add(self, subscriber: Subscriber) -> None:
        """A new subscription. Raises ValueError where one of its identities belongs to another."""
        if subscriber.impi in self._subscribers:
            raise ValueError(f"the private identity {subscriber.impi} is taken")
        for impu in subscriber.impus:
            if impu in self._by_impu:
                raise ValueError(f"the public identity {impu} belongs to {self._by_impu[impu].impi}")
        self._subscribers[subscriber.impi] = subscriber
        for impu in subscriber.impus:
            self._by_impu[impu] = subscriber

    def subscriber(self, impi: str) -> Subscriber:
        """The subscription of this private identity. Raises KeyError."""
        return self._subscribers[impi]

    @property
    def peers(self) -> tuple[str, ...]:
        """The Diameter identities of those who are connected."""
        return tuple(self._peers.values())

    def terminate(self, impi: str, reason: int, now: float) -> list[Effect]:
        """Takes a subscriber's registration away: RTR to his S-CSCF. `reason` is a Reason-Code of `lab.cx`.

        Raises KeyError where there is no such private identity.
        """
        subscriber = self._subscribers[impi]
        flow = next((flow for flow, host in self._peers.items() if host == subscriber.server_host), None)
        if not subscriber.is_registered or flow is None:
            return []
        subscriber.server_name, subscriber.is_registered = "", False
        self._hop_by_hop = self._hop_by_hop + 1 & 0xFFFFFFFF
        avps = [
            Avp.of(diameter.SESSION_ID, f"{self._host};1;{self._hop_by_hop}"),
            self._application,
            self._stateless,
            *self._origin,
            Avp.of(diameter.DESTINATION_HOST, subscriber.server_host),
            Avp.of(diameter.DESTINATION_REALM, self._realm),
            *cx.registration_termination(impi, subscriber.impus, reason),
        ]
        number = self._hop_by_hop
        kind = cx.REGISTRATION_TERMINATION
        request = Message(kind, cx.APPLICATION_CX, number, number, Avps(avps), is_request=True, is_proxiable=True)
        return [Send(bytes(request), flow)]

    # The machine ------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> None:
        """The HSS waits for nothing."""
        return None

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """One Diameter message from a CSCF."""
        try:
            request = diameter.parse(data)
        except ParseError as error:
            what = f"a message that is no Diameter: {error}"
            return [Tell(Violated(at=now, what=what, clause="RFC 6733 3", did="dropped it", source=str(flow.remote)))]
        if not request.is_request:
            return []  # the answer to a RTR: there is nothing left to do
        return [Send(bytes(self._answer(request, flow)), flow)]

    def answer(self, ask: Ask, result: object, now: float) -> list[Effect]:
        """The HSS asks nothing."""
        return []

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """A peer went away; it has to introduce itself again."""
        self._peers.pop(flow, None)
        return []

    def tick(self, now: float) -> list[Effect]:
        """Never called: there is no deadline."""
        return []

    # The base protocol ------------------------------------------------------------------------------------------------

    def _answer(self, request: Message, flow: Flow) -> Message:
        if request.command == diameter.CAPABILITIES_EXCHANGE:
            return self._capabilities(request, flow)
        if flow not in self._peers:
            return self._base(request, diameter.UNKNOWN_PEER)
        if request.command == diameter.DEVICE_WATCHDOG:
            return self._base(request, diameter.SUCCESS)
        if request.command == diameter.DISCONNECT_PEER:
            self._peers.pop(flow, None)
            return self._base(request, diameter.SUCCESS)
        if request.application != cx.APPLICATION_CX:
            return self._base(request, diameter.APPLICATION_UNSUPPORTED)
        serve = self._serve.get(request.command)
        if serve is None:
            return self._base(request, diameter.COMMAND_UNSUPPORTED)
        code, is_experimental, avps = serve(request.avps)
        result = (
            Avp.of(
                diameter.EXPERIMENTAL_RESULT,
                [Avp.of(diameter.VENDOR_ID, cx.VENDOR_3GPP), Avp.of(diameter.EXPERIMENTAL_RESULT_CODE, code)],
            )
            if is_experimental
            else Avp.of(diameter.RESULT_CODE, code)
        )
        return request.answer(
            [
                *_session(request),
                self._application,
                result,
                self._stateless,
                *self._origin,
                *avps,
            ]
        )

    def _capabilities(self, request: Message, flow: Flow) -> Message:
        """CEA: welcome to a peer that speaks Cx (RFC 6733 5.3.2), once per connection."""
        offered = request.avps.group(diameter.VENDOR_SPECIFIC_APPLICATION_ID).number(diameter.AUTH_APPLICATION_ID)
        if offered is None:
            offered = request.avps.number(diameter.AUTH_APPLICATION_ID)
        if offered != cx.APPLICATION_CX:
            result = diameter.NO_COMMON_APPLICATION
        else:
            result = diameter.SUCCESS
            self._peers[flow] = request.avps.text(diameter.ORIGIN_HOST) or ""
            while len(self._peers) > _PEERS_AT_MOST:
                del self._peers[next(iter(self._peers))]
        own = cx.capabilities(self._host, self._realm, self.address.host)
        return request.answer([Avp.of(diameter.RESULT_CODE, result), *own])

    def _base(self, request: Message, result: int) -> Message:
        avps = [
            *_session(request),
            Avp.of(diameter.RESULT_CODE, result),
            *self._origin,
        ]
        return request.answer(avps, is_error=3000 <= result < 4000)  # RFC 6733 7.1.3: the E bit for 3xxx

    # Cx ---------------------------------------------------------------------------------------------------------------

    def _find(self, avps: Avps) -> tuple[Subscriber, str] | _Answer:
        """The subscriber of User-Name and Public-Identity, or the refusal (TS 29.228 6.1.1.1 steps 1 and 2)."""
        impi, impu = avps.text(diameter.USER_NAME), avps.text(cx.PUBLIC_IDENTITY, cx.VENDOR_3GPP)
        if impi is None or impu is None:
            return _refuse(diameter.MISSING_AVP, is_experimental=False)
        by_impi, by_impu = self._subscribers.get(impi), self._by_impu.get(impu)
        if by_impi is None or by_impu is None:
            return _refuse(cx.USER_UNKNOWN)
        if by_impi is not by_impu:
            return _refuse(cx.IDENTITIES_DONT_MATCH)
        return by_impi, impu

    def _user_authorization(self, avps: Avps) -> _Answer:
        """May he register, and where? (TS 29.228 6.1.1.1)"""
        found = self._find(avps)
        if len(found) == 3:
            return found
        subscriber, _ = found
        if subscriber.barred.issuperset(subscriber.impus):
            return _refuse(diameter.AUTHORIZATION_REJECTED, is_experimental=False)  # step 3
        kind = avps.number(cx.USER_AUTHORIZATION_TYPE, cx.VENDOR_3GPP) or cx.REGISTRATION
        visited = avps.text(cx.VISITED_NETWORK_IDENTIFIER, cx.VENDOR_3GPP)
        if kind == cx.DE_REGISTRATION:
            if not subscriber.server_name:
                return _refuse(cx.IDENTITY_NOT_REGISTERED)
            return diameter.SUCCESS, False, [tgpp(cx.SERVER_NAME, subscriber.server_name)]
        if visited != self._realm and not subscriber.may_roam:
            return _refuse(cx.ROAMING_NOT_ALLOWED)  # step 4
        if subscriber.server_name:
            return cx.SUBSEQUENT_REGISTRATION, True, [tgpp(cx.SERVER_NAME, subscriber.server_name)]
        return cx.FIRST_REGISTRATION, True, [tgpp(cx.SERVER_CAPABILITIES, [tgpp(cx.OPTIONAL_CAPABILITY, 0)])]

    def _multimedia_auth(self, avps: Avps) -> _Answer:
        """Something to authenticate him with (TS 29.228 6.3.1)."""
        found = self._find(avps)
        if len(found) == 3:
            return found
        subscriber, impu = found
        server = avps.text(cx.SERVER_NAME, cx.VENDOR_3GPP)
        if not server:
            return _refuse(diameter.MISSING_AVP, is_experimental=False)
        asked = avps.group(cx.SIP_AUTH_DATA_ITEM, cx.VENDOR_3GPP)
        own = cx.SCHEME_AKA if subscriber.algorithms is not None else cx.SCHEME_DIGEST
        if asked.text(cx.SIP_AUTHENTICATION_SCHEME, cx.VENDOR_3GPP) not in (own, cx.SCHEME_UNKNOWN):
            return _refuse(cx.AUTH_SCHEME_NOT_SUPPORTED)
        if subscriber.algorithms is None:
            item = [tgpp(cx.SIP_AUTHENTICATION_SCHEME, own), self._digest(subscriber)]
        else:
            refused = asked.get(cx.SIP_AUTHORIZATION, cx.VENDOR_3GPP)
            if refused is not None:
                sqn = open_auts(subscriber.algorithms, refused[:_RAND_BYTES], refused[_RAND_BYTES:])
                if sqn is None:  # a forged AUTS changes nothing (TS 33.102 6.3.5)
                    return _refuse(diameter.UNABLE_TO_COMPLY, is_experimental=False)
                subscriber.sqn = sqn
            vector = Vector.make(
                subscriber.algorithms, subscriber.next_sqn(), subscriber.amf, self._ids.data(_RAND_BYTES)
            )
            item = [
                tgpp(cx.SIP_ITEM_NUMBER, 1),
                tgpp(cx.SIP_AUTHENTICATION_SCHEME, own),
                tgpp(cx.SIP_AUTHENTICATE, vector.rand + vector.autn),
                tgpp(cx.SIP_AUTHORIZATION, vector.xres),
                tgpp(cx.CONFIDENTIALITY_KEY, vector.ck),
                tgpp(cx.INTEGRITY_KEY, vector.ik),
            ]
        subscriber.server_name = server  # step 5: this S-CSCF now awaits his proof
        return (
            diameter.SUCCESS,
            False,
            [
                Avp.of(diameter.USER_NAME, subscriber.impi),
                tgpp(cx.PUBLIC_IDENTITY, impu),
                tgpp(cx.SIP_NUMBER_AUTH_ITEMS, 1),
                tgpp(cx.SIP_AUTH_DATA_ITEM, item),
            ],
        )

    def _digest(self, subscriber: Subscriber) -> Avp:
        """SIP-Digest-Authenticate (TS 29.229 6.3.36)."""
        return tgpp(
            cx.SIP_DIGEST_AUTHENTICATE,
            [
                Avp.of(cx.DIGEST_REALM, self._realm),
                Avp.of(cx.DIGEST_ALGORITHM, subscriber.algorithm),
                Avp.of(cx.DIGEST_QOP, "auth"),
                Avp.of(cx.DIGEST_HA1, subscriber.ha1),
            ],
        )

    def _server_assignment(self, avps: Avps) -> _Answer:
        """He is served by this S-CSCF now, or no longer (TS 29.228 6.1.2.1)."""
        kind, server = avps.number(cx.SERVER_ASSIGNMENT_TYPE, cx.VENDOR_3GPP), avps.text(cx.SERVER_NAME, cx.VENDOR_3GPP)
        if kind is None or not server:
            return _refuse(diameter.MISSING_AVP, is_experimental=False)
        if kind in (cx.ASSIGN_UNREGISTERED_USER, cx.NO_ASSIGNMENT):  # these come with a public identity alone
            subscriber = self._by_impu.get(avps.text(cx.PUBLIC_IDENTITY, cx.VENDOR_3GPP) or "")
            if subscriber is None:
                return _refuse(cx.USER_UNKNOWN)
        else:
            found = self._find(avps)
            if len(found) == 3:
                return found
            subscriber, _ = found
        if kind in (cx.ASSIGN_REGISTRATION, cx.ASSIGN_RE_REGISTRATION):
            subscriber.server_name, subscriber.is_registered = server, True
            subscriber.server_host = avps.text(diameter.ORIGIN_HOST) or ""
        elif kind == cx.ASSIGN_UNREGISTERED_USER:
            subscriber.server_name = server
        elif kind in (cx.TIMEOUT_DEREGISTRATION, cx.USER_DEREGISTRATION):
            subscriber.server_name, subscriber.is_registered = "", False
            return diameter.SUCCESS, False, [Avp.of(diameter.USER_NAME, subscriber.impi)]
        elif kind in (cx.AUTHENTICATION_FAILURE, cx.AUTHENTICATION_TIMEOUT):
            if not subscriber.is_registered:
                subscriber.server_name = ""
            return diameter.SUCCESS, False, [Avp.of(diameter.USER_NAME, subscriber.impi)]
        elif kind != cx.NO_ASSIGNMENT:
            return _refuse(diameter.INVALID_AVP_VALUE, is_experimental=False)
        answer = [Avp.of(diameter.USER_NAME, subscriber.impi)]
        if not avps.number(cx.USER_DATA_ALREADY_AVAILABLE, cx.VENDOR_3GPP):
            answer.append(tgpp(cx.USER_DATA, subscriber.profile()))
        return diameter.SUCCESS, False, answer

    def _location_info(self, avps: Avps) -> _Answer:
        """Who serves the called user? (TS 29.228 6.1.4.1)"""
        impu = avps.text(cx.PUBLIC_IDENTITY, cx.VENDOR_3GPP)
        if impu is None:
            return _refuse(diameter.MISSING_AVP, is_experimental=False)
        if impu in self._services:
            return diameter.SUCCESS, False, [tgpp(cx.SERVER_NAME, self._services[impu])]
        subscriber = self._by_impu.get(impu)
        if subscriber is None:
            return _refuse(cx.USER_UNKNOWN)
        if subscriber.is_registered or (subscriber.server_name and subscriber.has_unregistered_services):
            return diameter.SUCCESS, False, [tgpp(cx.SERVER_NAME, subscriber.server_name)]
        if subscriber.has_unregistered_services:
            capabilities = tgpp(cx.SERVER_CAPABILITIES, [tgpp(cx.OPTIONAL_CAPABILITY, 0)])
            return cx.UNREGISTERED_SERVICE, True, [capabilities]
        return _refuse(cx.IDENTITY_NOT_REGISTERED)


def _session(request: Message) -> list[Avp]:
    session = request.avps.get(diameter.SESSION_ID)
    return [] if session is None else [Avp.of(diameter.SESSION_ID, session)]
