"""ESP packets on the real network, by a raw socket: for kernels without IPsec, and for users who may not set it up.

    Driver ── ESP packet ──▶ raw socket, IP protocol 50 ──▶ the kernel writes the IP header, and cuts what is too long
           ◀─────────────── without its IP header ◀─────── the kernel has put it together again

A raw socket wants CAP_NET_RAW. Who has none asks `imsphone-sa` (`imsphone.net.privilege`), a small program that has it,
for an open socket. Neither there? That is one sentence with its remedy, before anything is sent.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable

from imsphone.errors import NetworkError
from imsphone.ipsec.shield import ESP_PORT
from imsphone.machine import Address, Flow
from imsphone.net.addresses import family_of, from_socket, to_socket
from imsphone.net.privilege import ask_for_socket, open_raw

logger = logging.getLogger(__name__)

_PACKET_BYTES = 65535
_IN_ONE_GO = 64
_IP_MTU_DISCOVER, _IP_PMTUDISC_DONT = 10, 0  # <linux/in.h>
_IPV6_MTU_DISCOVER = 23  # <linux/in6.h>


class EspWire:
    """ESP to and from one of our hosts. Raises NetworkError where it cannot be had; wants a running event loop."""

    def __init__(self, host: str, on_packet: Callable[[bytes, Flow], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_packet = on_packet
        self._local = Address(host, ESP_PORT)
        self._is_v4 = family_of(host) == socket.AF_INET
        self._socket = raw_socket(host)
        self._socket.setblocking(False)
        # a path that takes less than a whole packet gets it in pieces: SIP cannot be told to be shorter
        if self._is_v4:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
        else:
            self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _IP_PMTUDISC_DONT)
        self._loop.add_reader(self._socket.fileno(), self._read)

    def send(self, data: bytes, flow: Flow) -> None:
        """One packet. What the kernel refuses is lost, as on any network."""
        try:
            self._socket.sendto(data, to_socket(flow.remote))
        except OSError as error:
            logger.debug("%s: %s", flow, error)

    def close(self) -> None:
        """Nothing comes and goes any more."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        for _ in range(_IN_ONE_GO):
            try:
                packet, source = self._socket.recvfrom(_PACKET_BYTES)
            except OSError:
                return
            if self._is_v4:
                packet = packet[(packet[0] & 15) * 4 :]  # a raw IPv4 socket gives the header too, a raw IPv6 one not
            self._on_packet(packet, Flow("ESP", self._local, Address(from_socket(source).host, ESP_PORT)))
            if self._socket.fileno() < 0:
                return


def raw_socket(host: str) -> socket.socket:
    """A raw socket for ESP at one of our hosts: our own, or one from `imsphone-sa`. Raises NetworkError."""
    try:
        return open_raw(host)
    except PermissionError:
        return ask_for_socket(host)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise NetworkError(f"{host} is no address of this host: ESP cannot be sent from there") from None
        raise NetworkError(f"no raw socket for ESP: {os.strerror(error.errno or 0)}") from None
