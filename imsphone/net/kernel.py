"""ESP made by the kernel: plain sockets at the protected ports, and nothing passes them but inside its associations.

    protect   policies ─▶ associations ─▶ sockets, UDP and TCP, at port_uc and port_us
    release   sockets ─▶ associations ─▶ policies                              so nothing is ever sent in the clear
    send ─▶ note(message) ─▶ socket ─▶ the kernel seals
    the kernel opens, or drops ─▶ socket ─▶ from an end of an association? ─▶ note(message) ─▶ on_message

The packets stay inside the kernel: a trace shows the messages only. TCP connections are opened from the protected port
itself, since the associations name it (TS 33.203 7.1).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import Associations
from imsphone.ipsec.shield import Counted, Passed
from imsphone.machine import Address, Flow, Transport
from imsphone.net.databases import Databases
from imsphone.net.delegation import open_databases
from imsphone.net.flows import Flows
from imsphone.net.protection import Outlets

logger = logging.getLogger(__name__)

TRIAL_S = 240.0  # TS 24.229 7.8, reg-await-auth: as long as a registration may take to be granted


class KernelEsp:
    """A `Protection` by the kernel of this machine. Make it inside a running event loop."""

    def __init__(self, outlets: Outlets, open_databases: Callable[[], Databases] = open_databases) -> None:
        self._outlets = outlets
        self._loop = asyncio.get_running_loop()
        self._open = open_databases
        self._databases: Databases | None = None
        self._sets: list[Associations] = []  # the one last heard on comes last
        self._ends_at: dict[Associations, float] = {}
        self._ports: set[Address] = set()
        self._flows: dict[Address, Flows] = {}

    def protect(self, associations: Associations) -> tuple[Transport, ...]:
        """Both transports. Raises NetworkError where this machine's kernel cannot, or a port is taken."""
        if self._databases is None:
            self._databases = self._open()
        self._databases.add(associations, TRIAL_S)
        self._sets.insert(0, associations)
        self._end_after(associations, TRIAL_S)
        self._ports |= {associations.own_client, associations.own_server}
        try:
            for local in (associations.own_client, associations.own_server):
                if local not in self._flows:
                    self._flows[local] = Flows(local, self._receive, self._outlets.on_lost, is_protected=True)
        except NetworkError:
            self.release(associations)
            raise
        return ("UDP", "TCP")

    def prolong(self, associations: Associations, lifetime_s: float) -> None:
        """Raises NetworkError where the kernel refuses."""
        if self._databases is not None and associations in self._sets:
            self._databases.prolong(associations, lifetime_s)
            self._end_after(associations, lifetime_s)

    def release(self, associations: Associations) -> None:
        """Closes its ports, but for what another set still needs, and then has the kernel forget it (TS 33.203 7.4)."""
        if self._databases is None or associations not in self._sets:
            return
        self._sets.remove(associations)
        del self._ends_at[associations]
        needed = {local for held in self._sets for local in (held.own_client, held.own_server)}
        for local in (associations.own_client, associations.own_server):
            flows = self._flows.get(local)
            if flows is not None and local not in needed:
                self._flows.pop(local).close()
            elif flows is not None and all(held.peer_client != associations.peer_client for held in self._sets):
                flows.hang_up(associations.peer_client)
        try:
            self._databases.remove(associations)
        except NetworkError as error:
            logger.warning("%s", error)

    def guards(self, flow: Flow) -> bool:
        """Whether this flow's own port is a protected one, or was."""
        return flow.local in self._ports

    def send(self, data: bytes, flow: Flow) -> None:
        """One message; lost where its associations are gone."""
        self._outlets.note("sent", flow, data, True)
        self._end_old()
        way = self._way(flow)
        if way is None:
            self._loop.call_soon(self._outlets.on_lost, flow)
        else:
            self._flows[way.local].send(data, way)

    def counted(self) -> list[Counted]:
        """Every association with what has passed it."""
        if self._databases is None:
            return []
        return [counted for held in self._sets for counted in self._databases.counted(held)]

    def passed(self, associations: Associations) -> Passed:
        """What has passed this set; of what it drops the kernel says no more than that it was forged or replayed."""
        counted = self._databases.counted(associations) if self._databases and associations in self._sets else []
        sent, opened = (sum(one.packets for one in counted if one.is_inbound == way) for way in (False, True))
        return Passed(sent, opened, sum(one.forged for one in counted), sum(one.replayed for one in counted))

    def note_plain(self, flow: Flow) -> None:
        """Never heard of here: the kernel drops it."""

    def close(self) -> None:
        """Sockets first, then what is in the kernel."""
        for flows in self._flows.values():
            flows.close()
        self._flows.clear()
        self._sets.clear()
        self._ends_at.clear()
        if self._databases is not None:
            self._databases.close()

    def _end_after(self, associations: Associations, lifetime_s: float) -> None:
        self._ends_at[associations] = _awake_and_asleep() + lifetime_s
        self._loop.call_later(lifetime_s, self._end_old)

    def _end_old(self) -> None:
        """What the kernel has forgotten is over here too, also after a sleep in which no alarm rang."""
        now = _awake_and_asleep()
        for associations in [held for held, at in self._ends_at.items() if at <= now]:
            self.release(associations)

    def _way(self, flow: Flow) -> Flow | None:
        """The flow between the two ports of an association; from server port to server port (an answer that goes by its
        Via, or a P-CSCF's request) it is that of the set that was last heard on."""
        ends = (flow.local, flow.remote)
        for held in reversed(self._sets):
            if any(ends == (one.source, one.target) for one in held.outbound):
                return flow
        for held in reversed(self._sets):
            if ends == (held.own_server, held.peer_server):
                return flow._replace(local=held.own_client)
        return None

    def _receive(self, data: bytes, flow: Flow) -> None:
        """The kernel lets through what came inside an association, and what is from a stranger's port."""
        self._end_old()
        for held in reversed(self._sets):
            if any((flow.remote, flow.local) == (one.source, one.target) for one in held.inbound):
                self._sets.remove(held)
                self._sets.append(held)
                self._outlets.note("received", flow, data, True)
                self._outlets.on_message(data, flow)
                return


def _awake_and_asleep() -> float:
    """Seconds on a clock that goes on while the machine is suspended, as the kernel's lifetimes do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
