"""What happened, as frozen facts with past participles for names; each is JSON as it stands (`as_json`).

A machine returns them inside `Tell`; the phone hands them to the application, the command line prints them with
`--json`, the desktop window gets them over RPC. `at` is in seconds on the clock of whoever ran the machine.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The root of all events."""

    at: float

    def as_json(self) -> dict[str, Any]:
        """A dict of JSON values, the event's name under `event`."""
        return {"event": type(self).__name__} | {f.name: getattr(self, f.name) for f in fields(self)}


# Registration -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Registering(Event):
    """A REGISTER left for this identity (first, refresh, or after a challenge)."""

    impu: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenged(Event):
    """The network asked for proof."""

    algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered(Event):
    """The network holds our contact for `expires_s` seconds from now.

    `impus` are the identities of P-Associated-URI, the default one first; `service_route` the route of every later
    request outside a dialog (RFC 3608). `protection` names the algorithms of IPsec ("hmac-sha-1-96/aes-cbc"), empty
    where messages go in the clear.
    """

    impu: str
    impus: tuple[str, ...]
    service_route: tuple[str, ...]
    expires_s: int
    is_refresh: bool = False
    protection: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationFailed(Event):
    """No registration. `cause`: rejected, authentication, unreachable or timeout; `sentence` says why and what to do.

    `status` is None where nothing answered. `is_final`: no further attempt follows by itself.
    """

    cause: Literal["rejected", "authentication", "unreachable", "timeout"]
    sentence: str
    status: int | None = None
    reason: str = ""
    retry_after_s: int | None = None
    tried: tuple[str, ...] = ()
    is_final: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Deregistered(Event):
    """The network holds no contact of ours any more (`by` says who ended it)."""

    impu: str
    by: Literal["user", "network"] = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationSeen(Event):
    """What the network says that it holds of us now (RFC 3680), all of it.

    Each of `identities` is {impu, state, contacts}, each contact {uri, state, event, expires_s, is_ours, gruu}.
    """

    identities: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationUnseen(Event):
    """The network does not tell what it holds of us; `sentence` says what it answered."""

    sentence: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOpened(Event):
    """One more flow to the network stands, by the P-CSCF at `pcscf` (RFC 5626; `flow` is its reg-id)."""

    flow: int
    pcscf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLost(Event):
    """A flow stands no more, another one does; `sentence` says why. It comes back by itself where that can be."""

    flow: int
    sentence: str


# Calls: `call` is the call's key, the same in all of its events -----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallIncoming(Event):
    """Somebody calls us; `remote` is the P-Asserted-Identity where there is one, else From."""

    call: str
    remote: str
    display_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallProgressed(Event):
    """A provisional answer other than 100 and 180."""

    call: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRinging(Event):
    """It rings at the far end (180), or here once we sent 180."""

    call: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered(Event):
    """The call is up."""

    call: str
    remote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHeld(Event):
    """The far end put the call on hold (a re-INVITE with sendonly or inactive)."""

    call: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResumed(Event):
    """The far end took the call off hold."""

    call: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(Event):
    """The call is over. `status` is the final answer of a call that never stood (486, 487, 408 ...), else None."""

    call: str
    by: Literal["local", "remote", "network"]
    status: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyOffered(Event):
    """The network took a call of ours for an emergency call and refused it (380): `reason` is what it says of that.

    Nothing follows by itself: whether to call emergency services, and by which phone, is for people to decide.
    """

    call: str
    reason: str


# Texts: `text` is the key of a text of ours, the same in all of its events ------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReceived(Event):
    """Somebody wrote to us; `remote` is the P-Asserted-Identity where there is one, else From."""

    remote: str
    body: str
    display_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSent(Event):
    """A text of ours has left."""

    text: str
    remote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelivered(Event):
    """It has arrived (`status` 200), or somebody in the network keeps it for who is not there (202)."""

    text: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFailed(Event):
    """It was not taken. `status` is None where nothing answered; `sentence` says why and what to do."""

    text: str
    sentence: str
    status: int | None = None
    reason: str = ""
    retry_after_s: int | None = None


# Media --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaStarted(Event):
    """Offer and answer agree: RTP may flow between `local` and `remote`, each (host, port).

    `codec` is the encoding name of the SDP ("PCMA"), `clock_hz` its RTP clock; `direction` as seen from here. What may
    come is `receives`, pairs of payload type and encoding name. RTCP goes to `remote_rtcp`, the port above `remote`
    where that is None, and may take `rtcp_bps` of both ends together, 0 for none (RFC 3556).
    """

    call: str
    local: tuple[str, int]
    remote: tuple[str, int]
    codec: str
    payload_type: int
    clock_hz: int
    ptime_ms: int
    direction: Literal["sendrecv", "sendonly", "recvonly", "inactive"]
    receives: tuple[tuple[int, str], ...] = ()
    remote_rtcp: tuple[str, int] | None = None
    rtcp_bps: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaChanged(MediaStarted):
    """A later offer and answer moved or turned the stream; the fields are the new ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaMeasured(Event):
    """Figures of the received stream, about once a second and once at the end (see `media.quality.Measured`)."""

    call: str
    figures: dict[str, float]


# The network --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChanged(Event):
    """Our own address is another; `was` is the old one. Its calls have ended, and we register from the new one."""

    was: str


# The wire -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Violated(Event):
    """The peer broke a rule. `what` names the thing, `clause` the rule; `did` is what we did about it."""

    what: str
    clause: str
    did: str
    source: str = ""
