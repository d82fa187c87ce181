"""TCP inside ESP with the kernel's own TCP: its segments are read from a TUN device, sealed, and sent by a raw socket.

    send(message) ─▶ a socket at port_uc ─▶ TCP ─▶ device ─▶ on_segment(segment, flow) ─▶ Shield ─▶ EspWire
    write(segment) ─▶ device ─▶ TCP ─▶ the socket at port_us or port_uc ─▶ on_message(message, flow)

So no TCP is written here, and a connection has exactly the ports that its associations name (TS 33.203 7.1). All
sockets are bound to the device (`imsphone.net.tun`): from elsewhere nothing reaches them, and they reach nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from imsphone.errors import NetworkError
from imsphone.ipsec import packet, segment
from imsphone.ipsec.sa import Associations
from imsphone.machine import Address, Flow
from imsphone.net.flows import Flows
from imsphone.net.privilege import ask_for_tun
from imsphone.net.tun import close_tun, name_of, open_tun, refusal

logger = logging.getLogger(__name__)

_PACKET_BYTES = 65535
_IN_ONE_GO = 64


class Tunnel:
    """TCP at the protected ports of `host`. Wants a running event loop; raises NetworkError where it cannot be had.

    `on_segment(segment, flow)` gets what the kernel's TCP sends, `on_message(message, flow)` what a connection brings,
    `on_lost(flow)` those that are gone.
    """

    def __init__(
        self,
        host: str,
        on_segment: Callable[[bytes, Flow], object],
        on_message: Callable[[bytes, Flow], None],
        on_lost: Callable[[Flow], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._host = host
        self._on_segment = on_segment
        self._on_message = on_message
        self._on_lost = on_lost
        self._tun = tun_for(host)
        self._device = name_of(self._tun)
        self._flows: dict[Address, Flows] = {}
        self._loop.add_reader(self._tun, self._read)

    def open(self, associations: Associations) -> None:
        """Connections are taken at the server port, and can be opened from the client port. Raises NetworkError."""
        for local in (associations.own_client, associations.own_server):
            if local not in self._flows:
                message, lost, device = self._on_message, self._on_lost, self._device
                self._flows[local] = Flows(local, message, lost, is_protected=True, device=device)

    def shut(self, associations: Associations, needed: set[Address]) -> None:
        """Ends the connections of these; ports in `needed` are still somebody else's. What TCP says to that leaves."""
        for local in (associations.own_client, associations.own_server):
            if local not in needed and (flows := self._flows.pop(local, None)):
                flows.close()
        if (flows := self._flows.get(associations.own_server)) is not None:
            flows.hang_up(associations.peer_client)
        self._read()

    def send(self, data: bytes, flow: Flow) -> None:
        """One message on the connection between these ends, which is opened where it is not there."""
        if (flows := self._flows.get(flow.local)) is not None:
            flows.send(data, flow)
        else:
            self._loop.call_soon(self._on_lost, flow)

    def write(self, data: bytes, flow: Flow) -> None:
        """A segment that came on this flow, for the kernel's TCP. What it refuses is lost, as on any network."""
        try:
            os.write(self._tun, packet.write(flow.remote.host, flow.local.host, segment.TCP, data))
        except OSError as error:
            logger.debug("%s: %s", flow, error)

    def close(self) -> None:
        """Ends every connection, and then the device."""
        for flows in self._flows.values():
            flows.close()
        self._flows.clear()
        self._read()
        self._loop.remove_reader(self._tun)
        close_tun(self._tun)

    def _read(self) -> None:
        for _ in range(_IN_ONE_GO):
            try:
                found = packet.read(os.read(self._tun, _PACKET_BYTES))
            except BlockingIOError:
                return
            except OSError as error:  # somebody took the device away, which would be told again and again
                logger.warning("%s: the TUN device %s is gone: %s", self._host, self._device, error)
                self._loop.remove_reader(self._tun)
                return
            ports = segment.ports(found.payload) if found and found.protocol == segment.TCP else None
            if found is not None and ports is not None:
                ends = Address(found.source, ports[0]), Address(found.target, ports[1])
                self._on_segment(found.payload, Flow("TCP", *ends))


def tun_for(host: str) -> int:
    """The descriptor of a TUN device: our own, or one from `imsphone-sa`. Raises NetworkError."""
    try:
        return open_tun(host)
    except PermissionError:
        return ask_for_tun(host)
    except OSError as error:
        raise NetworkError(f"{host}: {refusal(error)}") from None
