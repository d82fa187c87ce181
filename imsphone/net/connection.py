"""One TCP connection: octets in, whole messages out, and never more in memory than it may.

    open ──▶ connecting ──▶ up ──▶ ended           what is written meanwhile waits in `_waiting`
                │ refused, 10 s     │ closed, broken stream, a peer that does not read
                └──────────────────▶┴──▶ on_end(self), once

A plain non-blocking socket on the event loop's selector, so that opening and writing need no task and no await: a
machine's effects are performed where they stand, in their order.

A protected connection has the ports that its security association names at both ends (TS 33.203 7.1), so it is opened
from a port that is listened on as well. It is reset rather than finished: the next one between the same two ports need
not wait for TIME_WAIT, and nothing of it is left to be said once the association is gone.

With a `Session` the octets are TLS: it stands between the socket and everything else, and `trouble` is why it gave up.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import struct
from collections.abc import Callable

from imsphone.machine import Address, Flow
from imsphone.net.addresses import family_of, to_socket
from imsphone.net.tls import Session
from imsphone.sip.framing import PING, PONG, Framer

logger = logging.getLogger(__name__)

CONNECT_S = 10.0
PROTECTED_CONNECT_S = 4.0  # no RST comes out of a closed association, and who only prefers TCP has UDP to try
MAX_WAITING_BYTES = 1 << 20
_READ_BYTES = 1 << 16
_ABORT = struct.pack("ii", 1, 0)  # struct linger: on, 0 s


class Connection:
    """A connection of `flow`, opened by us (`opened`) or accepted (`accepted`).

    `on_message(data, flow)` gets every whole message; `on_end(connection)` is called once, from the event loop and
    never from within `write`.
    """

    def __init__(
        self,
        sock: socket.socket,
        flow: Flow,
        on_message: Callable[[bytes, Flow], None],
        on_end: Callable[[Connection], None],
        is_protected: bool = False,
        session: Session | None = None,
    ) -> None:
        self.flow = flow
        self.trouble = ""
        self.is_ours = False  # opened from here
        self._session = session
        self._sock = sock
        self._fd = sock.fileno()
        self._on_message = on_message
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._framer = Framer()
        self._waiting = bytearray()
        self._alarm: asyncio.TimerHandle | None = None
        self._is_up = False
        self._has_ended = False
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if is_protected:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)

    @classmethod
    def opened(
        cls,
        flow: Flow,
        on_message: Callable[[bytes, Flow], None],
        on_end: Callable[[Connection], None],
        is_protected: bool = False,
        device: str = "",
        session: Session | None = None,
    ) -> Connection:
        """Starts to connect to `flow.remote`, from the host of `flow.local` and any port, or from its very port where
        the flow `is_protected`. Raises OSError where even that fails: another family, no such address."""
        sock = socket.socket(family_of(flow.local.host) or socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection = cls(sock, flow, on_message, on_end, is_protected, session)
            connection.is_ours = True
            if is_protected:
                share_port(sock)
            sock.bind(to_socket(flow.local if is_protected else Address(flow.local.host, 0)))
            keep_to(device, sock)
            outcome = sock.connect_ex(to_socket(flow.remote))
            if outcome not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
                raise OSError(outcome, errno.errorcode.get(outcome, "connect"))
        except (OSError, OverflowError):
            sock.close()
            raise
        connection._loop.add_writer(connection._fd, connection._connected)
        patience_s = PROTECTED_CONNECT_S if is_protected else CONNECT_S
        connection._alarm = connection._loop.call_later(patience_s, connection._end, "no answer to SYN")
        return connection

    @classmethod
    def accepted(
        cls,
        sock: socket.socket,
        flow: Flow,
        on_message: Callable[[bytes, Flow], None],
        on_end: Callable[[Connection], None],
        is_protected: bool = False,
        session: Session | None = None,
    ) -> Connection:
        """Takes over a socket that `accept` gave."""
        connection = cls(sock, flow, on_message, on_end, is_protected, session)
        connection._up()
        return connection

    def write(self, data: bytes) -> None:
        """Sends, at once or as soon as the peer takes it. A peer that leaves more than 1 MiB unread loses the line."""
        self._put(data if self._session is None else self._session.write(data))
        if self._session is not None and self._session.n_waiting > MAX_WAITING_BYTES:
            self._end_soon("the peer does not shake hands")

    def _put(self, data: bytes) -> None:
        if self._has_ended or not data:
            return
        if self._is_up and not self._waiting:
            try:
                data = data[self._sock.send(data) :]
            except BlockingIOError:
                pass
            except OSError as error:
                self._end_soon(str(error))
                return
            if not data:
                return
            self._loop.add_writer(self._fd, self._flush)
        self._waiting += data
        if len(self._waiting) > MAX_WAITING_BYTES:
            self._end_soon("the peer does not read")

    def close(self) -> None:
        """Ends the connection without a word to `on_end`; what the kernel has taken it still delivers, unless the
        connection is protected."""
        if self._has_ended:
            return
        self._has_ended = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        if self._alarm:
            self._alarm.cancel()
        if self._session is not None and self._is_up and not self._waiting:
            with contextlib.suppress(OSError):
                self._sock.send(self._session.goodbye())
        self._sock.close()

    def _connected(self) -> None:
        if failure := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._end(errno.errorcode.get(failure, str(failure)))
            return
        if self._alarm:
            self._alarm.cancel()
        self._loop.remove_writer(self._fd)
        self._up()
        if self._waiting:
            self._loop.add_writer(self._fd, self._flush)
            self._flush()

    def _up(self) -> None:
        self._is_up = True
        self._loop.add_reader(self._fd, self._read)
        if self._session is not None:
            self._alarm = self._loop.call_later(CONNECT_S, self._end, "no TLS")
            self._put(self._session.start())

    def _flush(self) -> None:
        try:
            del self._waiting[: self._sock.send(self._waiting)]
        except BlockingIOError:
            return
        except OSError as error:
            self._end(str(error))
            return
        if not self._waiting:
            self._loop.remove_writer(self._fd)

    def _read(self) -> None:
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(str(error))
            return
        if not data and self._session is None:
            self._end("closed by the peer")
            return
        if self._session is not None:
            data, answer = self._session.read(data)
            self._put(answer)
            if self._session.is_up and self._alarm:
                self._alarm.cancel()
        for frame in self._framer.feed(data):
            if frame == PING:
                self.write(PONG)  # RFC 5626 4.4.1
            else:
                self._on_message(frame, self.flow)
        if self._framer.is_broken:
            self._end("neither SIP nor Diameter in the stream")
        elif self._session is not None and self._session.is_over:
            self._end(self._session.trouble or "closed by the peer")

    def _end_soon(self, why: str) -> None:
        self._waiting.clear()
        self._is_up = False
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._loop.call_soon(self._end, why)

    def _end(self, why: str) -> None:
        if self._has_ended:
            return
        logger.debug("%s ended: %s", self.flow, why)
        if self._session is not None:
            is_shaking = self._is_up and not self._session.is_up
            self.trouble = self._session.trouble or (self._session.silence if is_shaking else "")
        self.close()
        self._on_end(self)


def share_port(sock: socket.socket) -> None:
    """Lets a listener and connections that are opened from its port have that port together; all of them ask for it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def keep_to(device: str, sock: socket.socket) -> None:
    """Nothing of this socket passes but through that device, if any is named. After `bind`: IPv6 would not let us bind
    to an address that is not the device's. Raises OSError."""
    if device:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
