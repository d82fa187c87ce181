"""The contract between a protocol core and the world.

A protocol core here is a *machine*: a plain object that owns no socket, reads no clock, draws no random number and
starts no thread. Whatever happens is an input and carries `now`; whatever must happen is returned as a list of effects.
A list is returned, not queued, so that no effect can be forgotten:

    bytes, flow, now ──▶ receive ─┐
    ask, result, now ──▶ answer  ─┤      Send(data, flow)       to the network
    flow, now        ──▶ lost    ─┼──▶ [ Ask(question, about) ] to the world, comes back through `answer`
    now              ──▶ tick    ─┘      Tell(event)            to whoever owns the machine

A machine has one alarm, `deadline`. Its owner calls `tick(now)` once `now >= deadline`; a deadline that has moved on
meanwhile makes the old alarm stale, and a stale alarm is dropped, never re-armed.

Identifiers (branch, tag, Call-ID, nonce, SSRC) come from one `Ids` that is handed in, so that a run repeats exactly.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

Transport = Literal["UDP", "TCP", "TLS", "ESP"]


class Address(NamedTuple):
    """An IP literal (IPv6 without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Flow(NamedTuple):
    """The way a message came or goes: a transport, the end that is ours and the end that is theirs.

    `local` is the address the owner listens on (what Via and Contact name), also for a TCP connection that we opened
    and whose true source port differs. An answer goes back on the connection of its request, over UDP to where the
    request's Via says (RFC 3261 18.2.2, RFC 3581).
    """

    transport: Transport
    local: Address
    remote: Address

    def over(self, transport: Transport) -> Flow:
        """The same two ends over another transport."""
        return Flow(transport, self.local, self.remote)

    @property
    def is_stream(self) -> bool:
        """Whether what is sent arrives, and in its order."""
        return self.transport in ("TCP", "TLS")

    def __str__(self) -> str:
        return f"{self.transport} {self.local} ↔ {self.remote}"


@dataclass(frozen=True, slots=True)
class Send:
    """Effect: put these bytes, one whole message, on this flow."""

    data: bytes
    flow: Flow


@dataclass(frozen=True, slots=True)
class Ask:
    """Effect: a question to the world. The same object comes back through `answer` with the result.

    `about` is the asker's own mark (a Call-ID, say), by which a composed machine finds the part that asked.
    """

    question: Any
    about: str = ""


@dataclass(frozen=True, slots=True)
class Tell:
    """Effect: a fact for the owner. At the driver these are `imsphone.events`; between layers, the layer's own."""

    event: Any


Effect = Send | Ask | Tell


class Machine(Protocol):
    """The whole contract."""

    @property
    def deadline(self) -> float | None:
        """When it wants `tick`, in seconds on the caller's clock; None: never."""

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """One whole message (a datagram, or one frame of a stream) arrived on `flow`. Never raises."""

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        """The world's answer to an `Ask` that this machine returned; None where the world has none."""

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """`flow` carries nothing: the connection was refused or closed, or ICMP said so (RFC 3261 18.4)."""

    def tick(self, now: float) -> list[Effect]:
        """The deadline has come."""


# Questions ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resolve:
    """Which flows reach this host (name or literal)? Answer: tuple of `Flow`, best first; empty where nothing does.

    `transport` and `port` are what the URI said, None where it said nothing; then NAPTR and SRV decide (RFC 3263).
    `others` are hosts and ports whose flows come after those of the first, whatever became of it.
    """

    host: str
    port: int | None = None
    transport: Transport | None = None
    others: tuple[tuple[str, int | None], ...] = ()

    @property
    def single(self) -> tuple[Resolve, ...]:
        """The same question for each host on its own."""
        hosts = ((self.host, self.port), *self.others)
        return tuple(Resolve(host, port, self.transport) for host, port in hosts)


@dataclass(frozen=True, slots=True)
class Authenticate:
    """A challenge for the SIM: RAND and AUTN, 16 octets each. Answer: one of `imsphone.usim.aka`'s outcomes."""

    rand: bytes
    autn: bytes


@dataclass(frozen=True, slots=True)
class OpenMedia:
    """A pair of ports for RTP and RTCP at this local host. Answer: the RTP `Address`, or None where none can be had.

    `call` is the call's key, so that a call that comes to nothing gives its ports back.
    """

    host: str
    call: str = ""


# Identifiers --------------------------------------------------------------------------------------------------------


class Ids:
    """The one source of identifiers: a keyed hash over a counter, so that the same seed names the same run.

    `seed` is any bytes; the driver hands in 32 from the operating system, a test a constant.
    """

    def __init__(self, seed: bytes) -> None:
        self._key = hashlib.blake2b(seed, digest_size=32).digest()
        self._count = 0

    def data(self, n_bytes: int) -> bytes:
        """`n_bytes` (at most 64) that cannot be guessed without the seed."""
        self._count += 1
        return hashlib.blake2b(self._count.to_bytes(8, "big"), key=self._key, digest_size=n_bytes).digest()

    def branch(self) -> str:
        """A Via branch with the magic cookie of RFC 3261 8.1.1.7."""
        return "z9hG4bK" + self.data(10).hex()

    def tag(self) -> str:
        """A From or To tag, 64 bits (RFC 3261 19.3 asks for 32 at least)."""
        return self.data(8).hex()

    def call_id(self) -> str:
        """A Call-ID that shows nothing of the host (RFC 3323 4.1)."""
        return self.data(16).hex()

    def number(self, bits: int) -> int:
        """An unsigned number of so many bits (SSRC 32, first RTP sequence 16, ...)."""
        return int.from_bytes(self.data(8), "big") & ((1 << bits) - 1)
