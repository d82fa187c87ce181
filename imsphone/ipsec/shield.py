"""All associations of one host: what leaves on a protected flow is sealed, what comes in is opened or dropped.

    Send(data, UDP flow) ──▶ seal ──▶ ESP packet, Flow("ESP", host, host) ──▶ raw socket, or the World
    segment, TCP flow ─────▶ seal ──▶ the same
    ESP packet ────────────▶ open ──▶ data, UDP flow; segment, TCP flow      by SPI, then by selectors
    a port that `guards` names takes and gives nothing but ESP, also after its associations are gone: what would leave
    unprotected then is lost, and what comes unprotected is dropped                                 TS 33.203 7.4

Two ways to name a protected flow. With a client port as its local end it says which set it means. From server port to
server port it does not: that is how an answer goes by its Via, and how a P-CSCF reaches a phone; it takes the set that
was last heard on, so that a new set is used once it has carried something, and the old one until then (TS 33.203 7.4).
A TCP connection has its true ends: `way` says them, and only between these is a segment sealed. The end of a connection
is nothing heard: an old set would come into use by it just when the other side gives it up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from imsphone.ipsec import datagram, segment
from imsphone.ipsec.esp import HEAD, Opened, Opener, Sealer
from imsphone.ipsec.sa import Association, Associations
from imsphone.machine import Address, Flow, Transport

ESP_PORT = 0  # ESP has no ports; a Flow wants one


class Packet(NamedTuple):
    """An ESP packet or what was in one, and the flow it is on: over UDP a message, over TCP a segment."""

    data: bytes
    flow: Flow


class Counted(NamedTuple):
    """One association with what has passed it."""

    association: Association
    is_inbound: bool
    packets: int
    forged: int = 0
    replayed: int = 0


class Passed(NamedTuple):
    """What has passed one set of associations, and what else came from its peer and was dropped.

    `forged`: it did not open, the keys differ; `unknown_spi`: with an SPI that this side did not choose;
    `off_selector`: it opened, and was between other ports; `in_the_clear`: to a protected port without ESP.
    """

    sent: int = 0
    opened: int = 0
    forged: int = 0
    replayed: int = 0
    unknown_spi: int = 0
    off_selector: int = 0
    in_the_clear: int = 0


@dataclass(slots=True)
class _Strays:
    unknown_spi: int = 0
    off_selector: int = 0
    in_the_clear: int = 0


@dataclass(slots=True, eq=False)
class _Set:
    associations: Associations
    sealers: tuple[Sealer, ...]
    openers: tuple[Opener, ...]
    strays: _Strays = field(default_factory=_Strays)


class Shield:
    """The associations of a host, by SPI and by flow."""

    def __init__(self) -> None:
        self._sets: list[_Set] = []  # the one last heard on comes last
        self._by_spi: dict[tuple[str, int], tuple[_Set, Association, Opener]] = {}
        self._ports: set[Address] = set()
        self.transports: tuple[Transport, ...] = ("UDP",)

    def protect(self, associations: Associations) -> tuple[Transport, ...]:
        """From now on these are used. Gives the transports that can go there."""
        suite, keys = associations.suite, associations.keys
        held = _Set(
            associations,
            tuple(Sealer(one.spi, suite, keys) for one in associations.outbound),
            tuple(Opener(one.spi, suite, keys) for one in associations.inbound),
        )
        self._sets.insert(0, held)
        self._ports |= {associations.own_client, associations.own_server}
        for association, opener in zip(associations.inbound, held.openers, strict=True):
            self._by_spi[association.target.host, association.spi] = held, association, opener
        return self.transports

    def release(self, associations: Associations) -> None:
        """From now on these are not."""
        self._sets = [held for held in self._sets if held.associations != associations]
        self._by_spi = {spi: entry for spi, entry in self._by_spi.items() if entry[0].associations != associations}

    def guards(self, flow: Flow) -> bool:
        """Whether this flow's own port is a protected one."""
        return flow.local in self._ports

    def way(self, flow: Flow) -> Flow | None:
        """This flow with the ends that its association has, None where there is none."""
        found = self._sealer(flow)
        return None if found is None else Flow(flow.transport, found[1].source, found[1].target)

    def seal(self, data: bytes, flow: Flow) -> Packet | None:
        """The ESP packet for a message over UDP or a segment of TCP, None where no association covers it."""
        found = self._sealer(flow)
        if found is None:
            return None
        sealer, association = found
        if flow.transport != "TCP":
            packet = sealer.seal(datagram.write(association.source, association.target, data), datagram.UDP)
        elif segment.ports(data) == _ports(association):
            packet = sealer.seal(data, segment.TCP)
        else:
            return None
        return None if packet is None else Packet(packet, _between(flow))

    def open(self, data: bytes, flow: Flow) -> Packet | None:
        """The message or the segment in an ESP packet and its flow, None where the packet is to be dropped."""
        if len(data) < HEAD.size:
            return None
        entry = self._by_spi.get((flow.local.host, HEAD.unpack_from(data)[0]))
        if entry is None:
            self._strays(flow).unknown_spi += 1
            return None
        held, association, opener = entry
        opened = opener.open(data) if association.source.host == flow.remote.host else None
        if opened is None:
            return None
        inner = _inner(opened, association)
        if inner is None:
            held.strays.off_selector += 1
            return None
        if inner.flow.transport != "TCP" or segment.carries_data(inner.data):
            self._sets.remove(held)
            self._sets.append(held)
        return inner

    def counted(self) -> list[Counted]:
        """Every association with what has passed it."""
        counted: list[Counted] = []
        for held in self._sets:
            for association, sealer in zip(held.associations.outbound, held.sealers, strict=True):
                counted.append(Counted(association, False, sealer.sequence))
            for association, opener in zip(held.associations.inbound, held.openers, strict=True):
                counted.append(Counted(association, True, opener.received, opener.forged, opener.replayed))
        return counted

    def passed(self, associations: Associations) -> Passed:
        """What has passed this set, all zero where it is not here."""
        for held in self._sets:
            if held.associations == associations:
                opened, forged, replayed = (
                    sum(getattr(opener, name) for opener in held.openers) for name in ("received", "forged", "replayed")
                )
                sent, strays = sum(sealer.sequence for sealer in held.sealers), held.strays
                dropped = (strays.unknown_spi, strays.off_selector, strays.in_the_clear)
                return Passed(sent, opened, forged, replayed, *dropped)
        return Passed()

    def note_plain(self, flow: Flow) -> None:
        """Something came on this guarded flow in the clear, and was dropped."""
        self._strays(flow).in_the_clear += 1

    def _strays(self, flow: Flow) -> _Strays:
        """Where to count what belongs to no association: with the set between these hosts that has been silent."""
        ends = (flow.local.host, flow.remote.host)
        between = (one for one in self._sets if (one.associations.own_host, one.associations.peer_host) == ends)
        held = next(between, None)
        return _Strays() if held is None else held.strays

    def _sealer(self, flow: Flow) -> tuple[Sealer, Association] | None:
        ends = (flow.local, flow.remote)
        for held in reversed(self._sets):
            for sealer, association in zip(held.sealers, held.associations.outbound, strict=True):
                if ends == (association.source, association.target):
                    return sealer, association
        for held in reversed(self._sets):
            if ends == (held.associations.own_server, held.associations.peer_server):
                return held.sealers[0], held.associations.outbound[0]
        return None


def _inner(opened: Opened, association: Association) -> Packet | None:
    """What was sealed, where it is what this association may carry: its selectors (RFC 4301 5.2)."""
    source, target = association.source, association.target
    if opened.next_header == segment.TCP:
        is_ours = segment.ports(opened.payload) == _ports(association)
        return Packet(opened.payload, Flow("TCP", target, source)) if is_ours else None
    if opened.next_header != datagram.UDP:
        return None
    inner = datagram.read(source.host, target.host, opened.payload)
    if inner is None or (inner.source_port, inner.target_port) != _ports(association):
        return None
    return Packet(inner.data, Flow("UDP", target, source))


def _ports(association: Association) -> tuple[int, int]:
    return association.source.port, association.target.port


def _between(flow: Flow) -> Flow:
    return Flow("ESP", Address(flow.local.host, ESP_PORT), Address(flow.remote.host, ESP_PORT))
