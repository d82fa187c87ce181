"""A software card in the virtual reader of PC/SC: `vsmartcard-vpcd` of Debian, which pcscd loads.

    phone ─▶ pyscard ─▶ pcscd ─▶ libifdvpcd ◀── TCP, 127.0.0.1:35963 ── Inserted(SoftUicc)

    len(2) 00 │ 01 │ 02      current off, on, reset: no answer         len(2) 04           the ATR, please
    len(2) command           anything longer than an octet is one       len(2) response

The card dials the reader, so inserting it is connecting and taking it out is closing.
"""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from imsphone.testing.uicc import SoftUicc

PORT = 35963
_OFF, _ON, _RESET, _ATR = 0, 1, 2, 4
_PATIENCE_S = 10.0


class Inserted:
    """`card` is in the virtual reader from `with` to the end of it, or until it is taken out.

    Raises OSError where no virtual reader listens.
    """

    def __init__(self, card: SoftUicc, host: str = "127.0.0.1", port: int = PORT) -> None:
        self.card = card
        self._address = (host, port)
        self._thread = threading.Thread(target=self._serve, name="imsphone-card", daemon=True)

    def __enter__(self) -> Self:
        self._reader = socket.create_connection(self._address, timeout=_PATIENCE_S)
        self._reader.settimeout(None)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.take_out()

    def take_out(self) -> None:
        """Out of the reader it is, also in the middle of a command."""
        self._hang_up()
        self._thread.join()
        self._reader.close()

    def _hang_up(self) -> None:
        with suppress(OSError):  # the reader was quicker
            self._reader.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        try:
            while message := self._receive(int.from_bytes(self._receive(2), "big")):
                if len(message) > 1:
                    self._send(self.card.answer(message))
                elif message[0] in (_OFF, _ON, _RESET):
                    self.card.power()
                elif message[0] == _ATR:
                    self._send(self.card.atr)
        except OSError:  # taken out
            self._hang_up()

    def _receive(self, n_bytes: int) -> bytes:
        data = b""
        while len(data) < n_bytes:
            part = self._reader.recv(n_bytes - len(data))
            if not part:
                raise ConnectionError
            data += part
            if sys.platform == "linux":  # the reader sends length and command apart, and Nagle would wait between them
                self._reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data

    def _send(self, data: bytes) -> None:
        self._reader.sendall(len(data).to_bytes(2, "big") + data)
