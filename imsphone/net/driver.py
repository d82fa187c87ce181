"""The one place where a machine meets the world: real sockets, the real clock, one event loop.

    net.flows ── data, flow ──▶ receive ┐                  ┌─▶ Send ──▶ net.flows
              ── flow ────────▶ lost    │                  │
    loop alarm ───────────────▶ tick    ├─▶ [ effects ] ───┼─▶ Tell ──▶ on_event
    finished answer ──────────▶ answer  │   in their order │
    perform(machine.call(…))  ──────────┘                  └─▶ Ask ───▶ answers[type(question)]

Effects are performed strictly in their order, also when `on_event` gives another command in the middle of them: a call
hung up from within CallAnswered sends its ACK before its BYE. There is one alarm, set for the machine's deadline; a
deadline that moved later lets the old alarm ring for nothing, which is cheaper than to re-arm it at each message.

An exception in a machine or a listener is a bug of ours. It is logged, handed to `on_crash` or raised from `close`, and
costs the one input that caused it; the driver and its neighbours go on. What the world refuses (a busy port, a name
that leads nowhere) is no bug: `on_trouble` gets it as an error with a sentence, and the machine None.

The clock is anchored to the wall once and runs monotonically from there, the same for every driver of a process, so
that times in traces are true, comparable, and never jump.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from imsphone.errors import ImsPhoneError, NetworkError
from imsphone.ipsec.ledger import Ledger
from imsphone.ipsec.sa import Associations, Inspect, Prolong, Protect, Release
from imsphone.lifespan import Lifespan
from imsphone.machine import Address, Ask, Effect, Flow, Machine, Resolve, Send
from imsphone.net.addresses import family_of, local_host
from imsphone.net.flows import Flows
from imsphone.net.protection import Outlets, Protection
from imsphone.net.resolver import Resolver, Target
from imsphone.net.sealing import Sealing
from imsphone.net.tls import Tls
from imsphone.trace import Direction, Trace

logger = logging.getLogger(__name__)

Answer = Callable[[Any], Any]  # the answer to a question, or an awaitable of it

_ANCHOR = time.time() - time.monotonic()


def wall_clock() -> float:
    """Seconds since 1970 as of the start of this process, never set back or forth since."""
    return _ANCHOR + time.monotonic()


class Driver:
    """Runs `machine` under `name` until `close`.

    `answers` maps the type of a question to a function of it, plain or async; `Resolve` has its answer here. `local` is
    the host (None: as the route to each target says) and the port (0: any) that sockets are bound to when the first
    Resolve needs them; with port 0 `preferred_port` is tried before any other. A server calls `bind` instead. `dns` is
    the name server to ask in place of the system's, `protection` makes what seals messages, `on_protected` is shown
    each set of security associations, keys and all, `tls` is for flows of TLS. Make it inside a running event loop.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        name: str,
        answers: Mapping[type, Answer] | None = None,
        on_event: Callable[[Any], None] = lambda event: None,
        on_trouble: Callable[[ImsPhoneError], None] | None = None,
        on_crash: Callable[[Exception], None] | None = None,
        trace: Trace | None = None,
        dns: Address | None = None,
        local: tuple[str | None, int] = (None, 0),
        preferred_port: int = 0,
        clock: Callable[[], float] = wall_clock,
        protection: Callable[[Outlets], Protection] = Sealing,
        tls: Tls | None = None,
        on_protected: Callable[[Associations], None] | None = None,
    ) -> None:
        self.machine = machine
        self.name = name
        self.now = clock
        self._loop = asyncio.get_running_loop()
        own: dict[type, Answer] = {Resolve: self._resolve, Protect: self._protect, Prolong: self._prolong}
        own |= dict.fromkeys((Release, Inspect), self._keep_book)
        self._answers: dict[type, Answer] = own | dict(answers or {})
        self._on_event = on_event
        self._on_trouble = on_trouble
        self._on_crash = on_crash
        self._trace = trace
        self._resolver = Resolver((str(dns),) if dns else ())
        self._local = local
        self._preferred_port = preferred_port
        self._flows: dict[Address, Flows] = {}
        self._protection = protection(Outlets(self._receive_opened, self._lost, self._note))
        self._tls = tls or Tls()
        self._on_protected = on_protected
        self._ledger = Ledger(name, self._protection, trace)
        self._is_bound = False
        self._pending: deque[Effect] = deque()
        self._is_performing = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._tasks: dict[asyncio.Future[Any], Ask] = {}
        self._crash: Exception | None = None
        self._is_closed = False

    # For the owner --------------------------------------------------------------------------------------------------

    def bind(self, host: str, port: int = 0, *, takes_tls: bool = False) -> Address:
        """Listens on one more address, by UDP and TCP, or TLS in its place; gives it with its true port.

        Raises NetworkError.

        From then on answers to Resolve name only addresses that were bound so.
        """
        self._is_bound = True
        return self._open(Address(host, port), takes_tls=takes_tls).local

    def leave(self, host: str | None) -> None:
        """The own address is another: all sockets close, and later ones open at `host` (None: as routes say)."""
        self._local = (host, self._local[1])
        for address in list(self._flows):
            self._flows.pop(address).close()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses that are listened on."""
        return tuple(self._flows)

    def perform(self, effects: Iterable[Effect]) -> None:
        """Carries out what a command of the machine returned, and sets the alarm anew."""
        self._pending.extend(effects)
        if self._is_performing or self._is_closed:
            return
        self._is_performing = True
        pending = self._pending
        while pending:
            effect = pending.popleft()
            try:
                if isinstance(effect, Send):
                    self._send(effect)
                elif isinstance(effect, Ask):
                    self._ask(effect)
                else:
                    self._on_event(effect.event)
            except Exception as error:
                self._crashed(error)
        self._is_performing = False
        self._set_alarm()

    def do(self, command: Callable[..., Any], *arguments: Any) -> Any:
        """Runs `command(*arguments, now)` of the machine and performs its effects.

        A command returns a list of effects, or a pair of a value and such a list; then the value is returned. What it
        raises (StateError, ParseError) is the caller's.
        """
        outcome = command(*arguments, self.now())
        value, effects = outcome if isinstance(outcome, tuple) else (None, outcome)
        self.perform(effects)
        return value

    def trace_media(self, direction: Direction, local: Address, remote: Address, data: bytes, at: float) -> None:
        """Takes an RTP or RTCP packet into the trace, from any thread."""
        if self._trace is not None:
            self._trace.add(at, self.name, direction, Flow("UDP", local, remote), data)

    async def close(self) -> None:
        """Closes the sockets and drops what was asked. Raises the first crash where nobody took it by `on_crash`."""
        if self._is_closed:
            return
        self._is_closed = True
        self._pending.clear()
        if self._alarm:
            self._alarm.cancel()
        for flows in self._flows.values():
            flows.close()
        self._ledger.freeze()
        self._protection.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._crash:
            raise self._crash

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except Exception:
            if error is None:  # else the first trouble is the one to hear of; the crash is in the log
                raise

    # Inputs ---------------------------------------------------------------------------------------------------------

    def _input(self, method: Callable[..., list[Effect]], *arguments: Any) -> None:
        if self._is_closed:
            return
        try:
            effects = method(*arguments, self.now())
        except Exception as error:
            self._crashed(error)
            effects = []
        self.perform(effects)

    def _receive(self, data: bytes, flow: Flow) -> None:
        self._note("received", flow, data, flow.transport == "TLS")
        if self._protection.guards(flow):
            self._protection.note_plain(flow)
        else:
            self._input(self.machine.receive, data, flow)

    def _receive_opened(self, data: bytes, flow: Flow) -> None:
        self._input(self.machine.receive, data, flow)

    def _note(self, direction: Direction, flow: Flow, data: bytes, is_protected: bool = False) -> None:
        if self._trace is not None:
            self._trace.add(self.now(), self.name, direction, flow, data, is_protected)

    def _lost(self, flow: Flow) -> None:
        self._input(self.machine.lost, flow)

    def _ring(self) -> None:
        self._alarm = None
        deadline = self.machine.deadline
        if deadline is None:
            return
        if deadline <= self.now():
            self._input(self.machine.tick)
        else:
            self._set_alarm()

    def _set_alarm(self) -> None:
        deadline = self.machine.deadline
        if deadline is None or (self._alarm and self._alarm_at <= deadline) or self._is_closed:
            return
        if self._alarm:
            self._alarm.cancel()
        self._alarm_at = deadline
        self._alarm = self._loop.call_later(max(0.0, deadline - self.now()), self._ring)

    def _crashed(self, error: Exception) -> None:
        logger.error("%s: a bug: %s", self.name, type(error).__name__, exc_info=error)
        if self._on_crash:
            self._on_crash(error)
        elif self._crash is None:
            self._crash = error

    # Effects --------------------------------------------------------------------------------------------------------

    def _send(self, effect: Send) -> None:
        flow = effect.flow
        if self._protection.guards(flow):
            self._protection.send(effect.data, flow)
            return
        self._note("sent", flow, effect.data, flow.transport == "TLS")
        flows = self._flows.get(flow.local)
        if flows is None:
            logger.warning("%s: nothing listens on %s any more", self.name, flow.local)
            self._loop.call_soon(self._lost, flow)
        else:
            flows.send(effect.data, flow)

    def _ask(self, ask: Ask) -> None:
        """Answers at once where a plain function can, else starts a task."""
        result = None
        try:
            result = self._answers[type(ask.question)](ask.question)
        except Exception as error:
            self._failed(error)
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(result)
            self._tasks[task] = ask
            task.add_done_callback(self._answered)
        else:
            self._input(self.machine.answer, ask, result)

    def _answered(self, task: asyncio.Future[Any]) -> None:
        ask = self._tasks.pop(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._failed(error)
        self._input(self.machine.answer, ask, None if error or task.cancelled() else task.result())

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, ImsPhoneError):
            self._crashed(error)
        elif self._on_trouble:
            self._on_trouble(error)
        else:
            logger.warning("%s: %s", self.name, error)

    # Security associations --------------------------------------------------------------------------------------------

    @property
    def protection(self) -> Protection:
        """The security associations, and what has passed them."""
        return self._protection

    @property
    def associations(self) -> list[Lifespan]:
        """The security associations that are there, since when, and what has passed them."""
        return self._ledger.living()

    def _protect(self, question: Protect) -> Any:
        """Raises NetworkError where this machine cannot protect."""
        transports = self._keep_book(question)
        if self._on_protected:
            self._on_protected(question.associations)
        return transports

    def _prolong(self, question: Prolong) -> bool:
        """Raises NetworkError where this machine refuses."""
        self._protection.prolong(question.associations, question.until - self.now())
        return True

    def _keep_book(self, question: Protect | Release | Inspect) -> Any:
        return self._ledger.answer(question, self.now())

    # Addresses ------------------------------------------------------------------------------------------------------

    def _resolve(self, question: Resolve) -> tuple[Flow, ...] | Awaitable[tuple[Flow, ...]]:
        if question.others:
            return self._resolve_each(question)
        target = self._resolver.literal(question.host, question.port, question.transport)
        return self._flows_to((target,), question.host) if target else self._look_up(question)

    async def _resolve_each(self, question: Resolve) -> tuple[Flow, ...]:
        """One host that cannot be found is not the end of the others."""
        flows: list[Flow] = []
        trouble: NetworkError | None = None
        for one in question.single:
            try:
                found = self._resolve(one)
                flows += await found if isinstance(found, Awaitable) else found
            except NetworkError as error:
                trouble = trouble or error
        if trouble and not flows:
            raise trouble
        return tuple(flows)

    async def _look_up(self, question: Resolve) -> tuple[Flow, ...]:
        wiretap = self._wiretap if self._trace is not None else None
        found = await self._resolver.lookup(question.host, question.port, question.transport, wiretap)
        if not found.targets:
            host, last = question.host, found.tried[-1]
            sentence = f"nothing in the DNS leads to {host} ({last}): check the name, or give an IP address instead"
            raise NetworkError(sentence, found.tried)
        return self._flows_to(found.targets, question.host)

    def _wiretap(self, direction: Direction, flow: Flow, data: bytes) -> None:
        assert self._trace is not None
        self._trace.add(self.now(), self.name, direction, flow, data)

    def _flows_to(self, targets: Iterable[Target], name: str) -> tuple[Flow, ...]:
        """Raises NetworkError where the own address cannot be had; leaves out what no route leads to.

        `name` is what certificates have to name: what was looked up, and not where that led (RFC 5922 7.3).
        """
        self._tls.names |= {Address(target.host, target.port): name for target in targets}
        return tuple(
            Flow(target.transport, local, Address(target.host, target.port))
            for target in targets
            if (local := self._local_for(target.host)) is not None
        )

    def _local_for(self, target: str) -> Address | None:
        chosen, port = self._local
        host = chosen or local_host(target)
        family = family_of(target)
        for address in self._flows:
            if address.host == host and family_of(address.host) == family:
                return address
        if self._is_bound:
            return next((address for address in self._flows if family_of(address.host) == family), None)
        if host is None or family_of(host) != family:
            return None
        if not port and self._preferred_port:
            with suppress(NetworkError):  # taken: then any
                return self._open(Address(host, self._preferred_port)).local
        return self._open(Address(host, port)).local

    def _open(self, address: Address, *, takes_tls: bool = False) -> Flows:
        flows = Flows(address, self._receive, self._lost, tls=self._tls, takes_tls=takes_tls, on_trouble=self._failed)
        self._flows[flows.local] = flows
        return flows
