"""The two sockets of a call, RTP on an even port and RTCP on the next (RFC 3550 11).

    send ──▶ [bad link] ──▶ tap ──▶ socket                   socket ──▶ [bad link] ──▶ tap ──▶ receive
                                                                └─ the kernel's stamp of arrival

The stamp is the kernel's (SO_TIMESTAMPNS), for a busy interpreter would invent jitter that the network never had. For
trials a bad link can lie before the sockets, one direction and the other; what it delays waits here for its time.
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
    """A bound pair of sockets at `local`, whose port is the RTP one; RTCP goes to the port above `remote`'s.

    Raises NetworkError where the pair cannot be had.
    """

    def __init__(self, local: Address, *, tap: Tap | None = None, link: BadLink | None = None) -> None:
        self.local = local
        self.remote: Address | None = None
        self._tap = tap
        self._out = link
        self._in = link.twin() if link else None
        self._pending: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._delivered: list[Datagram] = []
        self.rtp = _bound(local)
        try:
            self.rtcp = _bound(Address(local.host, local.port + 1))
        except NetworkError:
            self.rtp.close()
            raise

    def send(self, data: bytes, *, is_rtcp: bool = False) -> None:
        """Puts it on its way; what the network refuses is lost, as on any network."""
        if self.remote is None:
            return
        if self._out is None:
            self._put(data, is_rtcp)
            return
        for at in self._out.carry(time.monotonic()):
            self._later(at, lambda: self._put(data, is_rtcp))

    def _put(self, data: bytes, is_rtcp: bool) -> None:
        if self.remote is None:
            return
        host, port = self.remote
        at = time.time()
        with suppress(OSError):  # no route, no buffer, closed meanwhile
            (self.rtcp if is_rtcp else self.rtp).sendto(data, (host, port + is_rtcp))
            if self._tap:
                local = Address(self.local.host, self.local.port + is_rtcp)
                self._tap("sent", local, Address(host, port + is_rtcp), data, at)

    def receive(self) -> list[Datagram]:
        """What came and is due, of each socket at most `MOST_AT_ONCE`. Never waits."""
        for sock in (self.rtp, self.rtcp):
            for _ in range(MOST_AT_ONCE):
                try:
                    data, ancillary, flags, source = sock.recvmsg(LONGEST_DATAGRAM, _ANCILLARY)
                except OSError:
                    break
                if not flags & socket.MSG_TRUNC:
                    self._take(data, _stamp_of(ancillary), Address(*source[:2]), sock is self.rtcp)
        self.work_off(time.monotonic())
        delivered, self._delivered = self._delivered, []
        return delivered

    def _take(self, data: bytes, arrival_ns: int, source: Address, is_rtcp: bool) -> None:
        if self._in is None:
            self._deliver(data, arrival_ns, source, is_rtcp)
            return
        now = time.monotonic()
        for at in self._in.carry(now):
            stamp_ns = arrival_ns + int((at - now) * 1e9)
            self._later(at, lambda stamp_ns=stamp_ns: self._deliver(data, stamp_ns, source, is_rtcp))  # type: ignore[misc]

    def _deliver(self, data: bytes, arrival_ns: int, source: Address, is_rtcp: bool) -> None:
        self._delivered.append(Datagram(data, arrival_ns, is_rtcp))
        if self._tap:
            self._tap("received", Address(self.local.host, self.local.port + is_rtcp), source, data, arrival_ns / 1e9)

    def _later(self, at: float, act: Callable[[], None]) -> None:
        heappush(self._pending, (at, next(self._number), act))

    @property
    def deadline(self) -> float | None:
        """When the bad link lets the next one through, in seconds on the monotonic clock."""
        return self._pending[0][0] if self._pending else None

    @property
    def has_delivered(self) -> bool:
        """Whether the bad link let something through that `receive` has yet to give."""
        return bool(self._delivered)

    def work_off(self, now: float) -> None:
        """Lets through what the bad link held until now."""
        while self._pending and self._pending[0][0] <= now:
            heappop(self._pending)[2]()

    def close(self) -> None:
        """Gives the ports back."""
        self.remote = None
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
