"""What crossed the wire, in the order it did: the memory from which ladders, bug reports and captures are made.

    driver, World, media loop ──▶ add ──▶ redact ──▶ Record ─┬─▶ listeners
                                                             ├─▶ signalling, the newest 20,000  ┐ both bounded, so
                                                             └─▶ media, the newest 20,000       ┘ RTP drives no SIP out
    records() ──▶ crossings(): a message seen at both its ends is one crossing, not two
              ──▶ jsonl() ──▶ from_jsonl(), pcapng()
    associations() ◀── follow: whoever protects messages is asked for what it had, when it is wanted

A trace may hold one side (a phone on a real network) or both (phone and lab in one process). In the second case every
message is recorded twice, truthfully: sent by the one, received by the other. `crossings` marries the two by transport,
hosts and octets; what was sent to somebody who is traced and never came in is thereby known to be lost.

Secrets are taken out before a record exists (`imsphone.redaction`).
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from imsphone.errors import ParseError
from imsphone.label import Protocol, label_of, protocol_of
from imsphone.lifespan import Lifespan, table
from imsphone.machine import Address, Flow, Transport
from imsphone.pcapng import capture
from imsphone.redaction import redact

Direction = Literal["sent", "received"]

MOST_RECORDS = 20_000
MOST_BYTES = 64 << 20
_SKEW_S = 0.05
_PATIENCE_S = 0.3  # before a message that has not come in is called lost: it may be under way


@dataclass(frozen=True, slots=True)
class Record:
    """One message at one node: `who` sent or received it at `at` (seconds) on `flow`, whose local end is who's.

    `is_protected`: it was inside an ESP packet, which has a record of its own, or inside TLS, which has none.
    """

    at: float
    who: str
    direction: Direction
    flow: Flow
    data: bytes
    protocol: Protocol
    is_protected: bool = False

    @property
    def cover(self) -> str:
        """Behind its name in a ladder: what hid it on the wire."""
        if not self.is_protected:
            return ""
        return " (TLS)" if self.flow.transport == "TLS" else " (ESP)"

    @property
    def is_media(self) -> bool:
        return self.protocol in ("RTP", "RTCP")


@dataclass(frozen=True, slots=True)
class Crossing:
    """One message on its way: seen when it left, when it came in, or both."""

    sent: Record | None
    received: Record | None
    is_lost: bool = False

    @property
    def record(self) -> Record:
        """The sender's view where there is one, else the receiver's."""
        record = self.sent or self.received
        assert record is not None
        return record

    @property
    def at(self) -> float:
        return self.record.at

    @property
    def source(self) -> Address:
        """The end it came from, with the port that the wire had: of a TCP client, only its peer knows that."""
        return self.received.flow.remote if self.received else self.record.flow.local

    @property
    def target(self) -> Address:
        return self.sent.flow.remote if self.sent else self.record.flow.local


class Trace:
    """Collects records within bounds; the oldest of a kind go first, `dropped` counts them.

    `add` may be called from any thread; listeners run in the thread of the caller.
    """

    def __init__(self, *, most_records: int = MOST_RECORDS, most_bytes: int = MOST_BYTES) -> None:
        self._number = itertools.count()
        self._signalling = _Ring(most_records, most_bytes)
        self._media = _Ring(most_records, most_bytes)
        self._listeners: list[Callable[[Record], None]] = []
        self._ledgers: list[Callable[[], list[Lifespan]]] = []

    def add(
        self, at: float, who: str, direction: Direction, flow: Flow, data: bytes, is_protected: bool = False
    ) -> Record:
        """Keeps what crossed, without its secrets, and shows it to the listeners."""
        protocol = "ESP" if flow.transport == "ESP" else protocol_of(data)
        record = Record(at, who, direction, flow, redact(data), protocol, is_protected)
        ring = self._media if record.is_media else self._signalling
        ring.append(next(self._number), record)
        for listener in tuple(self._listeners):
            listener(record)
        return record

    def listen(self, listener: Callable[[Record], None]) -> Callable[[], None]:
        """Calls `listener` with every further record; what is returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def follow(self, ledger: Callable[[], list[Lifespan]]) -> None:
        """From now on asks `ledger`, too, for the security associations that there were."""
        self._ledgers.append(ledger)

    def associations(self) -> list[Lifespan]:
        """The security associations that there were or are, the oldest first."""
        return sorted((one for ledger in self._ledgers for one in ledger()), key=lambda one: one.since)

    def association_table(self) -> str:
        """The same as a table, in the times of the ladder; empty where there were none."""
        times = [record.at for record in self.records()]
        return table(self.associations(), start=min(times, default=0.0), now=max(times, default=0.0))

    @property
    def dropped(self) -> int:
        """How many records the bounds have cost so far."""
        return self._signalling.dropped + self._media.dropped

    def records(self) -> list[Record]:
        """All that is kept, in the order of `add`."""
        both = sorted(self._signalling.snapshot() + self._media.snapshot(), key=lambda entry: entry[0])
        return [record for _, record in both]

    def crossings(self) -> list[Crossing]:
        """What `records` tell, each message once, by the time it was first seen."""
        return crossings(self.records())

    def __len__(self) -> int:
        return len(self._signalling) + len(self._media)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records())

    # Files ----------------------------------------------------------------------------------------------------------

    def jsonl(self) -> str:
        """One JSON object a line: the records as `as_json` makes them, then the security associations."""
        entries = [*map(as_json, self.records()), *(one.as_json() for one in self.associations())]
        return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)

    @classmethod
    def from_jsonl(cls, text: str) -> Trace:
        """The trace that `jsonl` wrote. Raises ParseError, `offset` being the number of the line."""
        entries = []
        associations: list[Lifespan] = []
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    entry = json.loads(line)
                    if "spi" in entry:
                        associations.append(Lifespan.from_json(entry))
                    else:
                        entries.append(_from_json(entry))
                except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
                    raise ParseError("a record of a trace on each line", number) from error
        trace = cls(most_records=max(len(entries), MOST_RECORDS), most_bytes=1 << 40)
        for entry in entries:
            trace.add(*entry)
        trace.follow(lambda: associations)
        return trace

    def pcapng(self) -> bytes:
        """The same for Wireshark, each message once; see `imsphone.pcapng`."""
        return capture(self.crossings())


class _Ring:
    """Numbered records, the newest of them. Every step is one call into C, which is what makes it safe to share."""

    def __init__(self, most_records: int, most_bytes: int) -> None:
        self._entries: deque[tuple[int, Record]] = deque()
        self._most_records = most_records
        self._most_bytes = most_bytes
        self._bytes = 0
        self.dropped = 0

    def append(self, number: int, record: Record) -> None:
        self._entries.append((number, record))
        self._bytes += len(record.data)
        while len(self._entries) > self._most_records or (self._bytes > self._most_bytes and len(self._entries) > 1):
            self._bytes -= len(self._entries.popleft()[1].data)
            self.dropped += 1

    def snapshot(self) -> list[tuple[int, Record]]:
        return list(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def crossings(records: Iterable[Record]) -> list[Crossing]:
    """Marries what was sent with what came in: same transport, hosts and octets, the latest departure not yet married.

    Ports are not compared, for a TCP client's source port is known to its peer only. The latest departure is the right
    one after a loss and a retransmission; with a link slower than the retransmission timer the two swap, unseen. A
    packet stamped by the kernel may come in a little before its sender has read the clock.
    """
    ordered = sorted(records, key=lambda record: record.at)
    patience = ordered[-1].at - _PATIENCE_S if ordered else 0.0
    hears = {(record.flow.local.host, record.is_media) for record in ordered if record.direction == "received"}
    departures: dict[tuple[Transport, str, str, bytes], list[tuple[float, int]]] = {}
    for position, record in enumerate(ordered):
        if record.direction == "sent":
            transport, local, remote = record.flow
            departures.setdefault((transport, local.host, remote.host, record.data), []).append((record.at, position))
    arrivals: dict[int, Record] = {}  # position of the departure → what came in
    crossed: list[tuple[int, Crossing]] = []
    for position, record in enumerate(ordered):
        if record.direction == "received":
            transport, local, remote = record.flow
            waiting = departures.get((transport, remote.host, local.host, record.data), [])
            before = bisect_right(waiting, (record.at + _SKEW_S, len(ordered)))
            if before:
                arrivals[waiting.pop(before - 1)[1]] = record
            else:
                crossed.append((position, Crossing(None, record)))
    for position, record in enumerate(ordered):
        if record.direction == "sent":
            came_in = arrivals.get(position)
            is_heard = (record.flow.remote.host, record.is_media) in hears
            is_lost = came_in is None and is_heard and record.at <= patience
            crossed.append((position, Crossing(record, came_in, is_lost)))
    return [crossing for _, crossing in sorted(crossed, key=lambda entry: entry[0])]


def as_json(record: Record) -> dict[str, Any]:
    """A dict of JSON values; the octets are under `text` where they are UTF-8 of SIP, else under `base64`."""
    head = {
        "at": record.at,
        "who": record.who,
        "direction": record.direction,
        "transport": record.flow.transport,
        "local": list(record.flow.local),
        "remote": list(record.flow.remote),
        "protocol": record.protocol,
        "summary": label_of(record.data, record.protocol),
    }
    if record.is_protected:
        head["is_protected"] = True
    if record.protocol == "SIP":
        try:
            return head | {"text": record.data.decode()}
        except UnicodeDecodeError:
            pass
    return head | {"base64": base64.b64encode(record.data).decode()}


def _from_json(entry: dict[str, Any]) -> tuple[float, str, Direction, Flow, bytes, bool]:
    direction, transport = entry["direction"], entry["transport"]
    if direction not in get_args(Direction) or transport not in get_args(Transport):
        raise ValueError(direction, transport)
    (local_host, local_port), (remote_host, remote_port) = entry["local"], entry["remote"]
    flow = Flow(transport, Address(str(local_host), int(local_port)), Address(str(remote_host), int(remote_port)))
    text = entry.get("text")
    try:
        data = text.encode() if text is not None else base64.b64decode(entry["base64"], validate=True)
    except binascii.Error as error:
        raise ValueError("base64") from error
    at, who = float(entry["at"]), str(entry["who"])
    if not math.isfinite(at) or not who.isprintable():
        raise ValueError(at, who)
    return at, who, direction, flow, data, entry.get("is_protected") is True
