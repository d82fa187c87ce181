"""What all SIP nodes of the network share: the machine's contract, and a stateful proxy (RFC 3261 16).

               receive ─▶ Transactions ─▶ RequestArrived ──▶ serve()          each node's own
                                          AckArrived ──────▶ onward by Route
                                          ResponseArrived ─▶ Forwarding ──▶ edit() ──▶ upstream
                                          TransactionFailed ▶ as if 408 or 503 had come
                                          CANCEL ──────────▶ 200, and on every open branch

A node overrides `serve` and hands what goes on to `forward`, one target or several. It knows its neighbours by address
(`names` for those that are called by name), as an IMS core does; it asks no resolver.
"""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from imsphone.errors import ParseError
from imsphone.lab.proxy import Edit, Forwarding
from imsphone.machine import Address, Ask, Effect, Flow, Ids, Send, Tell, Transport
from imsphone.sip.client import ClientTransaction
from imsphone.sip.fields import NameAddr
from imsphone.sip.message import Request, Response
from imsphone.sip.server import ServerTransaction
from imsphone.sip.timers import RFC_3261, Timers
from imsphone.sip.transactions import (
    AckArrived,
    AckMissing,
    RequestArrived,
    ResponseArrived,
    TransactionFailed,
    Transactions,
)
from imsphone.sip.uri import Uri

TIMER_C_S: Final = 185.0  # RFC 3261 16.6 step 11: more than three minutes
_SIP_PORT: Final = 5060


Objection = Callable[[Request, Flow, float], tuple[int, dict[str, str]] | None]
"""A fault (`lab.faults`): status and headers that a request gets in place of being served, or None."""


class Node:
    """A SIP node at `address`. `names` maps the host names it can reach to addresses.

    `objection` and `loses` are for faults: a request that is refused, a response whose first copy never leaves.
    """

    understands: frozenset[str] = frozenset()
    """Option tags of Proxy-Require that it takes."""

    def __init__(
        self,
        address: Address,
        ids: Ids,
        names: Mapping[str, Address] | None = None,
        timers: Timers | Callable[[Flow], Timers] = RFC_3261,
    ) -> None:
        self.address = address
        self.ids = ids
        self.names = names or {}
        self.transactions = Transactions(ids, timers)
        self.objection: Objection | None = None
        self.loses: Callable[[Response], bool] | None = None
        self._timers = timers
        self._calls: deque[tuple[float, ClientTransaction]] = deque()  # Timer C, one length for all

    # The machine ------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """The earliest of the transactions' alarm, Timer C and the node's own."""
        while self._calls and not _is_due(*self._calls[0]):
            self._calls.popleft()
        times = (self.transactions.deadline, self._calls[0][0] if self._calls else None, self.own_deadline())
        return min((at for at in times if at is not None), default=None)

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """A SIP message."""
        return self.heed(self.transactions.receive(data, flow, now), now)

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        """A node asks nothing unless it says so."""
        return []

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """A next hop is gone, and the requests under way to it have failed."""
        return self.heed(self.transactions.lost(flow, now), now)

    def tick(self, now: float) -> list[Effect]:
        """The alarm of whoever it was that set it."""
        effects = self.heed(self.transactions.tick(now), now)
        while self._calls and self._calls[0][0] <= now:
            at, branch = self._calls.popleft()
            if _is_due(at, branch):
                effects += self.transactions.cancel(branch, now)  # 16.8
        return effects + self.own_tick(now)

    def restart(self) -> None:
        """Everything that it had in memory is gone."""
        self.transactions = Transactions(self.ids, self._timers)
        self._calls.clear()

    # For each node to say ---------------------------------------------------------------------------------------------

    def serve(self, request: Request, transaction: ServerTransaction, flow: Flow, now: float) -> list[Effect]:
        """A request other than ACK and CANCEL has come. A ParseError raised here is answered with 400."""
        raise NotImplementedError

    def acknowledge(self, request: Request, flow: Flow, now: float) -> list[Effect]:
        """The ACK of a 2xx has come: onward by its Route."""
        self.pop_own_route(request)
        if (target := self.next_hop(request)) is None:
            return []
        self.count_hop(request)
        return self.transactions.send(request, target)

    def own_deadline(self) -> float | None:
        """When `own_tick` is due."""
        return None

    def own_tick(self, now: float) -> list[Effect]:
        """The node's own alarm, maybe; called at every tick."""
        return []

    def own_answered(self, branch: ClientTransaction, response: Response | None, now: float) -> list[Effect]:
        """A request of the node's own has its final response; None: it found nobody."""
        return []

    # What a node does -------------------------------------------------------------------------------------------------

    def respond(
        self, transaction: ServerTransaction, status: int, now: float, reason: str | None = None, **headers: str
    ) -> list[Effect]:
        """Answer a request; `headers` by name with `_` for `-`."""
        response = transaction.request.answer(status, reason, self.ids.tag())
        for name, value in headers.items():
            response.headers.add(name.replace("_", "-"), value)
        return self.transactions.respond(transaction, response, now)

    def forward(
        self,
        transaction: ServerTransaction,
        onward: Iterable[tuple[Request, Flow]],
        now: float,
        edit: Edit | None = None,
    ) -> list[Effect]:
        """Send copies of a request onward, all at once; what they bring back goes upstream through `edit`.

        Nothing happens where the request has been answered meanwhile (a CANCEL overtook a question to the HSS).
        """
        if transaction.is_answered:
            return []
        forwarding = Forwarding(transaction, edit)
        transaction.mark = forwarding
        effects: list[Effect] = []
        for request, flow in onward:
            branch, sent = self.transactions.request(request, flow, now, forwarding)
            self._start_timer_c(forwarding, branch, now)
            effects += sent
        return effects

    def forward_in_turn(
        self, transaction: ServerTransaction, devices: list[list[tuple[Request, Flow]]], now: float
    ) -> list[Effect]:
        """The same to several devices, each by one of its flows after the other (RFC 5626 5.3)."""
        effects = self.forward(transaction, [flows[0] for flows in devices], now)
        if isinstance(transaction.mark, Forwarding):
            transaction.mark.spares = {
                branch: flows[1:] for branch, flows in zip(transaction.mark.branches, devices, strict=False)
            }
        return effects

    def _turn(
        self, forwarding: Forwarding, spares: list[tuple[Request, Flow]], now: float, effects: list[Effect]
    ) -> list[Effect]:
        """A flow did not get through: on by the next."""
        request, flow = spares[0]
        branch, sent = self.transactions.request(request, flow, now, forwarding)
        forwarding.spares[branch] = spares[1:]
        self._start_timer_c(forwarding, branch, now)
        return effects + sent

    def relay(
        self, request: Request, transaction: ServerTransaction, now: float, edit: Edit | None = None
    ) -> list[Effect]:
        """Send this very request onward as its Route says; 404 where that leads nowhere."""
        target = self.next_hop(request)
        if target is None:
            return self.respond(transaction, 404, now)
        self.count_hop(request)
        return self.forward(transaction, [(request, target)], now, edit)

    def pop_own_route(self, request: Request) -> Uri | None:
        """Takes the topmost Route away if it names this node, and gives its URI (RFC 3261 16.4)."""
        top = request.headers.get("Route")
        if top is None:
            return None
        routes = request.headers.get_all("Route")
        uri = NameAddr.parse(routes[0]).uri
        if not self.is_own(uri):
            return None
        request.headers.set("Route", *routes[1:])
        return uri

    def is_own(self, uri: Uri) -> bool:
        """Whether this URI leads here."""
        return (uri.host, uri.port or _SIP_PORT) == self.address

    def next_hop(self, request: Request) -> Flow | None:
        """The flow to the topmost Route, else to the Request-URI; None where it names no host that we can reach."""
        top = request.headers.get("Route")
        return self.hop(request.target if top is None else NameAddr.parse(request.headers.get_all("Route")[0]).uri)

    def hop(self, uri: Uri) -> Flow | None:
        """The flow to the host of this URI."""
        transport: Transport = "TCP" if uri.params and uri.transport == "TCP" else "UDP"
        known = self.names.get(uri.host)
        if known is None:
            if not is_literal(uri.host):
                return None
            known = Address(uri.host, uri.port or _SIP_PORT)
        return Flow(transport, self.address, known)

    @staticmethod
    def count_hop(request: Request) -> None:
        """One hop less to go (RFC 3261 16.6 step 3)."""
        hops = request.max_forwards
        request.headers.set("Max-Forwards", str(70 if hops is None else hops - 1))

    def record_route(self, request: Request, user: str = "") -> None:
        """Stay on the path of the dialog that this request may make; a text makes none (RFC 3261 16.6 step 4)."""
        if request.method == "MESSAGE":
            return
        request.headers.prepend(
            "Record-Route", f"<sip:{user}@{self.address};lr>" if user else f"<sip:{self.address};lr>"
        )

    # What the transactions tell ---------------------------------------------------------------------------------------

    def heed(self, effects: list[Effect], now: float) -> list[Effect]:
        """Acts on what the transaction layer told, passes on the rest."""
        heeded: list[Effect] = []
        for effect in effects:
            event = effect.event if isinstance(effect, Tell) else None
            if isinstance(event, RequestArrived):
                heeded += self._serve(event, now)
            elif isinstance(event, ResponseArrived):
                heeded += self._heard(event.response, event.transaction, now)
            elif isinstance(event, AckArrived):
                heeded += self._acknowledge(event, now)
            elif isinstance(event, TransactionFailed):
                heeded += self._failed(event, now)
            elif not isinstance(event, AckMissing):
                heeded.append(effect)
        return heeded

    def _serve(self, event: RequestArrived, now: float) -> list[Effect]:
        request, transaction = event.request, event.transaction
        if request.method == "CANCEL":
            return self._cancel(event, now)
        if request.max_forwards == 0:  # RFC 3261 16.3 step 3
            return self.respond(transaction, 483, now)
        if "Proxy-Require" in request.headers:  # 16.3 step 5
            strange = [tag for tag in request.proxy_require if tag not in self.understands]
            if strange:
                return self.respond(transaction, 420, now, Unsupported=", ".join(strange))
        if self.objection is not None and (refusal := self.objection(request, event.flow, now)) is not None:
            return self.respond(transaction, refusal[0], now, **refusal[1])
        effects: list[Effect] = []
        if request.method == "INVITE":
            effects += self.transactions.respond(transaction, request.answer(100), now)
        try:
            return effects + self.serve(request, transaction, event.flow, now)
        except ParseError as error:
            return effects + self.respond(transaction, 400, now, f"Bad Request: {error.expected}"[:80])

    def _acknowledge(self, event: AckArrived, now: float) -> list[Effect]:
        if event.request.max_forwards == 0:
            return []
        try:
            return self.acknowledge(event.request, event.flow, now)
        except ParseError:
            return []

    def _cancel(self, event: RequestArrived, now: float) -> list[Effect]:
        """200 to the CANCEL itself, and the INVITE's branches are called off (RFC 3261 16.10)."""
        cancelled = event.cancels
        if cancelled is None:
            return self.respond(event.transaction, 481, now)
        effects = self.respond(event.transaction, 200, now)
        if isinstance(cancelled.mark, Forwarding):
            why = [("Reason", value) for value in event.request.headers.lines("Reason")]
            for branch in cancelled.mark.waiting():
                effects += self.transactions.cancel(branch, now, why)
        elif not cancelled.is_answered:
            effects += self.respond(cancelled, 487, now)
        return effects

    def _heard(self, response: Response, branch: ClientTransaction, now: float) -> list[Effect]:
        forwarding = branch.mark
        if not isinstance(forwarding, Forwarding):
            return self.own_answered(branch, response, now) if response.is_final else []
        if response.status == 100:
            return []
        if response.headers.pop_first("Via") is None or "Via" not in response.headers:
            return []  # RFC 3261 16.7 step 3: it was for us alone
        if response.status < 200:
            self._start_timer_c(forwarding, branch, now)
            return self._upstream(forwarding, response, now)
        effects: list[Effect] = []
        if response.status >= 300:
            if response.status >= 600:
                effects += self._call_off(forwarding, now, 'SIP;cause=600;text="Refused elsewhere"')
            if spares := forwarding.spare(branch, response.status):
                return self._turn(forwarding, spares, now, effects)
            best = forwarding.collect(response)
            return effects + (self._upstream(forwarding, best, now) if best is not None else [])
        effects = self._upstream(forwarding, response, now)
        return effects + self._call_off(forwarding, now, 'SIP;cause=200;text="Call completed elsewhere"')

    def _upstream(self, forwarding: Forwarding, response: Response, now: float) -> list[Effect]:
        own = forwarding.edit(response, now) if forwarding.edit is not None else []
        sent = self.transactions.respond(forwarding.server, response, now)
        if self.loses is not None and self.loses(response):
            sent = [effect for effect in sent if not isinstance(effect, Send)]
        return own + sent  # a P-CSCF has its associations before the phone hears of them

    def _call_off(self, forwarding: Forwarding, now: float, reason: str) -> list[Effect]:
        effects: list[Effect] = []
        if forwarding.server.is_invite:
            for branch in forwarding.waiting():
                effects += self.transactions.cancel(branch, now, [("Reason", reason)])  # RFC 3326
        return effects

    def _failed(self, event: TransactionFailed, now: float) -> list[Effect]:
        """No answer counts as 408, no way as 503 (RFC 3261 16.7, 16.9)."""
        forwarding = event.transaction.mark
        if not isinstance(forwarding, Forwarding):
            return self.own_answered(event.transaction, None, now)
        status = 408 if event.cause == "timeout" else 503
        if spares := forwarding.spare(event.transaction, status):
            return self._turn(forwarding, spares, now, [])
        best = forwarding.collect(forwarding.server.request.answer(status, tag=self.ids.tag()))
        return [] if best is None else self._upstream(forwarding, best, now)

    def _start_timer_c(self, forwarding: Forwarding, branch: ClientTransaction, now: float) -> None:
        """Each provisional answer but 100 starts it anew (RFC 3261 16.7 step 2)."""
        forwarding.branches[branch] = now + TIMER_C_S
        if branch.is_invite:
            self._calls.append((now + TIMER_C_S, branch))


def _is_due(at: float, branch: ClientTransaction) -> bool:
    return branch.is_waiting and isinstance(branch.mark, Forwarding) and branch.mark.branches[branch] == at


@lru_cache(maxsize=4096)
def is_literal(host: str) -> bool:
    """Whether this host is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
