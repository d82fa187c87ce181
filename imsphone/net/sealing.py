"""ESP made by this program: what leaves is sealed by the `Shield`, what comes is opened or dropped.

UDP   send ─▶ note(message) ─▶ Shield.seal ─▶ note(packet) ─▶ EspWire
      EspWire ─▶ note(packet) ─▶ Shield.open ─▶ note(message) ─▶ on_message
TCP   send ─▶ note(message) ─▶ Tunnel: the kernel's TCP ─▶ segment ─▶ Shield.seal ─▶ note(packet) ─▶ EspWire
      EspWire ─▶ note(packet) ─▶ Shield.open ─▶ segment ─▶ Tunnel ─▶ note(message) ─▶ on_message

Where there is no `Tunnel`, segments are dropped, and all goes by UDP.
"""

from __future__ import annotations

import asyncio
import logging

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import Associations
from imsphone.ipsec.shield import Shield
from imsphone.machine import Flow, Transport
from imsphone.net.esp import EspWire
from imsphone.net.protection import Outlets
from imsphone.net.tunnel import Tunnel

logger = logging.getLogger(__name__)


class Sealing:
    """A `Protection` without the kernel's IPsec; of its own it takes raw sockets and, for TCP, a TUN device each.

    Make it inside a running event loop.
    """

    def __init__(self, outlets: Outlets) -> None:
        self._outlets = outlets
        self._loop = asyncio.get_running_loop()
        self._shield = Shield()
        self._wires: dict[str, EspWire] = {}
        self._tunnels: dict[str, Tunnel | None] = {}
        self._sets: list[Associations] = []
        self._called: dict[Flow, set[Flow]] = {}  # connections by their true ends: as whom the machine knows them
        self.guards = self._shield.guards
        self.counted = self._shield.counted
        self.passed = self._shield.passed
        self.note_plain = self._shield.note_plain

    def protect(self, associations: Associations) -> tuple[Transport, ...]:
        """Raises NetworkError where this machine cannot send ESP."""
        host = associations.own_host
        if host not in self._wires:
            self._wires[host] = EspWire(host, self._receive)
            self._tunnels[host] = self._tunnel(host)
        self._shield.protect(associations)
        self._sets.append(associations)
        tunnel = self._tunnels[host]
        if tunnel is None:
            return ("UDP",)
        try:
            tunnel.open(associations)
        except NetworkError as error:
            logger.warning("no TCP inside these associations: %s", error)
            return ("UDP",)
        return ("UDP", "TCP")

    def release(self, associations: Associations) -> None:
        """Its connections first, so that the far end hears of it."""
        self._sets = [held for held in self._sets if held != associations]
        if tunnel := self._tunnels.get(associations.own_host):
            tunnel.shut(associations, {local for held in self._sets for local in (held.own_client, held.own_server)})
        gone = (associations.own_client, associations.peer_client)
        self._called = {way: flows for way, flows in self._called.items() if not {*way[1:]} & {*gone}}
        self._shield.release(associations)

    def prolong(self, associations: Associations, lifetime_s: float) -> None:
        """What is kept here is kept until it is released, or this program ends."""

    def send(self, data: bytes, flow: Flow) -> None:
        """One message, sealed; lost where its associations are gone, and never in the clear instead."""
        self._outlets.note("sent", flow, data, True)
        if flow.transport == "TCP":
            tunnel, way = self._tunnels.get(flow.local.host), self._shield.way(flow)
            if tunnel is None or way is None:
                self._loop.call_soon(self._outlets.on_lost, flow)
                return
            self._called.setdefault(way, set()).add(flow)
            tunnel.send(data, way)
        elif not self._seal(data, flow):
            self._loop.call_soon(self._outlets.on_lost, flow)

    def close(self) -> None:
        """Closes connections, devices and raw sockets."""
        for tunnel in self._tunnels.values():
            if tunnel is not None:
                tunnel.close()
        for wire in self._wires.values():
            wire.close()

    def _tunnel(self, host: str) -> Tunnel | None:
        try:
            return Tunnel(host, self._seal, self._receive_message, self._lost)
        except NetworkError as error:
            logger.info("no TCP inside ESP: %s", error)
            return None

    def _seal(self, data: bytes, flow: Flow) -> bool:
        """Whether an association covered it."""
        packet = self._shield.seal(data, flow)
        if packet is None:
            return False
        self._outlets.note("sent", packet.flow, packet.data, False)
        self._wires[packet.flow.local.host].send(packet.data, packet.flow)
        return True

    def _receive(self, data: bytes, flow: Flow) -> None:
        self._outlets.note("received", flow, data, False)
        opened = self._shield.open(data, flow)
        if opened is None:
            return
        if opened.flow.transport != "TCP":
            self._receive_message(opened.data, opened.flow)
        elif tunnel := self._tunnels[flow.local.host]:
            tunnel.write(opened.data, opened.flow)

    def _receive_message(self, data: bytes, flow: Flow) -> None:
        self._outlets.note("received", flow, data, True)
        self._outlets.on_message(data, flow)

    def _lost(self, way: Flow) -> None:
        """Whoever named the connection otherwise means that of a newer set by now, where there is one."""
        for flow in {way} | self._called.pop(way, set()):
            if flow == way or self._shield.way(flow) in (way, None):
                self._outlets.on_lost(flow)
