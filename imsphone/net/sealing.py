"""ESP made by this program: what leaves is sealed by the `Shield`, what comes is opened or dropped.

send ─▶ note(message) ─▶ Shield.seal ─▶ note(packet) ─▶ EspWire
EspWire ─▶ note(packet) ─▶ Shield.open ─▶ note(message) ─▶ on_message
"""

from __future__ import annotations

import asyncio

from imsphone.ipsec.sa import Associations
from imsphone.ipsec.shield import Shield
from imsphone.machine import Flow
from imsphone.net.esp import EspWire
from imsphone.net.protection import Outlets


class Sealing:
    """A `Protection` without the kernel's help, but for the raw sockets. Make it inside a running event loop."""

    def __init__(self, outlets: Outlets) -> None:
        self._outlets = outlets
        self._loop = asyncio.get_running_loop()
        self._shield = Shield()
        self._wires: dict[str, EspWire] = {}
        self.guards = self._shield.guards
        self.release = self._shield.release
        self.counted = self._shield.counted
        self.passed = self._shield.passed
        self.note_plain = self._shield.note_plain

    def protect(self, associations: Associations) -> None:
        """Raises NetworkError where this machine cannot send ESP."""
        host = associations.own_host
        if host not in self._wires:
            self._wires[host] = EspWire(host, self._receive)
        self._shield.protect(associations)

    def send(self, data: bytes, flow: Flow) -> None:
        """One message, sealed; lost where its associations are gone, and never in the clear instead."""
        self._outlets.note("sent", flow, data, True)
        packet = self._shield.seal(data, flow)
        if packet is None:
            self._loop.call_soon(self._outlets.on_lost, flow)
            return
        self._outlets.note("sent", packet.flow, packet.data, False)
        self._wires[packet.flow.local.host].send(packet.data, packet.flow)

    def close(self) -> None:
        """Closes the raw sockets."""
        for wire in self._wires.values():
            wire.close()

    def _receive(self, data: bytes, flow: Flow) -> None:
        self._outlets.note("received", flow, data, False)
        if opened := self._shield.open(data, flow):
            self._outlets.note("received", opened.flow, opened.data, True)
            self._outlets.on_message(opened.data, opened.flow)
