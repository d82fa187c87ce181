"""The S-CSCF tells its users what it holds of them (TS 24.229 5.4.2, RFC 3680, RFC 6665).

    SUBSCRIBE, Event: reg ──▶ 200, NOTIFY full state
    a contact comes, is refreshed, goes ──▶ NOTIFY to all who subscribed to its set
    the last one goes ──▶ NOTIFY, Subscription-State: terminated                        5.4.2.1.2

Only a user of the set itself may subscribe (5.4.2.1.1): that the P-CSCF asserts his identity is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from imsphone.lab import reginfo
from imsphone.lab.alarms import Alarms
from imsphone.lab.gruu import Gruus
from imsphone.lab.registrar import Bound, Registration
from imsphone.machine import Effect, Ids
from imsphone.sip.dialog import Dialog
from imsphone.sip.message import Request, Response
from imsphone.sip.server import ServerTransaction

MOST_SUBSCRIPTIONS: Final = 20_000
LONGEST_S: Final = 600_000


class Server(Protocol):
    """What the notifier needs of the S-CSCF that it runs in."""

    ids: Ids
    name: str
    gruus: Gruus

    def respond(
        self, transaction: ServerTransaction, status: int, now: float, reason: str | None = None, **headers: str
    ) -> list[Effect]: ...

    def send_response(self, transaction: ServerTransaction, response: Response, now: float) -> list[Effect]: ...

    def send_request(self, request: Request, now: float, mark: object) -> list[Effect]: ...


@dataclass(slots=True, eq=False)
class Subscriber:
    """Who wants to be told of the set of `impu`."""

    impu: str
    dialog: Dialog
    expires_at: float
    version: int = 0


class Notifier:
    """All subscriptions, by our tag."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._subscribers: dict[str, Subscriber] = {}
        self._ends = Alarms[str]()

    @property
    def deadline(self) -> float | None:
        """When the next subscription ends."""
        return self._ends.deadline

    def tick(self, now: float) -> None:
        """Forgets those whose time is over."""
        for tag in self._ends.due(now):
            del self._subscribers[tag]

    def __len__(self) -> int:
        return len(self._subscribers)

    def subscribe(
        self, request: Request, transaction: ServerTransaction, registration: Registration, now: float
    ) -> list[Effect]:
        """A SUBSCRIBE outside a dialog, of a user of this set. Raises ParseError where it makes no dialog."""
        if len(self._subscribers) >= MOST_SUBSCRIPTIONS:
            return self._server.respond(transaction, 503, now)
        tag = self._server.ids.tag()
        dialog = Dialog.from_request(request, tag)
        subscriber = self._subscribers[tag] = Subscriber(registration.profile.impus[0], dialog, now)
        return self._grant(subscriber, request, transaction, registration, now)

    def refresh(
        self, request: Request, transaction: ServerTransaction, registration: Registration | None, now: float
    ) -> list[Effect]:
        """A SUBSCRIBE inside a dialog."""
        subscriber = self._subscribers.get(request.to.tag)
        if subscriber is None or subscriber.dialog.key != Dialog.key_of(request) or registration is None:
            return self._server.respond(transaction, 481, now)
        if not subscriber.dialog.accepts(request):
            return self._server.respond(transaction, 500, now)
        return self._grant(subscriber, request, transaction, registration, now)

    def set_of(self, request: Request) -> str:
        """The first identity of the set that a SUBSCRIBE inside a dialog is about, or the empty string."""
        subscriber = self._subscribers.get(request.to.tag)
        return subscriber.impu if subscriber else ""

    def changed(
        self, registration: Registration, now: float, event: str, gone: Iterable[Bound] = (), fate: str = ""
    ) -> list[Effect]:
        """Something about this set is new: tell who wants to know. Without a contact left their subscriptions end."""
        impu, gone = registration.profile.impus[0], tuple(gone)
        effects: list[Effect] = []
        for tag, subscriber in list(self._subscribers.items()):
            if subscriber.impu != impu:
                continue
            effects += self._notify(subscriber, registration, now, event, gone, fate)
            if not registration.bound:
                self._forget(tag)
        return effects

    def lost(self, mark: object) -> None:
        """A NOTIFY was refused or found nobody (RFC 6665 4.2.2)."""
        if isinstance(mark, Subscriber):
            self._forget(mark.dialog.local.tag)

    def _forget(self, tag: str) -> None:
        if self._subscribers.pop(tag, None) is not None:
            self._ends.set(tag, None)

    def _grant(
        self,
        subscriber: Subscriber,
        request: Request,
        transaction: ServerTransaction,
        registration: Registration,
        now: float,
    ) -> list[Effect]:
        """200 and the full state; with Expires 0 it is the last (RFC 6665 4.2.1.4)."""
        tag = subscriber.dialog.local.tag
        expires_s = min(LONGEST_S if request.expires is None else request.expires, LONGEST_S)
        subscriber.expires_at = now + expires_s
        response = request.answer(200, tag=tag)
        response.headers.add("Contact", f"<{self._server.name}>")
        response.headers.add("Expires", str(expires_s))
        effects = self._server.send_response(transaction, response, now)
        effects += self._notify(subscriber, registration, now, "registered")
        if expires_s:
            self._ends.set(tag, subscriber.expires_at)
        else:
            self._forget(tag)
        return effects

    def _notify(
        self,
        subscriber: Subscriber,
        registration: Registration,
        now: float,
        event: str,
        gone: tuple[Bound, ...] = (),
        fate: str = "",
    ) -> list[Effect]:
        left_s = round(subscriber.expires_at - now)
        state = f"active;expires={left_s}"
        if not registration.bound:
            state = "terminated;reason=noresource"
        elif left_s <= 0:
            state = "terminated;reason=timeout"
        request = subscriber.dialog.request("NOTIFY")
        for name, value in (("Contact", f"<{self._server.name}>"), ("Event", "reg"), ("Subscription-State", state)):
            request.headers.add(name, value)
        gruus = self._server.gruus.of
        body = reginfo.document(registration, subscriber.version, event, now, gone, fate, gruus)
        request.set_body(body, reginfo.MIME_TYPE)
        subscriber.version += 1
        return self._server.send_request(request, now, subscriber)
