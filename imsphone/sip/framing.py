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
_LWS = rb"(?:[ \t]|\r?\n[ \t])*+"
_LENGTH = re.compile(rb"\n(?:content-length|l)" + _LWS + rb":" + _LWS + rb"(\d{1,10})(?=[ \t]*+\r?\n)", re.IGNORECASE)
_BLANK = re.compile(rb"\n\r?\n")


class Framer:
    """Cuts one direction of one connection. After `is_broken` the rest cannot be told apart: close the connection."""

    __slots__ = ("_buffer", "_length", "_searched", "is_broken")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # of the first message: so far there is no empty line ...
        self._length = 0  # ... and this is its length, once known
        self.is_broken = False

    def feed(self, data: bytes) -> list[bytes]:
        """Takes what arrived, gives the messages that are whole now; a keep-alive comes as PING.

        A lone CRLF (a pong, or the tail of a sloppy sender's message) is skipped. More than 64 KiB without an end, or
        a SIP message without a Content-Length that says one thing, breaks the stream.
        """
        if self.is_broken:
            return []
        self._buffer += data
        frames: list[bytes] = []
        start, size = 0, len(self._buffer)
        while start < size:
            if not self._length:
                measure = self._diameter_length if self._buffer[start] == 0x01 else self._sip_length
                self._length = measure(start)
            end = start + self._length
            if self._length == 0 or end > size or self.is_broken:
                break
            frame = bytes(self._buffer[start:end])
            if frame not in _SKIPPED:
                frames.append(frame)
            start, self._searched, self._length = end, 0, 0
        del self._buffer[:start]
        if self.is_broken or len(self._buffer) > MAX_MESSAGE_BYTES:
            self.is_broken = True
            self._buffer.clear()
        return frames

    def _diameter_length(self, start: int) -> int:
        header = self._buffer[start : start + 4]
        if len(header) < 4:
            return 0
        length = int.from_bytes(header[1:], "big")
        self.is_broken = not 20 <= length <= MAX_MESSAGE_BYTES
        return length

    def _sip_length(self, start: int) -> int:
        """How long the message, ping or line end is that begins at `start`; 0 where more must come to tell."""
        buffer = self._buffer
        if buffer[start] in b"\r\n":
            opening = bytes(buffer[start : start + 4])
            if opening == PING:
                return 4
            if PING.startswith(opening):  # may become a ping: wait
                return 0
            return 2 if opening.startswith(PONG) else 1
        blank = _BLANK.search(buffer, start + max(0, self._searched - 2))
        if blank is None:
            self._searched = len(buffer) - start
            return 0
        declared = {int(digits) for digits in _LENGTH.findall(buffer, start, blank.end())}
        length = blank.end() - start + max(declared, default=0)
        self.is_broken = len(declared) != 1 or length > MAX_MESSAGE_BYTES
        return length


_SKIPPED = (PONG, b"\r", b"\n")
