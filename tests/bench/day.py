"""A day of a small network in virtual time: phones that stay registered, each refresh challenged anew.

    0 s         3,000       6,000      …                    84,000   86,400
    register    refresh     refresh                         refresh  │
    └ 401, 200  └ 401, 200  └ …                             28th     └ the day is over

    python tests/bench/day.py [PHONES] [--json]

The network grants 3,600 s, so each phone refreshes 600 s before the end (TS 24.229 5.1.1.4.1): 28 times a day. Phones
come up three a second; P-, I-, S-CSCF and HSS are all there, and every message crosses as bytes. That the phones did
what the clause demands is checked, since a network that forgets them would be quick.

The reference is the least that any such run must do: as many events through a heap, with nothing in them.
"""

from __future__ import annotations

import heapq
import sys
import time
from dataclasses import dataclass
from itertools import pairwise

from figure import Figure, number, show

from imsphone.events import Registered
from imsphone.lab.network import Network
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.profile import Profile
from imsphone.testing.virtual import VirtualPhone
from imsphone.trace import Record, Trace

PHONES = 200
DAY_S = 86_400.0
GRANTED_S = 3600
REFRESH_S = GRANTED_S - 600  # TS 24.229 5.1.1.4.1: more than 1200 s are granted
TURNS = 3
BETWEEN_PHONES_S = 1 / 3


@dataclass
class Day:
    """What came of one day; `messages` were counted where the day was traced."""

    wall_s: float
    registrations: int
    messages: int


def live(phones: int, trace: Trace | None) -> Day:
    """One day, from the first phone's first REGISTER on. Raises RuntimeError where a phone did not do its duty."""
    messages = 0

    def count(record: Record) -> None:
        nonlocal messages
        messages += record.direction == "received"

    if trace is not None:
        trace.listen(count)
    world = World(trace=trace)
    network = Network(terms=Terms(max_expires_s=GRANTED_S), accounts=())
    network.attach(world)
    crew = []
    for index in range(phones):
        account = network.subscribe(network.sim(f"u{index}", index))
        host = f"127.1.{index // 250}.{index % 250 + 1}"
        profile = Profile(**network.profile(account.name), reg_event=False)
        phone = VirtualPhone(world, account.name, host, profile, account.isim())
        crew.append(phone)
        world.at(index * BETWEEN_PHONES_S, lambda phone=phone: phone.do(phone.ue.register))  # type: ignore[misc]
    start_s = time.perf_counter()
    world.run(DAY_S)
    wall_s = time.perf_counter() - start_s
    return Day(wall_s, sum(check(phone) for phone in crew), messages)


def check(phone: VirtualPhone) -> int:
    """The registrations of a phone, each at its time."""
    granted = [event for event in phone.events if isinstance(event, Registered)]
    others = {type(event).__name__ for event in phone.events} - {"Registering", "Challenged", "Registered"}
    challenged = sum(type(event).__name__ == "Challenged" for event in phone.events)
    due = 1 + int((DAY_S - granted[0].at) // REFRESH_S) if granted else 1
    gaps = [after.at - before.at for before, after in pairwise(granted)]
    if others or len(granted) != due or challenged != due or any(not 0 <= gap - REFRESH_S < 1 for gap in gaps):
        raise RuntimeError(f"{phone.name}: {len(granted)} registrations of {due}, {challenged} challenges, {others}")
    return due


def heap_alone(events: int, pending: int) -> float:
    """Seconds for as many events through a heap in which so many wait."""
    heap = [(float(index), index, abs, (0,)) for index in range(pending)]
    start_s = time.perf_counter()
    for index in range(events):
        at, _, step, arguments = heapq.heappop(heap)
        step(*arguments)
        heapq.heappush(heap, (at + pending, index, step, arguments))
    return time.perf_counter() - start_s


def measure(phones: int = PHONES, turns: int = TURNS) -> list[Figure]:
    """Takes turns: a day, a day that is traced, the heap."""
    plain, traced, alone = [], [], []
    for _ in range(turns):
        plain.append(live(phones, None))
        traced.append(live(phones, Trace()))
        alone.append(heap_alone(traced[-1].messages, phones))
    day = traced[0]
    note = (
        f"{phones} phones, {day.registrations:,} registrations, {day.messages:,} messages; "
        f"{number(day.messages / sorted(one.wall_s for one in plain)[turns // 2])} messages/s, "
        f"{turns} turns"
    )
    reference = "as many events through a heap"
    return [
        Figure("a day", "s", tuple(one.wall_s for one in plain), False, 60, reference, tuple(alone), note),
        Figure("a day, traced", "s", tuple(one.wall_s for one in traced), False, None, reference, tuple(alone)),
    ]


if __name__ == "__main__":
    raise SystemExit(show(measure(*(int(word) for word in sys.argv[1:] if word.isdigit()))))
