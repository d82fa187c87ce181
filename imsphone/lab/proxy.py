"""One request on its way through a proxy: where it went, what came back, and which answer counts (RFC 3261 16.7).

    server transaction ──▶ Forwarding ──┬──▶ client transaction ──▶ 180, 200
       (one, upstream)                  ├──▶ client transaction ──▶ 486
                                        └──▶ client transaction ──▶ (cancelled by the 200) 487

Provisional answers and every 2xx go upstream at once; a 6xx calls the other branches off; of the rest the best one goes
upstream when the last branch has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from imsphone.machine import Effect, Flow
from imsphone.sip.client import ClientTransaction
from imsphone.sip.message import Request, Response
from imsphone.sip.server import ServerTransaction

Edit = Callable[[Response, float], list[Effect]]

# Within the 4xx these say what the caller can do about it (RFC 3261 16.7 step 6).
_HELPFUL: Final = (401, 407, 415, 420, 484)


_NOT_THROUGH: Final = (408, 430, 503)


def _rank(response: Response) -> tuple[int, int]:
    status = response.status
    return (0 if status >= 600 else status // 100, 0 if status in _HELPFUL else 1)


class Forwarding:
    """What a stateful proxy remembers of one forwarded request.

    `edit` changes a response in place on its way upstream and may give effects of its own.
    """

    __slots__ = ("_finals", "branches", "edit", "server", "spares")

    def __init__(self, server: ServerTransaction, edit: Edit | None = None) -> None:
        self.server = server
        self.edit = edit
        self.branches: dict[ClientTransaction, float] = {}  # and when Timer C of each fires
        self.spares: dict[ClientTransaction, list[tuple[Request, Flow]]] = {}  # other flows to the same device
        self._finals: list[Response] = []

    def waiting(self) -> list[ClientTransaction]:
        """The branches without a final answer so far."""
        return [branch for branch in self.branches if branch.is_waiting]

    def spare(self, branch: ClientTransaction, status: int) -> list[tuple[Request, Flow]]:
        """The other ways to where `branch` did not get through (RFC 5626 5.3), each to be tried once."""
        spares = self.spares.pop(branch, [])
        return [] if self.server.is_answered or branch.is_cancelled or status not in _NOT_THROUGH else spares

    def collect(self, response: Response) -> Response | None:
        """Takes a final answer other than 2xx; gives the one to send upstream once no branch is open."""
        self._finals.append(response)
        if self.server.is_answered or any(branch.is_waiting for branch in self.branches):
            return None
        best = min(self._finals, key=_rank)
        if best.status == 503:  # the trouble is one of this proxy's next hops, not the proxy's (16.7 step 6)
            best.status, best.reason = 500, "Next Hop Unavailable"
        if best.status in (401, 407):  # 16.7 step 7: who is to prove himself hears of all challenges at once
            for other in self._finals:
                if other is not best and other.status in (401, 407):
                    for name in ("WWW-Authenticate", "Proxy-Authenticate"):
                        for value in other.headers.lines(name):
                            best.headers.add(name, value)
        return best
