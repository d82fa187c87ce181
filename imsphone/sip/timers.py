"""The times that transactions live by: RFC 3261 table 4, and TS 24.229 table 7.7.1 for the hop over the air.

Between a UE and its P-CSCF a round trip takes longer than on a wire, so TS 24.229 7.7 sets T1, T2 and T4 about four
times as long there; Timers B, D, F, H, J follow.
"""

from __future__ import annotations

from dataclasses import dataclass

from imsphone.machine import Transport


@dataclass(frozen=True, slots=True)
class Timers:
    """T1, T2, T4 and Timer D in seconds; the others are multiples (RFC 3261 17)."""

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0
    d_s: float = 32.0

    @property
    def timeout_s(self) -> float:
        """Timers B, F, H, and L and M of RFC 6026: 64 T1."""
        return 64 * self.t1_s

    def linger_s(self, transport: Transport, seconds: float) -> float:
        """Timers D, I, J, K: how long a finished transaction absorbs repeats; nothing over TCP and TLS."""
        return seconds if transport == "UDP" else 0.0


RFC_3261 = Timers()
TS_24_229 = Timers(t1_s=2.0, t2_s=16.0, t4_s=17.0, d_s=128.0)  # TS 24.229 table 7.7.1
