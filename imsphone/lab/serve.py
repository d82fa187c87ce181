"""The lab on real sockets: each node of a `Network` under a driver of its own, at its own loopback address.

    async with serve(Network()) as lab:          P-CSCF 127.0.10.10:5060, I-CSCF .20, S-CSCF .30, HSS .40:3868, …
        ...

This is the only file of the lab that does I/O. An address that is taken is one sentence, and nothing stays open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from imsphone.errors import NetworkError
from imsphone.lab.network import Network
from imsphone.machine import Address, OpenMedia
from imsphone.net.driver import Driver
from imsphone.net.protection import Outlets, Protection
from imsphone.net.sealing import Sealing
from imsphone.net.tls import Tls
from imsphone.trace import Trace

FIRST_MEDIA_PORT: Final = 42000
LAST_MEDIA_PORT: Final = 49998


@dataclass(frozen=True, slots=True)
class Lab:
    """A network that is being served: `drivers` by the names of its nodes."""

    network: Network
    drivers: dict[str, Driver]

    def perform(self, name: str, command: Callable[..., Any], *arguments: Any) -> Any:
        """Run a command of a node (`lab.perform("far-end", network.far_end.call, impu)`) and perform its effects."""
        return self.drivers[name].do(command, *arguments)


@asynccontextmanager
async def serve(
    network: Network,
    *,
    trace: Trace | None = None,
    on_event: Callable[[str, Any], None] = lambda name, event: None,
    tls: Tls | None = None,
    protection: Callable[[Outlets], Protection] = Sealing,
) -> AsyncIterator[Lab]:
    """Serve the nodes of a network until the block ends. `on_event` hears what each node tells, with its name;
    `protection` makes what keeps the P-CSCF's associations.

    With `tls` the P-CSCF takes TLS at `network.secure`.

    Raises NetworkError where an address cannot be had.
    """
    drivers: dict[str, Driver] = {}
    async with AsyncExitStack() as stack:
        for name, machine in network.nodes.items():
            opened = _MediaPorts()
            driver = Driver(
                machine,
                name=name,
                answers={OpenMedia: opened},
                on_event=partial(on_event, name),
                trace=trace,
                protection=protection,
                tls=tls,
            )
            opened.driver = driver
            drivers[name] = await stack.enter_async_context(driver)
            driver.bind(*network.addresses[name])
            if tls is not None and name == "p-cscf":
                driver.bind(*network.secure, takes_tls=True)
        yield Lab(network, drivers)


class _MediaPorts:
    """Answers OpenMedia: the next even port that is free together with the odd one above it."""

    driver: Driver

    def __init__(self) -> None:
        self._port = FIRST_MEDIA_PORT

    def __call__(self, question: OpenMedia) -> Address:
        while self._port <= LAST_MEDIA_PORT:
            port = self._port
            self._port += 2
            try:
                media = self.driver.bind(question.host, port)
                self.driver.bind(question.host, port + 1)
            except NetworkError:
                continue
            return media
        raise NetworkError(f"no media port from {FIRST_MEDIA_PORT} to {LAST_MEDIA_PORT + 1} is free at {question.host}")
