"""The transaction layer: which message belongs to which request, on which transport it leaves, and when it is repeated.

    wire ──bytes──▶ parse ─▶ examine ─▶ match ──▶ ClientTransaction ──▶ Tell(ResponseArrived | TransactionFailed)
                                             └──▶ ServerTransaction ──▶ Tell(RequestArrived | AckArrived)

It is a machine (`imsphone.machine`); its owner, a UE or a network node, hears of it through `Tell` and acts through
`request`, `respond`, `cancel` and `send`. Garbage is dropped or answered here and told as `Violated`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from imsphone.errors import ParseError
from imsphone.events import Violated
from imsphone.machine import Address, Ask, Effect, Flow, Ids, Send, Tell
from imsphone.sip.client import ClientTransaction
from imsphone.sip.fields import Via
from imsphone.sip.message import Request, Response, parse
from imsphone.sip.server import ServerTransaction
from imsphone.sip.timers import RFC_3261, Timers
from imsphone.sip.validation import Fault, examine

UDP_LIMIT_BYTES = 1300  # RFC 3261 18.1.1: within 200 bytes of the path MTU, or 1300 where that is unknown
MAX_SERVER_TRANSACTIONS = 20_000
MAX_SERVER_BYTES = 32 << 20  # of their requests; what is made of one takes ten times as much at worst
COOKIE = "z9hG4bK"


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A new request; answer it with `Transactions.respond`. `cancels` is the INVITE that a CANCEL means, if known."""

    request: Request
    transaction: ServerTransaction
    flow: Flow
    cancels: ServerTransaction | None = None


@dataclass(frozen=True, slots=True)
class AckArrived:
    """An ACK that belongs to no transaction: of a 2xx, for the dialog's owner or the next hop."""

    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class ResponseArrived:
    """A response to a request of ours. Repeated and forked 2xx to an INVITE come each time, each wants an ACK."""

    response: Response
    transaction: ClientTransaction


@dataclass(frozen=True, slots=True)
class TransactionFailed:
    """No final response came in time, or the flow carries nothing (RFC 3261 8.1.3.1: as if 408 or 503 had come)."""

    transaction: ClientTransaction
    cause: Literal["timeout", "transport"]


@dataclass(frozen=True, slots=True)
class AckMissing:
    """A refusal of an INVITE was never acknowledged (Timer H)."""

    transaction: ServerTransaction


_Transaction = ClientTransaction | ServerTransaction


class Transactions:
    """All transactions of one UE or node, which may have other timers for some flows than for the rest."""

    def __init__(self, ids: Ids, timers: Timers | Callable[[Flow], Timers] = RFC_3261) -> None:
        self._ids = ids
        self._timers_of = timers if callable(timers) else lambda _flow: timers
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._servers: dict[tuple[str, str, int, str], ServerTransaction] = {}
        self._server_bytes = 0
        self._cancels: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}  # asked before any 1xx came
        self._alarms: list[tuple[float, int, _Transaction]] = []
        self._count = count()
        self.protected: dict[Address, Address] = {}  # own ends inside IPsec → what Via names instead of them
        self.udp_only: set[Address] = set()  # own ends from which a request of any size leaves by UDP

    @property
    def deadline(self) -> float | None:
        """The earliest alarm of any transaction."""
        alarms = self._alarms
        while alarms and alarms[0][2].deadline != alarms[0][0]:  # stale: that transaction has moved on
            at, _, transaction = heapq.heappop(alarms)
            if transaction.alarm == at:
                transaction.alarm = None
        return alarms[0][0] if alarms else None

    # Out --------------------------------------------------------------------------------------------------------------

    def request(
        self, request: Request, flow: Flow, now: float, mark: object = None, *, asks_keep: bool = False
    ) -> tuple[ClientTransaction, list[Effect]]:
        """Sends a request in a new transaction: adds the Via, goes over to TCP where UDP is too small for it.

        With `asks_keep` the Via offers keep-alives (RFC 6223 4.2).
        """
        branch = self._ids.branch()
        timers = self._timers_of(flow)
        sent = self._with_via(request, flow, branch, asks_keep)
        transaction = ClientTransaction(sent, flow, timers, now, mark)
        if self._is_too_large(transaction.data, flow):
            flow = flow.over("TCP")
            sent = self._with_via(request, flow, branch, asks_keep)
            transaction = ClientTransaction(sent, flow, timers, now, mark)
            transaction.was_upgraded = True
        self._clients[transaction.key] = transaction
        self._arm(transaction)
        return transaction, transaction.start()

    def size_bytes(self, request: Request, flow: Flow) -> int:
        """How long a request is that leaves on `flow`, our Via and all."""
        return len(bytes(self._with_via(request, flow, "z9hG4bK" + 20 * "0")))

    def send(self, request: Request, flow: Flow) -> list[Effect]:
        """Sends a request without a transaction: the ACK of a 2xx (RFC 3261 13.2.2.4)."""
        branch = self._ids.branch()
        data = bytes(self._with_via(request, flow, branch))
        if self._is_too_large(data, flow):
            flow = flow.over("TCP")
            data = bytes(self._with_via(request, flow, branch))
        return [Send(data, flow)]

    def respond(self, transaction: ServerTransaction, response: Response, now: float) -> list[Effect]:
        """Sends a response of this transaction, where RFC 3261 18.2.2 and RFC 3581 4 say.

        Over TCP that is the connection of the request, else a new one; over UDP the source address, and of its ports
        the true one where the Via asks for it (`rport`), else the one that the Via names. A `maddr` is left alone: it
        is for multicast, and would let anybody aim our answers at anybody.
        """
        effects = transaction.respond(response, now)
        self._arm(transaction)
        return effects

    def is_merged(self, transaction: ServerTransaction) -> bool:
        """Whether the same request came by another way before: a fork brought it twice (RFC 3261 8.2.2.2)."""
        request = transaction.request
        if request.to.tag:
            return False
        same = request.call_id, request.cseq, request.from_.tag
        return any(
            other is not transaction and same == (other.request.call_id, other.request.cseq, other.request.from_.tag)
            for other in self._servers.values()
        )

    def cancel(
        self, transaction: ClientTransaction, now: float, headers: Iterable[tuple[str, str]] = ()
    ) -> list[Effect]:
        """Cancels an INVITE: at once if a provisional response came, else as soon as one comes (RFC 3261 9.1)."""
        if not transaction.is_invite or not transaction.is_waiting or transaction.is_cancelled:
            return []
        transaction.is_cancelled = True
        if transaction.state == "calling":
            self._cancels[transaction.key] = tuple(headers)
            return []
        return self._send_cancel(transaction, headers, now)

    def _send_cancel(
        self, transaction: ClientTransaction, headers: Iterable[tuple[str, str]], now: float
    ) -> list[Effect]:
        invite = transaction.request
        cancel = Request("CANCEL", invite.uri)
        cancel.headers.add("Via", str(invite.via))
        cancel.headers.add("Max-Forwards", "70")
        for name in ("From", "To", "Call-ID"):
            cancel.headers.add(name, invite.headers.get(name) or "")
        cancel.headers.add("CSeq", f"{invite.cseq.number} CANCEL")
        for route in invite.headers.lines("Route"):
            cancel.headers.add("Route", route)
        for name, value in headers:
            cancel.headers.add(name, value)
        canceller = ClientTransaction(cancel, transaction.flow, transaction.timers, now)
        self._clients[canceller.key] = canceller
        self._arm(canceller)
        transaction.limit(now + transaction.timers.timeout_s)
        self._arm(transaction)
        return canceller.start()

    def _with_via(self, request: Request, flow: Flow, branch: str, asks_keep: bool = False) -> Request:
        """Inside IPsec the answer comes to the protected server port, which only the Via can say (TS 33.203 7.1)."""
        sent = request.copy()
        server = self.protected.get(flow.local)
        sent_by = f"{flow.local};branch={branch};rport" if server is None else f"{server};branch={branch}"
        sent.headers.prepend("Via", f"SIP/2.0/{flow.transport} {sent_by}" + (";keep" if asks_keep else ""))
        return sent

    def _is_too_large(self, data: bytes, flow: Flow) -> bool:
        return flow.transport == "UDP" and len(data) > UDP_LIMIT_BYTES and flow.local not in self.udp_only

    # In ---------------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """A datagram, or one frame of a stream."""
        if not data.strip(b"\r\n\0"):
            return []  # a keep-alive (RFC 5626 4.4.1)
        try:
            message = parse(data)
        except ParseError as error:
            fault = Fault(None, f"a message that is no SIP: {error}", "RFC 3261 7")
            return [self._violated(fault, "dropped", flow, now)]
        found = examine(message)
        if isinstance(message, Response):
            if found is not None:
                return [self._violated(found, "dropped", flow, now)]
            return self._receive_response(message, flow, now)
        return self._receive_request(message, found, flow, now, len(data))

    def _receive_request(
        self, request: Request, fault: Fault | None, flow: Flow, now: float, n_bytes: int
    ) -> list[Effect]:
        try:
            via = self._stamp(request, flow)
        except ParseError:
            return [self._violated(fault or Fault(None, "no usable Via", "RFC 3261 8.1.1.7"), "dropped", flow, now)]
        if fault is not None:
            if request.method == "ACK" or fault.status is None:
                return [self._violated(fault, "dropped", flow, now)]
            answer = request.answer(fault.status, fault.reason or None, self._ids.tag())
            for name, value in fault.headers:
                answer.headers.add(name, value)
            return [
                Send(bytes(answer), _way_back(via, flow)),
                self._violated(fault, f"answered {fault.status}", flow, now),
            ]
        key = self._key(request, via, "INVITE" if request.method == "ACK" else request.method)
        transaction = self._servers.get(key)
        if request.method == "ACK":
            if transaction is None or transaction.state == "accepted":
                return [Tell(AckArrived(request, flow))]
            transaction.acknowledge(now)
            self._arm(transaction)
            return []
        if transaction is not None:
            return transaction.repeat()
        if len(self._servers) >= MAX_SERVER_TRANSACTIONS or self._server_bytes + n_bytes > MAX_SERVER_BYTES:
            return [Send(bytes(request.answer(503, tag=self._ids.tag())), _way_back(via, flow))]
        transaction = self._servers[key] = ServerTransaction(
            request, _way_back(via, flow), self._timers_of(flow), key, now, n_bytes
        )
        self._server_bytes += n_bytes
        self._arm(transaction)
        cancels = self._servers.get(self._key(request, via, "INVITE")) if request.method == "CANCEL" else None
        return [Tell(RequestArrived(request, transaction, flow, cancels))]

    @staticmethod
    def _stamp(request: Request, flow: Flow) -> Via:
        """Writes where the request came from into its Via (RFC 3261 18.2.1, RFC 3581 4)."""
        via = request.via
        host = flow.remote.host
        if "rport" in via.params:
            stamped = via.with_params(received=host, rport=str(flow.remote.port))
        elif via.host.lower() != host.lower() or "received" in via.params:
            stamped = via.with_params(received=host)
        else:
            return via
        values = request.headers.get_all("Via")
        request.headers.set("Via", str(stamped), *values[1:])
        return via

    @staticmethod
    def _key(request: Request, via: Via, method: str) -> tuple[str, str, int, str]:
        """What makes two requests the same (RFC 3261 17.2.3), also those of RFC 2543 without the cookie."""
        branch = via.branch
        if not branch.startswith(COOKIE) or branch == COOKIE:
            # An ACK's To tag is the server's own, so it cannot count here.
            branch = f"{request.uri} {request.call_id} {request.cseq.number} {request.from_.tag} {via}"
        host, port = via.sent_by
        return branch, host, port, method

    def _receive_response(self, response: Response, flow: Flow, now: float) -> list[Effect]:
        via = response.via
        transaction = self._clients.get((via.branch, response.cseq.method))
        if transaction is None or via.sent_by != transaction.request.via.sent_by:
            return []  # late, or none of ours (RFC 3261 18.1.2)
        client = transaction.flow.local  # of a phone inside IPsec; a P-CSCF asks from its server port
        server = self.protected.get(client, client)
        if server != client and flow.local not in (server, client):
            fault = Fault(None, f"a response to {transaction.request.method} outside of IPsec", "TS 33.203 7.1")
            return [self._violated(fault, "dropped", flow, now)]
        effects, is_news = transaction.receive(response, now)
        if response.status < 200:
            if transaction.key in self._cancels:
                effects = effects + self._send_cancel(transaction, self._cancels.pop(transaction.key), now)
        else:
            self._cancels.pop(transaction.key, None)
        self._arm(transaction)
        if is_news and transaction.request.method != "CANCEL":
            effects = [*effects, Tell(ResponseArrived(response, transaction))]
        return effects

    # World ------------------------------------------------------------------------------------------------------------

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        """The transaction layer asks nothing."""
        return []

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """A flow carries nothing: what waits on it fails, or tries UDP where TCP was chosen for its size alone.

        A request that an answer over TCP has begun to come for stays: the rest comes on a connection that the server
        opens (RFC 3261 18.2.2).
        """
        effects: list[Effect] = []
        for client in [client for client in self._clients.values() if client.flow == flow and client.is_waiting]:
            if client.state == "proceeding" and flow.is_stream:
                continue
            if client.was_upgraded:
                client.was_upgraded = False
                request = client.request.copy()
                asks_keep = "keep" in request.via.params
                request.headers.pop_first("Via")
                udp = flow.over("UDP")
                request = self._with_via(request, udp, client.key[0], asks_keep)
                effects += client.move(request, udp, now)
                self._arm(client)
            else:
                client.fail()
                effects += self._over(client, "transport")
        for server in [server for server in self._servers.values() if server.flow == flow]:
            server.move(_way_back(server.request.via, flow, is_open=False))
            self._arm(server)
        return effects

    def drop(self) -> None:
        """The own address is gone: nothing that is under way gets anywhere, and nobody is told of it."""
        for held in (self._clients, self._servers, self._cancels, self._alarms):
            held.clear()
        self._server_bytes = 0

    def tick(self, now: float) -> list[Effect]:
        """Runs every alarm that is due."""
        effects: list[Effect] = []
        while (deadline := self.deadline) is not None and deadline <= now:
            transaction = heapq.heappop(self._alarms)[2]
            transaction.alarm = None
            sent, is_over = transaction.tick(now)
            effects += sent
            if is_over:
                if isinstance(transaction, ClientTransaction):
                    effects += self._over(transaction, "timeout")
                else:
                    effects.append(Tell(AckMissing(transaction)))
            self._arm(transaction)
        return effects

    def _over(self, transaction: ClientTransaction, cause: Literal["timeout", "transport"]) -> list[Effect]:
        self._cancels.pop(transaction.key, None)
        self._arm(transaction)
        return [] if transaction.request.method == "CANCEL" else [Tell(TransactionFailed(transaction, cause))]

    def _arm(self, transaction: _Transaction) -> None:
        """Notes the transaction's next alarm, or forgets the transaction."""
        if isinstance(transaction, ClientTransaction):
            if transaction.is_done and self._clients.get(transaction.key) is transaction:
                del self._clients[transaction.key]
        elif transaction.is_done and self._servers.get(transaction.key) is transaction:
            del self._servers[transaction.key]
            self._server_bytes -= transaction.n_bytes
        deadline = transaction.deadline
        if deadline is None or deadline == transaction.alarm:
            return
        transaction.alarm = deadline
        heapq.heappush(self._alarms, (deadline, next(self._count), transaction))
        live = len(self._clients) + len(self._servers)
        if len(self._alarms) > 4 * live + 64:  # stale alarms keep finished transactions in memory
            self._alarms = [alarm for alarm in self._alarms if alarm[0] == alarm[2].alarm and not alarm[2].is_done]
            heapq.heapify(self._alarms)

    @staticmethod
    def _violated(fault: Fault, did: str, flow: Flow, now: float) -> Tell:
        return Tell(Violated(at=now, what=fault.what, clause=fault.clause, did=did, source=str(flow.remote)))


def _way_back(via: Via, flow: Flow, *, is_open: bool = True) -> Flow:
    """Where the answer to a request with this topmost Via goes that came on `flow` (RFC 3261 18.2.2, RFC 3581 4)."""
    if is_open and (flow.is_stream or "rport" in via.params):
        return flow
    return flow._replace(remote=Address(flow.remote.host, via.port or 5060))
