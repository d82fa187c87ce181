"""The two sockets of a call, RTP on an even port and RTCP on the next (RFC 3550 11).

    send ──▶ tap ──▶ socket            socket ──▶ [bad link] ──▶ tap ──▶ receive
                                         └─ the kernel's stamp of arrival

The stamp is the kernel's (SO_TIMESTAMPNS), for a busy interpreter would invent jitter that the network never had. For
trials a bad link can lie before the sockets, on the way in, so that two phones with one each have one each way; what it
delays waits here for its time, and what it loses is never seen to arrive.
"""

from __future__ import annotations

import errno
import itertools
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from typing import Literal, NamedTuple, Protocol, Self

from imsphone.errors import NetworkError
from imsphone.machine import Address

FIRST_PORT, LAST_PORT = 16384, 32766
"""Below what Linux hands out by itself (32768 and up)."""
MOST_AT_ONCE = 32
"""Datagrams taken from a socket before somebody else has a turn."""
LONGEST_DATAGRAM = 2048

_SO_TIMESTAMPNS = 35 if sys.platform == "linux" else None  # asm-generic/socket.h; the option is its own message type
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0

Direction = Literal["sent", "received"]
Tap = Callable[[Direction, Address, Address, bytes, float], None]
"""Sees each datagram as the socket does: which way, local, remote, octets, Unix time in seconds."""


class BadLink(Protocol):
    """What a link does to packets (`imsphone.lab.link.Link` is one)."""

    def carry(self, now: float) -> list[float]:
        """When the copies of what leaves now arrive, in seconds on the same clock."""

    def twin(self, number: int = 1) -> Self:
        """The same kind of link with another fate."""


class Datagram(NamedTuple):
    """What came, and when (Unix time in nanoseconds)."""

    data: bytes
    arrival_ns: int
    is_rtcp: bool


class Wire:
    """A bound pair of sockets at `local`, whose port is the RTP one; `aim` says where its packets go.

    Raises NetworkError where the pair cannot be had.
    """

    def __init__(self, local: Address, *, tap: Tap | None = None, link: BadLink | None = None) -> None:
        self.local = local
        self._remote: Address | None = None
        self._remote_rtcp: Address | None = None
        self._tap = tap
        self._link = link
        self._held: list[tuple[float, int, Datagram, Address]] = []  # by when the bad link lets them through
        self._number = itertools.count()
        self._delivered: list[Datagram] = []
        self.rtp = _bound(local)
        try:
            self.rtcp = _bound(Address(local.host, local.port + 1))
        except NetworkError:
            self.rtp.close()
            raise

    def aim(self, rtp: Address, rtcp: Address | None = None) -> None:
        """From now on packets go there; RTCP to the port above where nothing else was said (RFC 3550 11)."""
        self._remote, self._remote_rtcp = rtp, rtcp or Address(rtp.host, rtp.port + 1)

    def send(self, data: bytes, *, is_rtcp: bool = False) -> None:
        """Puts it on its way; what the network refuses is lost, as on any network."""
        remote = self._remote_rtcp if is_rtcp else self._remote
        if remote is None:
            return
        at = time.time()
        with suppress(OSError):  # no route, no buffer, closed meanwhile
            (self.rtcp if is_rtcp else self.rtp).sendto(data, remote)
            if self._tap:
                local = Address(self.local.host, self.local.port + is_rtcp)
                self._tap("sent", local, remote, data, at)

    def receive(self) -> list[Datagram]:
        """What came and is due, of each socket at most `MOST_AT_ONCE`. Never waits."""
        for sock in (self.rtp, self.rtcp):
            for _ in range(MOST_AT_ONCE):
                try:
                    data, ancillary, flags, source = sock.recvmsg(LONGEST_DATAGRAM, _ANCILLARY)
                except OSError:
                    break
                if not flags & socket.MSG_TRUNC:
                    self._take(Datagram(data, _stamp_of(ancillary), sock is self.rtcp), Address(*source[:2]))
        while self._held and self._held[0][0] <= time.monotonic():
            _, _, datagram, source_address = heappop(self._held)
            self._deliver(datagram, source_address)
        delivered, self._delivered = self._delivered, []
        return delivered

    def _take(self, datagram: Datagram, source: Address) -> None:
        if self._link is None:
            self._deliver(datagram, source)
            return
        now = time.monotonic()
        for at in self._link.carry(now):
            late = datagram._replace(arrival_ns=datagram.arrival_ns + int((at - now) * 1e9))
            heappush(self._held, (at, next(self._number), late, source))

    def _deliver(self, datagram: Datagram, source: Address) -> None:
        self._delivered.append(datagram)
        if self._tap:
            local = Address(self.local.host, self.local.port + datagram.is_rtcp)
            self._tap("received", local, source, datagram.data, datagram.arrival_ns / 1e9)

    @property
    def deadline(self) -> float | None:
        """When the bad link lets the next one through, in seconds on the monotonic clock."""
        return self._held[0][0] if self._held else None

    def close(self) -> None:
        """Gives the ports back."""
        self._remote = self._remote_rtcp = None
        self.rtp.close()
        self.rtcp.close()


def open_wire(host: str, first_port: int, *, tap: Tap | None = None, link: BadLink | None = None) -> Wire:
    """A wire at the first pair of free ports from `first_port` (even) on, round the range; NetworkError where none is.

    RFC 3550 11: an even port for RTP, the next one for RTCP.
    """
    ports = range(FIRST_PORT, LAST_PORT + 1, 2)
    start = (first_port - FIRST_PORT) // 2 % len(ports)
    for k in range(len(ports)):
        try:
            return Wire(Address(host, ports[(start + k) % len(ports)]), tap=tap, link=link)
        except NetworkError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EADDRINUSE:
                raise
    raise NetworkError(f"no pair of ports from {FIRST_PORT} to {LAST_PORT} is free at {host}; end some calls")


def _bound(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if _SO_TIMESTAMPNS is not None:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.bind((address.host, address.port))
    except OSError as error:
        sock.close()
        raise NetworkError(f"cannot receive sound at {address}: {error.strerror}") from error
    return sock


def _stamp_of(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return time.time_ns()
