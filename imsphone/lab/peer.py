"""The far ends: an application server that answers as several people (TS 23.228 5.4.12, TS 24.229 5.7).

    sip:echo@realm      answers, and everything said comes back; so does a text
    sip:recorder@realm  answers, and keeps what is said
    sip:busy@realm      486
    sip:silent@realm    rings and never answers
    anything else       404

They are real user agents: transactions, dialogs, reliable provisional answers, offer and answer, RTP and RTCP. One of
them can also call a phone (`call`) and write to one (`text`). Media addresses are asked of the world and used again
when their call is over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from imsphone.errors import ParseError
from imsphone.lab.alarms import Alarms
from imsphone.lab.answering import Answering
from imsphone.lab.call import ALLOW, Call
from imsphone.lab.calling import Calling
from imsphone.lab.emergency import is_call
from imsphone.lab.leg import Service
from imsphone.lab.link import Link
from imsphone.lab.node import is_literal
from imsphone.lab.texting import reply, text_to
from imsphone.machine import Address, Ask, Effect, Flow, Ids, Tell, Transport
from imsphone.sip.message import Request
from imsphone.sip.server import ServerTransaction
from imsphone.sip.transactions import (
    AckArrived,
    AckMissing,
    RequestArrived,
    ResponseArrived,
    TransactionFailed,
    Transactions,
)
from imsphone.sip.uri import Uri
from imsphone.sip.validation import examine_require

SERVICES: Final = ("echo", "recorder", "busy", "silent")
MOST_CALLS: Final = 1000
_UNDERSTOOD: Final = frozenset(("100rel",))


class FarEnd:
    """The machine. `entry` is the I-CSCF; `link` stands before the RTP of every call, its twin behind it.

    `answers_after_s` is how long it rings.
    """

    def __init__(
        self,
        address: Address,
        realm: str,
        entry: Address,
        ids: Ids,
        *,
        link: Link | None = None,
        answers_after_s: float = 0.2,
    ) -> None:
        self.address = address
        self.ids = ids
        self.transactions = Transactions(ids)
        self.calls: dict[str, Call] = {}
        self._realm = realm
        self._entry = entry
        self._link = link
        self._n_links = 0
        self._answers_after_s = answers_after_s
        self._by_media: dict[Address, tuple[Call, bool]] = {}  # and whether it is the port of RTCP
        self._free: list[Address] = []
        self._alarms = Alarms[str]()  # by the call's key

    # What others call -------------------------------------------------------------------------------------------------

    def call(self, target: str, now: float, service: Service = "echo") -> tuple[str, list[Effect]]:
        """Call a phone by its public identity; gives the call's key and the effects to perform."""
        call = Calling(self, target, f"sip:{service}@{self._realm}", self._entry, service)
        self.calls[call.key] = call
        return call.key, self._begin(call, call.start, now)

    def hang_up(self, key: str, now: float) -> list[Effect]:
        """End a call. Raises KeyError where there is none of this key."""
        call = self.calls[key]
        return self._act(call, partial(call.hang_up, now))

    def text(self, target: str, body: str, now: float, service: Service = "echo") -> list[Effect]:
        """Write to a phone by its public identity."""
        request = text_to(target, f"sip:{service}@{self._realm}", body.encode(), "text/plain;charset=UTF-8", self.ids)
        return self.transactions.request(request, self.hop(request.target), now)[1]

    # The machine ------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """The earliest alarm of the transactions and of every call."""
        times = (self._alarms.deadline, self.transactions.deadline)
        return min((at for at in times if at is not None), default=None)

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """RTP and RTCP by the address that they come to, all else is SIP."""
        if flow.local != self.address:
            call, is_rtcp = self._by_media.get(flow.local, (None, False))
            leg = call.leg if call is not None else None
            if call is None or leg is None:
                return []
            return self._act(call, partial(leg.receive_rtcp if is_rtcp else leg.receive, data, now))
        return self._heed(self.transactions.receive(data, flow, now), now)

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        """A place for media has been found, or not."""
        call = self.calls.get(ask.about)
        if not isinstance(call, (Answering, Calling)):
            if isinstance(result, Address):
                self._free.append(result)
            return []
        return self._act(call, partial(call.opened, self._taken(call, result), now))

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """Nothing gets through there any more."""
        return self._heed(self.transactions.lost(flow, now), now)

    def tick(self, now: float) -> list[Effect]:
        """The alarm of whoever it was that set it."""
        effects = self._heed(self.transactions.tick(now), now)
        for key in self._alarms.due(now):
            call = self.calls[key]
            effects += self._act(call, partial(call.tick, now))
        return effects

    # For the calls ----------------------------------------------------------------------------------------------------

    def hop(self, uri: Uri) -> Flow:
        """The flow to the host of this URI; what a core does not name by a literal goes to the I-CSCF."""
        transport: Transport = "TCP" if uri.transport == "TCP" else "UDP"
        there = Address(uri.host, uri.port or 5060) if is_literal(uri.host) else self._entry
        return Flow(transport, self.address, there)

    def links(self) -> tuple[Link, Link] | None:
        """The two ways of one call's RTP, each with a fate of its own."""
        if self._link is None:
            return None
        self._n_links += 2
        return self._link.twin(self._n_links - 1), self._link.twin(self._n_links)

    # Inside -----------------------------------------------------------------------------------------------------------

    def _act(self, call: Call, act: Callable[[], list[Effect]]) -> list[Effect]:
        """Lets a call act and sets its alarm; frees what it held once it is over."""
        effects = act()
        if self.calls.get(call.key) is not call:
            return effects  # it was over before: this is an echo of it
        self._alarms.set(call.key, None if call.is_over else call.deadline)
        if call.is_over:
            del self.calls[call.key]
            if call.media is not None:
                for port in (call.media.port, call.media.port + 1):
                    self._by_media.pop(Address(call.media.host, port), None)
                self._free.append(call.media)
        return effects

    def _begin(self, call: Answering | Calling, act: Callable[[], list[Effect]], now: float) -> list[Effect]:
        """Lets a call begin; if it asks for a media address and one is in stock, it has it at once."""
        effects: list[Effect] = []
        for effect in self._act(call, act):
            if isinstance(effect, Ask) and self._free:
                effects += self._act(call, partial(call.opened, self._taken(call, self._free.pop()), now))
            else:
                effects.append(effect)
        return effects

    def _taken(self, call: Call, media: Address | None) -> Address | None:
        if media is not None:
            self._by_media[media] = (call, False)
            self._by_media[Address(media.host, media.port + 1)] = (call, True)
        return media

    def _heed(self, effects: list[Effect], now: float) -> list[Effect]:
        heeded: list[Effect] = []
        for effect in effects:
            event = effect.event if isinstance(effect, Tell) else None
            if isinstance(event, RequestArrived):
                heeded += self._arrived(event, now)
            elif isinstance(event, AckArrived):
                call = self.calls.get(event.request.call_id)
                if call is not None:
                    heeded += self._act(call, partial(call.acknowledge, event.request, now))
            elif isinstance(event, ResponseArrived):
                heeded += self._heard(event, now)
            elif isinstance(event, TransactionFailed):
                failed = event.transaction.mark
                if isinstance(failed, Calling):
                    heeded += self._act(failed, partial(failed.failed, event.transaction, now))
            elif not isinstance(event, AckMissing):
                heeded.append(effect)
        return heeded

    def _heard(self, event: ResponseArrived, now: float) -> list[Effect]:
        call = event.transaction.mark
        if not isinstance(call, Calling):
            return []

        def heard() -> list[Effect]:
            try:
                return call.heard(event.response, event.transaction, now)
            except ParseError:
                return []

        return self._act(call, heard)

    def _arrived(self, event: RequestArrived, now: float) -> list[Effect]:
        request, transaction = event.request, event.transaction
        if request.method == "CANCEL":
            return self._cancelled(event, now)
        fault = examine_require(request, _UNDERSTOOD)
        if fault is not None and fault.status is not None:
            return self._respond(request, transaction, fault.status, now, fault.headers)
        if request.to.tag:
            return self._inside(request, transaction, now)
        if request.method == "INVITE":
            return self._invited(request, transaction, now)
        if request.method == "OPTIONS":
            return self._respond(request, transaction, 200, now, (("Allow", ALLOW),))
        if request.method == "MESSAGE":
            return self._texted(request, transaction, now)
        return self._respond(request, transaction, 405, now, (("Allow", ALLOW),))

    def _inside(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        call = self.calls.get(request.call_id)
        dialog = call.dialog if call is not None else None
        if (
            call is None
            or dialog is None
            or (dialog.local.tag, dialog.remote.tag) != (request.to.tag, request.from_.tag)
        ):
            return self._respond(request, transaction, 481, now)
        if not dialog.accepts(request):
            return self._respond(request, transaction, 500, now)  # RFC 3261 12.2.2
        return self._act(call, partial(call.inside, request, transaction, now))

    def _texted(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        service = request.target.user
        if service == "busy" or service not in SERVICES:
            return self._respond(request, transaction, 486 if service == "busy" else 404, now)
        effects = self._respond(request, transaction, 200, now)
        if service == "echo" and (back := reply(request, self.ids)) is not None:
            effects += self.transactions.request(back, self.hop(back.target), now)[1]
        return effects

    def _invited(self, request: Request, transaction: ServerTransaction, now: float) -> list[Effect]:
        effects = self.transactions.respond(transaction, request.answer(100), now)
        target = request.target
        service = target.user if target.host in (self._realm, self.address.host) else ""
        if is_call(target):  # this is a test PSAP too, which says back what it hears
            service = "echo"
        if service == "busy":
            return effects + self._respond(request, transaction, 486, now)
        if service not in SERVICES:
            return effects + self._respond(request, transaction, 404, now)
        if request.call_id in self.calls:
            return effects + self._respond(request, transaction, 482, now)  # RFC 3261 8.2.2.2: merged
        if len(self.calls) >= MOST_CALLS:
            return effects + self._respond(request, transaction, 503, now)
        after_s = None if service == "silent" else self._answers_after_s
        try:
            kind: Service = "recorder" if service == "recorder" else "echo"
            call = Answering(self, request, transaction, kind, after_s)
        except ParseError:
            return effects + self._respond(request, transaction, 400, now)
        transaction.mark = call
        self.calls[call.key] = call
        return effects + self._begin(call, partial(call.start, now), now)

    def _cancelled(self, event: RequestArrived, now: float) -> list[Effect]:
        if event.cancels is None:
            return self._respond(event.request, event.transaction, 481, now)
        effects = self._respond(event.request, event.transaction, 200, now)
        call = event.cancels.mark
        if isinstance(call, Answering):
            effects += self._act(call, partial(call.cancel, now))
        return effects

    def _respond(
        self,
        request: Request,
        transaction: ServerTransaction,
        status: int,
        now: float,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> list[Effect]:
        response = request.answer(status, tag=self.ids.tag())
        for name, value in headers:
            response.headers.add(name, value)
        return self.transactions.respond(transaction, response, now)
