"""The sockets of one endpoint: UDP and TCP on the same address and port, as RFC 3261 18.2.1 wants of whoever has a Via.

    Send(data, flow) ──▶ UDP ────────────────▶ sendto
                    └──▶ TCP, TLS: a connection to flow.remote? ──yes──▶ write
                                                               └──no───▶ connect, write when it stands
    datagram, or a frame of a stream ──▶ on_message(data, flow)
    ICMP unreachable, TCP refused, closed or broken ──▶ on_lost(flow)      (RFC 3261 18.4)

Connections are found by their remote end, whoever opened them: an answer leaves on the connection of its request, and a
second request on the connection of the first (RFC 3261 18). Both callbacks run from the event loop, never from `send`.

Datagrams are read by `recvfrom` on a plain socket: asyncio's DatagramProtocol takes a buffer of 256 KiB for each, which
makes a message three times as dear (8 against 27 µs, loopback, both directions).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable

from imsphone.errors import NetworkError
from imsphone.machine import Address, Flow
from imsphone.net.addresses import family_of, from_socket, to_socket
from imsphone.net.connection import Connection, keep_to, share_port
from imsphone.net.tls import Tls

if sys.platform != "win32":
    import resource

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 1024
_DATAGRAM_BYTES = 65535
_IN_ONE_GO = 64
_PORT_PAIR_TRIES = 16
_BACKLOG = 256
_BUFFER_BYTES = 4 << 20
_KEEPALIVE_BYTES = b"\r\n\0"  # what a datagram that only keeps a NAT open starts with

# Linux: <linux/in.h>, <linux/in6.h>, <linux/errqueue.h>; Python's socket module does not name them before 3.14.
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_FROM_ICMP = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
_UNREACHABLE = frozenset(
    (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENOPROTOOPT, errno.EACCES)
)
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Flows:
    """Binds `local` (port 0: any that is free for both transports) and carries messages until `close`.

    Where it `is_protected`, TCP connections are opened from this very port too, as security associations want it. With
    a `device` nothing comes and goes but through that. With `tls` there are flows of TLS, and where it `takes_tls` all
    connections to this address are such; `on_trouble` hears why one of ours came to nothing, before `on_lost`. Must be
    made inside a running event loop. Raises NetworkError where the address cannot be had.
    """

    def __init__(
        self,
        local: Address,
        on_message: Callable[[bytes, Flow], None],
        on_lost: Callable[[Flow], None],
        *,
        is_protected: bool = False,
        device: str = "",
        tls: Tls | None = None,
        takes_tls: bool = False,
        on_trouble: Callable[[NetworkError], None] = lambda _error: None,
    ) -> None:
        self._tls = tls or Tls()
        self._takes_tls = takes_tls
        self._on_trouble = on_trouble
        self._loop = asyncio.get_running_loop()
        self._on_message = on_message
        self._on_lost = on_lost
        self._connections: OrderedDict[tuple[str, Address], Connection] = OrderedDict()
        self._is_closed = False
        self._is_protected = is_protected
        self._device = device
        self._family, self._udp, self._listener = _bind(local, is_protected, device)
        self.local = Address(local.host, self._udp.getsockname()[1])
        # By number: asked for a socket that it does not know, the selector prints it first, for 60 µs.
        self._loop.add_reader(self._udp.fileno(), self._read_datagrams)
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def send(self, data: bytes, flow: Flow) -> None:
        """One whole message on `flow`, whose local end is ours. Failure comes later, as `on_lost`."""
        if self._is_closed:
            return
        if family_of(flow.remote.host) != self._family:
            self._lose_soon(flow)
        elif flow.transport == "UDP":
            self._send_datagram(data, flow)
        else:
            self._send_stream(data, flow)

    def hang_up(self, remote: Address) -> None:
        """Ends the connection with that far end, where there is one; it is not told as lost."""
        if (connection := self._connections.pop(("TCP", remote), None)) is not None:
            connection.close()

    def close(self) -> None:
        """Closes every socket; nothing is called back any more."""
        if self._is_closed:
            return
        self._is_closed = True
        for sock in (self._udp, self._listener):
            self._loop.remove_reader(sock.fileno())
            sock.close()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    # Datagrams ------------------------------------------------------------------------------------------------------

    def _send_datagram(self, data: bytes, flow: Flow) -> None:
        for _ in range(2):
            try:
                self._udp.sendto(data, to_socket(flow.remote))
                return
            except BlockingIOError:
                return  # the kernel's queue is full: to the protocol this is a lost datagram, and timers know those
            except OverflowError:
                break  # a port beyond 65535
            except OSError:
                # An ICMP error for an earlier datagram is handed out here, in place of sending: take it, try again.
                if not self._read_errors():
                    break
        self._lose_soon(flow)

    def _read_datagrams(self) -> None:
        local, receive, on_message = self.local, self._udp.recvfrom, self._on_message
        for count in range(_IN_ONE_GO):
            try:
                data, source = receive(_DATAGRAM_BYTES)
            except BlockingIOError:
                if not count:
                    self._read_errors()
                return
            except OSError:
                self._read_errors()
                continue
            if data[:1] not in _KEEPALIVE_BYTES or data.strip(_KEEPALIVE_BYTES):
                on_message(data, Flow("UDP", local, from_socket(source)))
            if self._is_closed:
                return

    def _read_errors(self) -> bool:
        """Takes what ICMP said of earlier datagrams (Linux tells to whom they went); True where it said anything."""
        if sys.platform != "linux":
            return False
        said = False
        while True:
            try:
                _, notes, _, target = self._udp.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return said
            said = True
            for _level, _type, note in notes:
                number, origin, *_ = _EXTENDED_ERROR.unpack_from(note)
                if origin in _FROM_ICMP and number in _UNREACHABLE:
                    self._lose_soon(Flow("UDP", self.local, from_socket(target)))

    # Streams --------------------------------------------------------------------------------------------------------

    def _send_stream(self, data: bytes, flow: Flow) -> None:
        connection = self._connections.get(_key(flow))
        if connection is None:
            session = self._tls.to(flow.remote) if flow.transport == "TLS" else None
            if session is None and flow.transport == "TLS":
                self._lose_soon(flow)  # a phone's own connection is the only way to it
                return
            try:
                connection = Connection.opened(
                    flow, self._stream_message, self._ended, self._is_protected, self._device, session
                )
            except (OSError, OverflowError) as error:
                logger.debug("%s: %s", flow, error)
                self._lose_soon(flow)
                return
            self._keep(connection)
        self._connections.move_to_end(_key(flow))
        connection.write(data)

    def _accept(self) -> None:
        try:
            sock, source = self._listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:  # the listener stays readable, so asking again at once would spin
                logger.warning("%s takes no connections for a second: %s", self.local, error)
                self._loop.remove_reader(self._listener.fileno())
                self._loop.call_later(1.0, self._listen_again)
            return
        flow = Flow("TLS" if self._takes_tls else "TCP", self.local, from_socket(source))
        session = self._tls.of(flow.remote) if self._takes_tls else None
        self._keep(Connection.accepted(sock, flow, self._stream_message, self._ended, self._is_protected, session))

    def _listen_again(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _keep(self, connection: Connection) -> None:
        """With all places taken the connection that was silent longest makes room: one that was opened to us where
        there is any, so that strangers who open a thousand do not push out the one to the P-CSCF."""
        while len(self._connections) >= min(MAX_CONNECTIONS, _share_of_descriptors()):
            oldest = next(iter(self._connections))
            key = next((key for key, one in self._connections.items() if not one.is_ours), oldest)
            idlest = self._connections.pop(key)
            idlest.close()
            self._lose_soon(idlest.flow)
        self._connections[_key(connection.flow)] = connection

    def _stream_message(self, data: bytes, flow: Flow) -> None:
        if _key(flow) in self._connections:
            self._connections.move_to_end(_key(flow))
            self._on_message(data, flow)

    def _ended(self, connection: Connection) -> None:
        if self._connections.get(_key(connection.flow)) is connection:
            del self._connections[_key(connection.flow)]
        if connection.trouble and not self._takes_tls and not self._is_closed:
            self._on_trouble(NetworkError(connection.trouble, (str(connection.flow.remote),)))
        self._lose_soon(connection.flow)

    def _lose_soon(self, flow: Flow) -> None:
        self._loop.call_soon(self._lose, flow)

    def _lose(self, flow: Flow) -> None:
        if not self._is_closed:
            self._on_lost(flow)


def _share_of_descriptors() -> int:
    """Half of those that this process may have: the rest is for calls, DNS and files, whatever strangers open."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_CONNECTIONS if most == resource.RLIM_INFINITY else max(1, most // 2)


def _key(flow: Flow) -> tuple[str, Address]:
    return flow.transport, flow.remote


def _bind(local: Address, is_protected: bool, device: str) -> tuple[socket.AddressFamily, socket.socket, socket.socket]:
    family = family_of(local.host)
    if family is None or local.host in ("0.0.0.0", "::"):
        raise NetworkError(f"cannot listen on {local.host!r}: give one IP address of this host, which Via can name")
    for tries_left in reversed(range(1 if local.port else _PORT_PAIR_TRIES)):
        udp = socket.socket(family, socket.SOCK_DGRAM)
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            for sock in (udp, listener):
                sock.setblocking(False)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                udp.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
            if sys.platform == "linux" and family == socket.AF_INET:
                udp.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            elif sys.platform == "linux":
                udp.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            if sys.platform != "win32":  # there it would let two programs share the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if is_protected:  # the datagram socket shares with nobody, so another program's port is still noticed
                share_port(listener)
            udp.bind(to_socket(local))
            listener.bind(to_socket(Address(local.host, udp.getsockname()[1])))
            for sock in (udp, listener):
                keep_to(device, sock)
            listener.listen(_BACKLOG)
            return family, udp, listener
        except (OSError, OverflowError) as error:
            udp.close()
            listener.close()
            number = error.errno if isinstance(error, OSError) else None
            if number != errno.EADDRINUSE or not tries_left:
                raise NetworkError(_refusal(local, number)) from error
    raise AssertionError("unreachable")


def _refusal(local: Address, number: int | None) -> str:
    match number:
        case errno.EADDRINUSE:
            return f"{local} is taken by another program: end that one, or choose another address or port (0: any free)"
        case errno.EADDRNOTAVAIL:
            return f"{local.host} is no address of this host: choose one that `ip address` lists"
        case errno.EACCES | errno.EPERM:
            return f"port {local.port} is not for ordinary users: choose one above 1023"
        case None:
            return f"{local.port} is no port: choose one from 1 to 65535, or 0 for any free one"
        case _:
            return f"cannot listen on {local}: {os.strerror(number)}"
