"""Whole messages out of a stream of octets.

A TCP connection carries SIP messages one behind the other, each as long as its Content-Length says (RFC 3261 18.3).
Between them stand keep-alives: CRLFCRLF asks, CRLF answers (RFC 5626 4.4.1). A Diameter message (the lab's Cx) starts
with its version, 0x01, and three octets of length (RFC 6733 3), which no SIP message does.

    feed(b"REGIS") []      feed(b"TER ...\\r\\n\\r\\nbody") [one message]      feed(b"\\r\\n\\r\\n") [PING]
"""

from __future__ import annotations

import re

PING = b"\r\n\r\n"
PONG = b"\r\n"
MAX_MESSAGE_BYTES = 1 << 16
_LENGTH = re.compile(rb"(?:^|\n)(?:content-length|l)[ \t]*:[ \t]*(\d{1,10})[ \t]*\r?(?:\n|$)", re.IGNORECASE)
_SECOND = re.compile(rb"\r\n\r\n|\n\n")


class Framer:
    """Cuts one direction of one connection. After `is_broken` the rest cannot be told apart: close the connection."""

    __slots__ = ("_buffer", "_searched", "is_broken")

    def __init__(self) -> None:
        self._buffer = b""
        self._searched = 0
        self.is_broken = False

    def feed(self, data: bytes) -> list[bytes]:
        """Takes what arrived, gives the messages that are whole now; a keep-alive comes as PING.

        A lone CRLF (a pong, or the tail of a sloppy sender's message) is skipped. More than 64 KiB without an end, or
        a SIP message without Content-Length, breaks the stream.
        """
        if self.is_broken:
            return []
        self._buffer += data
        frames: list[bytes] = []
        while self._buffer:
            frame = self._diameter() if self._buffer[0] == 0x01 else self._sip()
            if frame is None:
                break
            if frame:
                frames.append(frame)
        if len(self._buffer) > MAX_MESSAGE_BYTES + 4096:
            self.is_broken = True
        if self.is_broken:
            self._buffer = b""
        return frames

    def _take(self, length: int) -> bytes:
        frame, self._buffer = self._buffer[:length], self._buffer[length:]
        self._searched = 0
        return frame

    def _diameter(self) -> bytes | None:
        if len(self._buffer) < 4:
            return None
        length = int.from_bytes(self._buffer[1:4], "big")
        if not 20 <= length <= MAX_MESSAGE_BYTES:
            self.is_broken = True
            return None
        return self._take(length) if len(self._buffer) >= length else None

    def _sip(self) -> bytes | None:
        """The next message, PING, the empty string for skipped line ends, None where more must come."""
        if self._buffer[0] in b"\r\n":
            if self._buffer.startswith(PING):
                self._take(4)
                return PING
            if PING.startswith(self._buffer):  # may become a ping: wait
                return None
            self._take(2 if self._buffer.startswith(PONG) else 1)
            return b""
        blank = _SECOND.search(self._buffer, max(0, self._searched - 3))
        if blank is None:
            self._searched = len(self._buffer)
            return None
        head_bytes = blank.end()
        declared = _LENGTH.search(self._buffer, 0, head_bytes)
        if declared is None:
            self.is_broken = True
            return None
        length = head_bytes + int(declared[1])
        if length > MAX_MESSAGE_BYTES:
            self.is_broken = True
            return None
        self._searched = blank.start()
        return self._take(length) if len(self._buffer) >= length else None
