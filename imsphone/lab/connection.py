"""The TCP and TLS connections of a `World`: found by who opened them, or by the passing port that others see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from imsphone.machine import Address, Flow

_FIRST_PASSING_PORT: Final = 49152


@dataclass(frozen=True, slots=True)
class Connection:
    """The flow as its opener sees it, and the passing address that the other side sees."""

    opener: str
    flow: Flow
    passing: Address

    @property
    def mirrored(self) -> Flow:
        """The connection as the side that accepted it sees it."""
        return self.flow._replace(local=self.flow.remote, remote=self.passing)


class Connections:
    """All that are open."""

    def __init__(self) -> None:
        self._opened: dict[tuple[str, Flow], Connection] = {}
        self._accepted: dict[Flow, Connection] = {}
        self._ports: dict[str, int] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._opened.values()))

    def accepted(self, flow: Flow) -> Connection | None:
        """The connection that its acceptor calls `flow`."""
        return self._accepted.get(flow)

    def opened(self, opener: str, flow: Flow) -> Connection:
        """The connection that its opener calls `flow`, a new one where there is none."""
        connection = self._opened.get((opener, flow))
        if connection is None:
            host = flow.local.host
            port = self._ports.get(host, _FIRST_PASSING_PORT)
            self._ports[host] = port + 1 if port < 0xFFFF else _FIRST_PASSING_PORT
            connection = self._opened[opener, flow] = Connection(opener, flow, Address(host, port))
            self._accepted[connection.mirrored] = connection
        return connection

    def close(self, connection: Connection) -> None:
        """It is no more."""
        self._opened.pop((connection.opener, connection.flow), None)
        self._accepted.pop(connection.mirrored, None)
