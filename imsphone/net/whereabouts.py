"""Whether the address that we use is still the one from which the kernel reaches the P-CSCF.

    every two seconds   way() ─▶ Flow 192.0.2.77 ↔ P-CSCF          the routing table says 198.51.100.3 ─▶ moved()
                                                                   it says the same, or no route leads there: wait

An interface that goes and comes back with its old address has changed nothing that the protocol could see. To ask costs
one look at the routing table and works wherever there are sockets; nobody has to tell us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from imsphone.machine import Flow
from imsphone.net.addresses import local_host

CHECK_S: Final = 2.0


class Whereabouts:
    """Looks until `close`. `way` gives the flow in use, None where there is none; `moved` is called at each change.

    Make it inside a running event loop.
    """

    def __init__(self, way: Callable[[], Flow | None], moved: Callable[[], None], *, check_s: float = CHECK_S) -> None:
        self._loop = asyncio.get_running_loop()
        self._way = way
        self._moved = moved
        self._check_s = check_s
        self._alarm = self._loop.call_later(check_s, self._look)

    def close(self) -> None:
        """Looks no more."""
        self._alarm.cancel()

    def _look(self) -> None:
        self._alarm = self._loop.call_later(self._check_s, self._look)
        way = self._way()
        if way is not None and local_host(way.remote.host) not in (None, way.local.host):
            self._moved()
