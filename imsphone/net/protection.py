"""What keeps messages to a P-CSCF secret and true: who seals what leaves on a protected port, and opens what comes.

    Driver ── Protect, Prolong, Release ──▶ Protection ──┬─ net.sealing   ESP made here, over a raw socket
           ── Send on a guarded flow ────▶               └─ net.kernel    the kernel's own ESP
           ◀── message, flow ─────────────

Whoever does it, a port that was protected once gives and takes nothing in the clear any more, also after its
associations are gone (TS 33.203 7.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from imsphone.ipsec.sa import Associations
from imsphone.ipsec.shield import Counted, Passed
from imsphone.machine import Flow, Transport
from imsphone.trace import Direction


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where a protection hands what it has: a message that came, a flow that is lost, and everything for the trace.

    `note(direction, flow, data, is_protected)` takes a packet as it crosses the network, and a message with
    `is_protected`. What is told by `on_message` has been noted before. All are called from the event loop.
    """

    on_message: Callable[[bytes, Flow], None]
    on_lost: Callable[[Flow], None]
    note: Callable[[Direction, Flow, bytes, bool], None]


class Protection(Protocol):
    """One way to protect the messages of a host."""

    def protect(self, associations: Associations) -> tuple[Transport, ...]:
        """From now on these are used. Gives what can go inside: UDP, and TCP where this machine can.

        Raises NetworkError where it cannot protect at all.
        """

    def prolong(self, associations: Associations, lifetime_s: float) -> None:
        """They are used for so long from now on, unless they are released before. Raises NetworkError."""

    def release(self, associations: Associations) -> None:
        """From now on these are not."""

    def guards(self, flow: Flow) -> bool:
        """Whether this flow's own port is a protected one."""

    def send(self, data: bytes, flow: Flow) -> None:
        """One message on a guarded flow, noted first; `on_lost` later where no association covers it."""

    def counted(self) -> list[Counted]:
        """Every association with what has passed it."""

    def passed(self, associations: Associations) -> Passed:
        """What has passed this set, and what came from its peer and was dropped."""

    def note_plain(self, flow: Flow) -> None:
        """Something came on this guarded flow in the clear, and was dropped."""

    def close(self) -> None:
        """Nothing comes and goes any more, and nothing of it stays in this machine."""
