"""Many machines in one virtual time: no socket, no clock, a day in seconds, and every run the same.

                      ┌──────────────── World ────────────────┐
    alice ── Send ──▶ │  Link  ──▶ heap of (when, what) ──▶   │ ──▶ receive ── p-cscf
          ◀─ answer ─ │  Ask   ──▶ answered from a mapping    │
                      │  Tell  ──▶ told(name), listeners      │
          ◀─ tick ─── │  alarms: one per machine              │
                      └───────────────────────────────────────┘

Messages cross as bytes, each over a `Link` of its pair (1 ms where none is set), and all of them are traced. TCP
differs from UDP as a machine would notice it: it is ordered and loses nothing (what the link drops comes later
instead), and who accepts a connection sees a passing port of the other side. An address that nobody holds gives `lost`,
as a refused connection or an ICMP message would; a silent host gives nothing at all.

What a machine asked to `Protect` crosses as ESP packets. One that does not open is dropped, and so is a message that
comes to a protected port without. Over TCP it gives `lost` where it was the first of a connection: no SYN is answered.

An alarm is stale once its machine's deadline has moved on; it is then dropped. An exception inside a machine is a bug
there and surfaces from `run` at once, with a note that names the machine and the time.
"""

from __future__ import annotations

import heapq
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from imsphone.ipsec.ledger import Ledger
from imsphone.ipsec.sa import Associations, Inspect, Prolong, Protect, Release
from imsphone.ipsec.shield import ESP_PORT, Packet
from imsphone.lab.connection import Connection, Connections
from imsphone.lab.link import Link
from imsphone.lab.shielded import WholeShield
from imsphone.machine import Address, Ask, Effect, Flow, Ids, Machine, OpenMedia, Resolve, Send, Tell, Transport
from imsphone.trace import Trace

Answers = Mapping[type, Callable[[Any], Any]]

_DEFAULT_DELAY_S: Final = 0.001
_CONNECT_S: Final = 4.0  # how long a host tries to connect inside ESP
_FIRST_MEDIA_PORT: Final = 40000
_TICKS_AT_ONE_INSTANT: Final = 1000


@dataclass(slots=True, eq=False)
class _Member:
    name: str
    machine: Machine
    hosts: tuple[str | Address, ...]
    answers: Answers
    answers_after_s: float
    media: str | None
    shield: WholeShield
    ledger: Ledger
    told: list[Any] = field(default_factory=list)
    listeners: list[Callable[[Any], None]] = field(default_factory=list)
    alarm: float | None = None
    ticks: int = 0


class World:
    """Runs machines against each other. `seed` makes another but equally repeatable run; `start` is the first `now`.
    With `trace` None nothing is traced, for runs whose messages nobody will read."""

    def __init__(self, seed: int = 0, start: float = 0.0, trace: Trace | bool | None = True) -> None:
        self.seed = seed
        self.now = start
        self.trace = Trace() if trace is True else None if trace is False else trace
        self.names: dict[str, list[Address]] = {}
        self._members: dict[str, _Member] = {}
        self._holders: dict[str | Address, _Member] = {}
        self._links: dict[tuple[str, str | None], Link] = {}
        self._silent: set[str] = set()
        self._sinks: set[Address] = set()
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = 0
        self._connections = Connections()
        self._behind: dict[tuple[Address, Address], float] = {}
        self._media_ports: dict[str, int] = {}

    # Who is there -----------------------------------------------------------------------------------------------------

    def attach(
        self,
        name: str,
        machine: Machine,
        hosts: Iterable[str | Address],
        answers: Answers | None = None,
        media: str | None = None,
        answers_after_s: float = 0.0,
    ) -> None:
        """Put a machine into the world. It holds `hosts`: a host with all its ports, or one `Address` only.

        `answers` maps a question's type to a function that answers it, at once or `answers_after_s` later; `Resolve`
        and `OpenMedia` have an answer here without one. Packets to the media addresses that OpenMedia gave out go to
        the machine called `media`; without that they are traced and dropped. Raises ValueError where the name or a host
        is taken.
        """
        if name in self._members:
            raise ValueError(f"there is a machine called {name} already: give this one another name")
        shield = WholeShield()
        own = (tuple(hosts), answers or {}, answers_after_s, media, shield, Ledger(name, shield, self.trace))
        member = _Member(name, machine, *own)
        for host in member.hosts:
            if host in self._holders:
                raise ValueError(f"{host} belongs to {self._holders[host].name}: give {name} another address")
        self._members[name] = member
        for host in member.hosts:
            self._holders[host] = member
        self._set_alarm(member)

    def detach(self, name: str) -> None:
        """Take a machine out: what is under way to it is lost, and its TCP connections close at the other ends."""
        member = self._members.pop(name)
        member.ledger.freeze()
        member.alarm = None
        self._holders = {host: holder for host, holder in self._holders.items() if holder is not member}
        for connection in self._connections:
            acceptor = self._holder(connection.flow.remote)
            if connection.opener == name:
                self._close(connection)
                if acceptor is not None:
                    self._later(self.now, self._lose, acceptor, connection.mirrored)
            elif acceptor is None:
                self._close(connection)
                self._later(self.now, self._lose, self._members[connection.opener], connection.flow)

    def machine(self, name: str) -> Machine:
        """The machine of this name."""
        return self._members[name].machine

    def ids(self, name: str) -> Ids:
        """Identifiers that belong to this world's seed and this name."""
        return Ids(f"{self.seed}/{name}".encode())

    def link(self, one: str, other: str | None, link: Link) -> None:
        """Put `link` on the way from `one` to `other` (None: to everybody) and its twin on the way back."""
        self._links[one, other] = link
        if other is None:
            self._links["", one] = link.twin()
        else:
            self._links[other, one] = link.twin()

    def silence(self, host: str) -> None:
        """From now on, whatever is sent to `host` disappears and nothing comes back, not even an error."""
        self._silent.add(host)

    def shield(self, name: str) -> WholeShield:
        """The security associations of the machine of this name."""
        return self._members[name].shield

    def wake(self, host: str) -> None:
        """The end of a silence."""
        self._silent.discard(host)

    def told(self, name: str) -> list[Any]:
        """Everything that the machine of this name has told so far."""
        return self._members[name].told

    def listen(self, name: str, listener: Callable[[Any], None]) -> None:
        """Call `listener` with every event that the machine of this name tells."""
        self._members[name].listeners.append(listener)

    # Time -------------------------------------------------------------------------------------------------------------

    def perform(self, name: str, effects: Iterable[Effect]) -> None:
        """Carry out what a method of the machine called `name` returned."""
        member = self._members[name]
        self._perform(member, effects)
        self._set_alarm(member)

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call `call` when it is `when`."""
        self._later(max(when, self.now), call)

    def run(self, until: float) -> None:
        """Let time pass up to `until`."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, step, arguments = heapq.heappop(heap)
            step(*arguments)
        self.now = max(self.now, until)

    def run_for(self, duration_s: float) -> None:
        """Let `duration_s` seconds pass."""
        self.run(self.now + duration_s)

    def run_until(self, is_done: Callable[[], object], timeout_s: float = 60.0) -> None:
        """Let time pass until `is_done()` is true. Raises TimeoutError where that takes more than `timeout_s`."""
        limit = self.now + timeout_s
        heap = self._heap
        while not is_done():
            if not heap or heap[0][0] > limit:
                self.now = limit
                raise TimeoutError(f"it did not come to that within {timeout_s:g} s of virtual time")
            self.now, _, step, arguments = heapq.heappop(heap)
            step(*arguments)

    def _later(self, when: float, step: Callable[..., Any], *arguments: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, step, arguments))

    # Machines ---------------------------------------------------------------------------------------------------------

    def _set_alarm(self, member: _Member) -> None:
        deadline = member.machine.deadline
        if deadline != member.alarm:
            member.alarm = deadline
            if deadline is not None:
                self._later(max(deadline, self.now), self._ring, member, deadline)

    def _ring(self, member: _Member, alarm: float) -> None:
        if member.alarm != alarm:
            return  # stale
        member.alarm = None
        member.ticks = member.ticks + 1 if alarm <= self.now else 0
        self._step(member, member.machine.tick)
        if member.alarm != alarm:
            member.ticks = 0
        elif member.ticks > _TICKS_AT_ONE_INSTANT:
            raise RuntimeError(f"{member.name} keeps its deadline of {alarm} however often tick() is called")

    def _step(self, member: _Member, method: Callable[..., list[Effect]], *arguments: Any) -> None:
        if self._members.get(member.name) is not member:
            return
        try:
            effects = method(*arguments, self.now)
        except Exception as error:
            error.add_note(f"in {member.name} at {self.now:.6f} s")
            raise
        if effects:
            self._perform(member, effects)
        self._set_alarm(member)

    def _perform(self, member: _Member, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send(member, effect.data, effect.flow)
            elif isinstance(effect, Tell):
                member.told.append(effect.event)
                for listener in member.listeners:
                    listener(effect.event)
            else:
                result = self._answer(member, effect.question)
                self._later(self.now + member.answers_after_s, self._reply, member, effect, result)

    def _reply(self, member: _Member, ask: Ask, result: Any) -> None:
        self._step(member, member.machine.answer, ask, result)

    def _lose(self, member: _Member, flow: Flow) -> None:
        self._step(member, member.machine.lost, flow)

    # Messages ---------------------------------------------------------------------------------------------------------

    def _holder(self, address: Address) -> _Member | None:
        return self._holders.get(address) or self._holders.get(address.host)

    def _send(self, sender: _Member, data: bytes, flow: Flow) -> None:
        is_protected = sender.shield.guards(flow)
        if self.trace is not None:
            self.trace.add(self.now, sender.name, "sent", flow, data, is_protected or flow.transport == "TLS")
        if is_protected:
            packet = sender.shield.seal(data, flow)
            if packet is None:
                self._later(self.now, self._lose, sender, flow)
            elif flow.transport == "TCP":
                self._send_segment(sender, packet, flow)
            else:
                self._send(sender, *packet)
            return
        if flow.remote.host in self._silent or flow.remote in self._sinks:
            return
        if flow.is_stream:
            self._send_in_order(sender, data, flow)
            return
        receiver = self._holder(flow.remote)
        if receiver is None:
            self._later(self.now + 2 * _DEFAULT_DELAY_S, self._lose, sender, flow)
            return
        arriving = Flow(flow.transport, flow.remote, flow.local)
        link = self._link(sender.name, receiver.name)
        for when in (self.now + _DEFAULT_DELAY_S,) if link is None else link.carry(self.now):
            self._later(when, self._deliver, receiver, data, arriving)

    def _send_in_order(self, sender: _Member, data: bytes, flow: Flow) -> None:
        connection = self._connections.accepted(flow)
        if connection is not None:
            receiver, arriving = self._members.get(connection.opener), connection.flow
        else:
            receiver = self._holder(flow.remote)
            if receiver is not None:
                arriving = self._connections.opened(sender.name, flow).mirrored
        if receiver is None:
            self._later(self.now + 2 * _DEFAULT_DELAY_S, self._lose, sender, flow)
            return
        self._carry_in_order(sender, receiver, flow, arriving, self._deliver, receiver, data, arriving)

    def _carry_in_order(
        self, sender: _Member, receiver: _Member, flow: Flow, arriving: Flow, step: Callable[..., Any], *arguments: Any
    ) -> None:
        """Takes `step` when TCP brings what was sent on `flow`: not before what was sent earlier."""
        link = self._link(sender.name, receiver.name)
        when = self.now + _DEFAULT_DELAY_S if link is None else link.carry_surely(self.now)
        if when is None:
            self._later(self.now, self._lose, sender, flow)
            return
        way = (arriving.remote, arriving.local)
        self._behind[way] = when = max(when, self._behind.get(way, when))
        self._later(when, step, *arguments)

    def _send_segment(self, sender: _Member, packet: Packet, flow: Flow) -> None:
        """A message over TCP inside ESP, on the connection that its sender calls `flow`."""
        data, outer = packet
        if self.trace is not None:
            self.trace.add(self.now, sender.name, "sent", outer, data)
        receiver = self._holder(outer.remote)
        if receiver is not None and outer.remote.host not in self._silent:
            arriving = Flow("ESP", outer.remote, outer.local)
            step = self._deliver_segment
            self._carry_in_order(sender, receiver, flow, arriving, step, sender, flow, receiver, data, arriving)

    def _deliver_segment(self, sender: _Member, flow: Flow, receiver: _Member, data: bytes, arriving: Flow) -> None:
        if self._deliver(receiver, data, arriving):
            sender.shield.connected.add(flow)
        elif flow not in sender.shield.connected:
            self._later(self.now + _CONNECT_S, self._lose, sender, flow)

    def _close(self, connection: Connection) -> None:
        self._connections.close(connection)
        self._behind.pop((connection.flow.remote, connection.passing), None)
        self._behind.pop((connection.passing, connection.flow.remote), None)

    def _link(self, sender: str, receiver: str) -> Link | None:
        links = self._links
        if not links:
            return None
        return links.get((sender, receiver)) or links.get((sender, None)) or links.get(("", receiver))

    def _deliver(self, receiver: _Member, data: bytes, flow: Flow) -> bool:
        """Whether somebody took it."""
        if self.trace is not None:
            self.trace.add(self.now, receiver.name, "received", flow, data, flow.transport == "TLS")
        if flow.transport == "ESP":
            opened = receiver.shield.open(data, flow)
            if opened is None:
                return False
            data, flow = opened
            if self.trace is not None:
                self.trace.add(self.now, receiver.name, "received", flow, data, True)
        elif receiver.shield.refuses(flow):
            return False
        self._step(receiver, receiver.machine.receive, data, flow)
        return True

    # Questions --------------------------------------------------------------------------------------------------------

    def _answer(self, member: _Member, question: Any) -> Any:
        answer = member.answers.get(type(question))
        if answer is not None:
            return answer(question)
        if isinstance(question, Resolve):
            return tuple(flow for one in question.single for flow in self._resolve(member, one))
        if isinstance(question, OpenMedia):
            return self._open_media(member, question.host)
        if isinstance(question, Protect):
            self._give_ports(member, question.associations)
        if isinstance(question, Protect | Release | Inspect):
            return member.ledger.answer(question, self.now)
        return True if isinstance(question, Prolong) else None

    def _give_ports(self, member: _Member, associations: Associations) -> None:
        for port in (ESP_PORT, associations.own.port_c, associations.own.port_s):
            if self._holder(address := Address(associations.own_host, port)) is None:
                self._holders[address] = member

    def _resolve(self, member: _Member, question: Resolve) -> tuple[Flow, ...]:
        """Literals as they are, names by `names`; UDP before TCP where the question leaves it open."""
        try:
            ipaddress.ip_address(question.host)
            remotes = [Address(question.host, question.port or (5061 if question.transport == "TLS" else 5060))]
        except ValueError:
            remotes = self.names.get(question.host, [])
        own = member.hosts[0]
        local = Address(own, 5060) if isinstance(own, str) else own
        transports: tuple[Transport, ...] = (question.transport,) if question.transport else ("UDP", "TCP")
        return tuple(Flow(transport, local, remote) for remote in remotes for transport in transports)

    def _open_media(self, member: _Member, host: str) -> Address:
        port = self._media_ports.get(host, _FIRST_MEDIA_PORT)
        self._media_ports[host] = port + 2
        for address in (Address(host, port), Address(host, port + 1)):
            if member.media is None:
                self._sinks.add(address)
            else:
                self._holders[address] = self._members[member.media]
        return Address(host, port)
