"""What a machine in a `World` sends and gets inside ESP: messages whole, over TCP each in one segment.

Send(data, TCP flow) ──▶ a segment between the true ends ──▶ Shield ──▶ ESP packet ──▶ Shield ──▶ the message

So keys, SPIs and selectors are put to the proof as on a real network, and only TCP's own work is left out.
"""

from __future__ import annotations

from imsphone.ipsec import segment
from imsphone.ipsec.sa import Associations
from imsphone.ipsec.shield import Packet, Shield
from imsphone.machine import Flow


class WholeShield(Shield):
    """A `Shield` for whole messages. `transports` are what this machine has inside ESP: one may lack TCP."""

    def __init__(self) -> None:
        super().__init__()
        self.transports = ("UDP", "TCP")
        self.connected: set[Flow] = set()  # over TCP, from here: what the other side has taken something on

    def refuses(self, flow: Flow) -> bool:
        """Whether what came on this flow is to be dropped, since it came without ESP."""
        if self.guards(flow):
            self.note_plain(flow)
        return self.guards(flow)

    def release(self, associations: Associations) -> None:
        """From now on these are not used; connections of their client port are gone."""
        super().release(associations)
        self.connected = {flow for flow in self.connected if flow.local != associations.own_client}

    def seal(self, data: bytes, flow: Flow) -> Packet | None:
        """The ESP packet for a message on this flow, None where no association covers it."""
        if flow.transport != "TCP":
            return super().seal(data, flow)
        way = self.way(flow)
        return None if way is None else super().seal(segment.write(way.local, way.remote, data), way)

    def open(self, data: bytes, flow: Flow) -> Packet | None:
        """The message in an ESP packet and its flow, None where the packet is to be dropped."""
        opened = super().open(data, flow)
        if opened is None or opened.flow.transport == "UDP":
            return opened
        message = segment.read(opened.flow.remote.host, opened.flow.local.host, opened.data)
        return None if message is None or "TCP" not in self.transports else Packet(message, opened.flow)
