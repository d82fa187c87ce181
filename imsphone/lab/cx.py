"""Cx, the interface between CSCFs and HSS (TS 29.228, TS 29.229): four questions, and the CSCF's end of the connection.

    I-CSCF ── UAR  may this user register, and which S-CSCF serves him? ──▶ ┐
    I-CSCF ── LIR  which S-CSCF serves the called user?                 ──▶ │ HSS
    S-CSCF ── MAR  give me something to authenticate him with           ──▶ │
    S-CSCF ── SAR  I serve him now (or no longer): who is he?           ──▶ ┘
    S-CSCF ◀─ RTR  he is no longer yours to serve                       ──── HSS

`Cx` opens its connection with the first question: CER goes out, the questions wait for the CEA, and after that the
hop-by-hop id ties every answer to its question (RFC 6733 5.3, 6.2). A lost connection or an answer that does not come
ends the questions that wait on it with None; the next question opens a new connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from imsphone.errors import ParseError
from imsphone.events import Violated
from imsphone.lab import diameter
from imsphone.lab.diameter import Avp, Avps, Message
from imsphone.machine import Effect, Flow, Ids, Send, Tell

VENDOR_3GPP: Final = 10415
APPLICATION_CX: Final = 16777216  # TS 29.229 6

# Commands, TS 29.229 6.1
USER_AUTHORIZATION: Final = 300
SERVER_ASSIGNMENT: Final = 301
LOCATION_INFO: Final = 302
MULTIMEDIA_AUTH: Final = 303
REGISTRATION_TERMINATION: Final = 304

# AVPs of vendor 3GPP, TS 29.229 6.3
VISITED_NETWORK_IDENTIFIER: Final = 600
PUBLIC_IDENTITY: Final = 601
SERVER_NAME: Final = 602
SERVER_CAPABILITIES: Final = 603
OPTIONAL_CAPABILITY: Final = 605
USER_DATA: Final = 606
SIP_NUMBER_AUTH_ITEMS: Final = 607
SIP_AUTHENTICATION_SCHEME: Final = 608
SIP_AUTHENTICATE: Final = 609
SIP_AUTHORIZATION: Final = 610
SIP_AUTH_DATA_ITEM: Final = 612
SIP_ITEM_NUMBER: Final = 613
SERVER_ASSIGNMENT_TYPE: Final = 614
DEREGISTRATION_REASON: Final = 615
REASON_CODE: Final = 616
REASON_INFO: Final = 617
USER_AUTHORIZATION_TYPE: Final = 623
USER_DATA_ALREADY_AVAILABLE: Final = 624
CONFIDENTIALITY_KEY: Final = 625
INTEGRITY_KEY: Final = 626
SIP_DIGEST_AUTHENTICATE: Final = 635
# inside SIP-Digest-Authenticate, from RFC 4740 9.5
DIGEST_REALM: Final = 104
DIGEST_QOP: Final = 110
DIGEST_ALGORITHM: Final = 111
DIGEST_HA1: Final = 121

# Experimental results, TS 29.229 6.2
FIRST_REGISTRATION: Final = 2001
SUBSEQUENT_REGISTRATION: Final = 2002
UNREGISTERED_SERVICE: Final = 2003
USER_UNKNOWN: Final = 5001
IDENTITIES_DONT_MATCH: Final = 5002
IDENTITY_NOT_REGISTERED: Final = 5003
ROAMING_NOT_ALLOWED: Final = 5004
AUTH_SCHEME_NOT_SUPPORTED: Final = 5006
IN_ASSIGNMENT_TYPE: Final = 5007

# User-Authorization-Type, TS 29.229 6.3.24
REGISTRATION: Final = 0
DE_REGISTRATION: Final = 1

# Server-Assignment-Type, TS 29.229 6.3.15
NO_ASSIGNMENT: Final = 0
ASSIGN_REGISTRATION: Final = 1
ASSIGN_RE_REGISTRATION: Final = 2
ASSIGN_UNREGISTERED_USER: Final = 3
TIMEOUT_DEREGISTRATION: Final = 4
USER_DEREGISTRATION: Final = 5
AUTHENTICATION_FAILURE: Final = 9
AUTHENTICATION_TIMEOUT: Final = 10

# Reason-Code, TS 29.229 6.3.17
PERMANENT_TERMINATION: Final = 0
NEW_SERVER_ASSIGNED: Final = 1
SERVER_CHANGE: Final = 2
REMOVE_S_CSCF: Final = 3

# SIP-Authentication-Scheme, TS 29.228 7.9.2 and table 6.3.4
SCHEME_AKA: Final = "Digest-AKAv1-MD5"
SCHEME_DIGEST: Final = "SIP Digest"
SCHEME_UNKNOWN: Final = "Unknown"

NO_STATE_MAINTAINED: Final = 1  # Auth-Session-State: Cx keeps no sessions, TS 29.229 5.3

_WAIT_S: Final = 5.0
_WAITING_AT_MOST: Final = 100_000


def tgpp(code: int, value: bytes | str | int | Iterable[Avp]) -> Avp:
    """An AVP of vendor 3GPP."""
    return Avp.of(code, value, VENDOR_3GPP)


def application() -> Avp:
    """Vendor-Specific-Application-Id of Cx, still required in every command (TS 29.229 6.1)."""
    return Avp.of(
        diameter.VENDOR_SPECIFIC_APPLICATION_ID,
        [Avp.of(diameter.VENDOR_ID, VENDOR_3GPP), Avp.of(diameter.AUTH_APPLICATION_ID, APPLICATION_CX)],
    )


def capabilities(host: str, realm: str, address: str) -> list[Avp]:
    """What both CER and CEA say of their sender (RFC 6733 5.3)."""
    return [
        Avp.of(diameter.ORIGIN_HOST, host),
        Avp.of(diameter.ORIGIN_REALM, realm),
        Avp.of(diameter.HOST_IP_ADDRESS, diameter.address(address)),
        Avp.of(diameter.VENDOR_ID, VENDOR_3GPP),
        Avp(diameter.PRODUCT_NAME, b"imsphone lab", is_mandatory=False),
        Avp.of(diameter.SUPPORTED_VENDOR_ID, VENDOR_3GPP),
        application(),
    ]


def user_authorization(impi: str, impu: str, visited: str, kind: int) -> list[Avp]:
    """The AVPs of a UAR (TS 29.229 6.1.1). `kind` is REGISTRATION or DE_REGISTRATION."""
    return [
        Avp.of(diameter.USER_NAME, impi),
        tgpp(PUBLIC_IDENTITY, impu),
        tgpp(VISITED_NETWORK_IDENTIFIER, visited),
        tgpp(USER_AUTHORIZATION_TYPE, kind),
    ]


def location_info(impu: str) -> list[Avp]:
    """The AVPs of a LIR (TS 29.229 6.1.5)."""
    return [tgpp(PUBLIC_IDENTITY, impu)]


def multimedia_auth(impi: str, impu: str, server: str, scheme: str, resynchronisation: bytes = b"") -> list[Avp]:
    """The AVPs of a MAR (TS 29.229 6.1.7) for one vector. `resynchronisation` is RAND followed by AUTS."""
    item = [tgpp(SIP_AUTHENTICATION_SCHEME, scheme)]
    if resynchronisation:
        item.append(tgpp(SIP_AUTHORIZATION, resynchronisation))
    return [
        Avp.of(diameter.USER_NAME, impi),
        tgpp(PUBLIC_IDENTITY, impu),
        tgpp(SIP_NUMBER_AUTH_ITEMS, 1),
        tgpp(SIP_AUTH_DATA_ITEM, item),
        tgpp(SERVER_NAME, server),
    ]


def server_assignment(impi: str, impu: str, server: str, kind: int, *, has_profile: bool = False) -> list[Avp]:
    """The AVPs of a SAR (TS 29.229 6.1.3); `has_profile` spares the HSS to send the user's profile again."""
    name = [Avp.of(diameter.USER_NAME, impi)] if impi else []
    return [
        *name,
        tgpp(PUBLIC_IDENTITY, impu),
        tgpp(SERVER_NAME, server),
        tgpp(SERVER_ASSIGNMENT_TYPE, kind),
        tgpp(USER_DATA_ALREADY_AVAILABLE, int(has_profile)),
    ]


def registration_termination(impi: str, impus: Iterable[str], reason: int) -> list[Avp]:
    """The AVPs of a RTR (TS 29.229 6.1.9)."""
    return [
        Avp.of(diameter.USER_NAME, impi),
        *(tgpp(PUBLIC_IDENTITY, impu) for impu in impus),
        tgpp(DEREGISTRATION_REASON, [tgpp(REASON_CODE, reason)]),
    ]


@dataclass(frozen=True, slots=True)
class CxRequested:
    """The HSS takes a user away (RTR): `impus` may be empty, then all of `impi` are meant."""

    impi: str
    impus: tuple[str, ...]
    reason: int


@dataclass(frozen=True, slots=True)
class CxAnswered:
    """A question has come to its end: `answer` is None where the HSS did not give one."""

    about: Any
    answer: Message | None


class Cx:
    """A CSCF's end of its connection to the HSS; a machine whose Tells are `CxAnswered` and `CxRequested`.

    `host` and `realm` are the CSCF's Diameter identity, `flow` the connection (TCP, to the HSS).
    """

    def __init__(self, host: str, realm: str, flow: Flow, ids: Ids) -> None:
        self._host = host
        self._realm = realm
        self._flow = flow
        self._ids = ids
        self._always = (
            application(),
            Avp.of(diameter.AUTH_SESSION_STATE, NO_STATE_MAINTAINED),
            Avp.of(diameter.ORIGIN_HOST, host),
            Avp.of(diameter.ORIGIN_REALM, realm),
            Avp.of(diameter.DESTINATION_REALM, realm),
        )
        self._is_open = False
        self._opening: int | None = None
        self._hop_by_hop = ids.number(32)
        self._session = 0
        self._queued: list[tuple[int, bytes]] = []
        self._waiting: dict[int, Any] = {}
        self._deadlines: deque[tuple[float, int]] = deque()

    @property
    def deadline(self) -> float | None:
        """When the oldest open question has waited long enough."""
        while self._deadlines and self._deadlines[0][1] not in self._waiting:
            self._deadlines.popleft()
        return self._deadlines[0][0] if self._deadlines else None

    def owns(self, flow: Flow) -> bool:
        """Whether what arrives on `flow` belongs to this connection."""
        return flow == self._flow

    def ask(self, command: int, avps: list[Avp], about: Any, now: float) -> list[Effect]:
        """Put a question to the HSS. It ends in `CxAnswered` with the same `about`, at the latest after 5 s."""
        if len(self._waiting) >= _WAITING_AT_MOST:
            return [Tell(CxAnswered(about, None))]
        number = self._next()
        self._session += 1
        request = Message(
            command,
            APPLICATION_CX,
            number,
            self._ids.number(32),
            Avps(
                [
                    Avp.of(diameter.SESSION_ID, f"{self._host};0;{self._session}"),
                    *self._always,
                    *avps,
                ]
            ),
            is_request=True,
            is_proxiable=True,
        )
        self._waiting[number] = about
        self._deadlines.append((now + _WAIT_S, number))
        data = bytes(request)
        if self._is_open:
            return [Send(data, self._flow)]
        self._queued.append((number, data))
        return [] if self._opening is not None else self._open()

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """A Diameter message from the HSS. What cannot be read is told, what was not asked for is dropped."""
        try:
            message = diameter.parse(data)
        except ParseError as error:
            what = f"a message that is no Diameter: {error}"
            return [Tell(Violated(at=now, what=what, clause="RFC 6733 3", did="dropped it", source=str(flow.remote)))]
        if message.is_request:
            return self._serve(message)
        if message.hop_by_hop == self._opening:
            return self._opened(message)
        if message.hop_by_hop not in self._waiting:
            return []
        return [Tell(CxAnswered(self._waiting.pop(message.hop_by_hop), message))]

    def restart(self) -> None:
        """The connection and every question are forgotten."""
        self._is_open = False
        self._opening = None
        self._queued.clear()
        self._waiting.clear()

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """The connection is gone, and with it every answer that was still to come."""
        abandoned = list(self._waiting.values())
        self.restart()
        return [Tell(CxAnswered(about, None)) for about in abandoned]

    def tick(self, now: float) -> list[Effect]:
        """Give up the questions that have waited long enough."""
        effects: list[Effect] = []
        while (at := self.deadline) is not None and at <= now:
            _, number = self._deadlines.popleft()
            effects.append(Tell(CxAnswered(self._waiting.pop(number), None)))
        if effects and not self._is_open:
            self._opening = None  # the next question tries the connection again
            self._queued = [(number, data) for number, data in self._queued if number in self._waiting]
        return effects

    def _next(self) -> int:
        self._hop_by_hop = self._hop_by_hop + 1 & 0xFFFFFFFF
        return self._hop_by_hop

    def _open(self) -> list[Effect]:
        self._opening = self._next()
        avps = Avps(capabilities(self._host, self._realm, self._flow.local.host))
        cer = Message(diameter.CAPABILITIES_EXCHANGE, 0, self._opening, self._ids.number(32), avps, is_request=True)
        return [Send(bytes(cer), self._flow)]

    def _opened(self, cea: Message) -> list[Effect]:
        self._opening = None
        queued = [question for question in self._queued if question[0] in self._waiting]
        self._queued.clear()
        if cea.result != (diameter.SUCCESS, False):
            return [Tell(CxAnswered(self._waiting.pop(number), None)) for number, _ in queued]
        self._is_open = True
        return [Send(data, self._flow) for _, data in queued]

    def _serve(self, request: Message) -> list[Effect]:
        """The HSS asks: its watchdog and a RTR are answered with success (RFC 6733 5.5, TS 29.228 6.2)."""
        is_termination = (request.command, request.application) == (REGISTRATION_TERMINATION, APPLICATION_CX)
        is_known = is_termination or request.command == diameter.DEVICE_WATCHDOG
        result = diameter.SUCCESS if is_known else diameter.COMMAND_UNSUPPORTED
        session = request.avps.get(diameter.SESSION_ID)
        avps = [
            *([Avp.of(diameter.SESSION_ID, session)] if session is not None else []),
            Avp.of(diameter.RESULT_CODE, result),
            Avp.of(diameter.ORIGIN_HOST, self._host),
            Avp.of(diameter.ORIGIN_REALM, self._realm),
        ]
        effects: list[Effect] = [Send(bytes(request.answer(avps, is_error=3000 <= result < 4000)), self._flow)]
        if is_termination:
            said = request.avps
            reason = said.group(DEREGISTRATION_REASON, VENDOR_3GPP).number(REASON_CODE, VENDOR_3GPP) or 0
            named = [avp.data for avp in said if (avp.code, avp.vendor) == (PUBLIC_IDENTITY, VENDOR_3GPP)]
            impus = tuple(data.decode("utf-8", "replace") for data in named)
            effects.append(Tell(CxRequested(said.text(diameter.USER_NAME) or "", impus, reason)))
        return effects
