"""Associations in the kernel for who may not put them there: the user's program asks `imsphone-sa`, which checks.

    imsphone (ordinary user)                              imsphone-sa (CAP_NET_ADMIN)
       "sa\\n" ───────────────────────────────────────────▶ databases for this connection
       ◀────────────────────────────────────────── "ok\\n"   or "no: …\\n"
       {"do": "add", "number": 0, "lifetime_s": 240, …} ──▶ checked by `imsphone.net.grant`
       ◀─────────────────────────────────────────── {}       or {"no": "…"}

The connection lasts as long as the associations do.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import Association, Associations
from imsphone.ipsec.shield import Counted
from imsphone.machine import Address
from imsphone.net.databases import Databases, KernelDatabases
from imsphone.net.grant import GREETING
from imsphone.net.privilege import ENVIRONMENT, SOCKET_PATH, user_name

_PATIENCE_S = 5.0  # the kernel may load a module meanwhile
_MOST_BYTES = 65536


def open_databases() -> Databases:
    """The kernel's, by this process itself or through `imsphone-sa`. Raises NetworkError with what to do."""
    try:
        return KernelDatabases()
    except PermissionError:
        return DelegatedDatabases()


class DelegatedDatabases:
    """The kernel's, through `imsphone-sa`. Raises NetworkError where that is not there or may not itself."""

    def __init__(self, path: str | None = None) -> None:
        path = path or os.environ.get(ENVIRONMENT, SOCKET_PATH)
        self._numbers: dict[Associations, int] = {}
        self._count = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_PATIENCE_S)
        self._lines = self._socket.makefile("rb")
        try:
            self._socket.connect(path)
            self._socket.sendall(GREETING)
            said = self._lines.readline(_MOST_BYTES)
        except OSError:
            self.close()
            remedy = f"start `sudo imsphone-sa --user {user_name()}` beside it, or give this program CAP_NET_ADMIN"
            raise NetworkError(f"this user may not set up the kernel's ESP (no CAP_NET_ADMIN): {remedy}") from None
        if said != b"ok\n":
            self.close()
            why = said.decode("utf-8", "replace").removeprefix("no: ").strip() or "it says nothing"
            raise NetworkError(f"imsphone-sa at {path} keeps no associations: {why}")

    def expect_esp(self, is_v6: bool) -> None:
        """Raises NetworkError where the kernel knows no ESP."""
        self._ask(do="expect", number=0, is_v6=is_v6)

    def add(self, associations: Associations, lifetime_s: float) -> None:
        """Raises NetworkError, and has added nothing then."""
        number = self._count
        self._count += 1
        self._ask(do="add", number=number, lifetime_s=lifetime_s, **_written(associations))
        self._numbers[associations] = number

    def prolong(self, associations: Associations, lifetime_s: float) -> None:
        """Raises NetworkError."""
        if associations in self._numbers:
            self._ask(do="prolong", number=self._numbers[associations], lifetime_s=lifetime_s)

    def remove(self, associations: Associations) -> None:
        """Raises NetworkError where `imsphone-sa` is not there any more."""
        number = self._numbers.pop(associations, None)
        if number is not None:
            self._ask(do="remove", number=number)

    def counted(self, associations: Associations) -> list[Counted]:
        """Raises NetworkError where `imsphone-sa` is not there any more."""
        if associations not in self._numbers:
            return []
        told = self._ask(do="counted", number=self._numbers[associations])["counted"]
        return [Counted(_association(*one), *numbers) for one, *numbers in told]

    def close(self) -> None:
        """The end of the connection, whereupon everything is removed."""
        self._lines.close()
        self._socket.close()

    def _ask(self, **request: Any) -> dict[str, Any]:
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(self._lines.readline(_MOST_BYTES))
        except (OSError, ValueError):
            remedy = "start it again, and this program after it"
            raise NetworkError(f"imsphone-sa, which keeps the security associations, has gone: {remedy}") from None
        if "no" in answer:
            raise NetworkError(answer["no"])
        return dict(answer)


def _written(associations: Associations) -> dict[str, Any]:
    keys = associations.keys
    return {
        "suite": str(associations.suite),
        "hosts": [associations.own_host, associations.peer_host],
        "ends": [associations.own, associations.peer],
        "keys": [keys.integrity.hex(), keys.encryption.hex(), keys.salt.hex()],
    }


def _association(spi: int, source: list[Any], target: list[Any]) -> Association:
    return Association(spi, Address(*source), Address(*target))
