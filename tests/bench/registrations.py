"""How many phones a second one core can register by IMS AKA, counted in CPU time of the phones' side, kernel included.

    this process                                     another process
    500 × [ Isim ── Ue ── Driver ── sockets ] ◀─UDP─▶ P-CSCF, I-CSCF, S-CSCF, HSS
          [ the same datagrams, sockets alone ] ◀───▶ a post box that answers with so many octets
          [ SIPp, by password ] ◀───────────────────▶ P-CSCF, I-CSCF, S-CSCF, HSS

    python tests/bench/registrations.py [PHONES] [--json]

A registration is: a phone is made, opens its sockets, sends REGISTER, gets 401 with RAND and AUTN, works out RES, sends
REGISTER again and has read the 200. Each phone has sockets of its own, as in real use, or all share one address, as a
load generator would do it. The network is a new one for every turn, so that nobody is registered yet.
"""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from figure import Figure, show
from sipp import PROGRAM, registered_by_sipp

from imsphone.errors import NetworkError
from imsphone.events import Registered, RegistrationFailed
from imsphone.ims.identity import Identity
from imsphone.ims.ue import Ue
from imsphone.lab.alarms import Alarms
from imsphone.lab.network import Network
from imsphone.lab.serve import serve
from imsphone.machine import Ask, Authenticate, Effect, Flow, Ids, Send
from imsphone.net.driver import Answer, Driver
from imsphone.profile import Profile
from imsphone.trace import Trace
from imsphone.usim.isim import Isim

PHONES = 500
TURNS = 7
UNDER_WAY = 32  # registrations at a time
SEED = b"registrations"
BOX = 99  # the last octet of the post box
CALL_ID = re.compile(rb"\r\nCall-ID: ([^\r]*)")


# The other process --------------------------------------------------------------------------------------------------


def network_of(phones: int, base: str) -> Network:
    """The network with so many subscribers; the same seed gives the phones' side the same keys."""
    network = Network(seed=SEED, base=base, accounts=())
    for number in range(phones):
        network.subscribe(network.sim(f"u{number}", number))
        network.subscribe(network.softphone(f"s{number}"))
    return network


async def be_the_network(phones: int) -> None:
    """Serves until standard input ends; says first at which addresses."""
    for net in range(151, 251):
        base = f"127.0.{net}"
        try:
            async with serve(network_of(phones, base)):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as box:
                    box.bind((f"{base}.{BOX}", 5060))
                    box.setblocking(False)
                    loop = asyncio.get_running_loop()
                    loop.add_reader(box.fileno(), answer_with_octets, box)
                    print(base, flush=True)
                    await loop.run_in_executor(None, sys.stdin.read)
                return
        except NetworkError:
            continue


def answer_with_octets(box: socket.socket) -> None:
    """A datagram starts with the size that its answer shall have."""
    data, source = box.recvfrom(65535)
    box.sendto(bytes(int.from_bytes(data[:2], "big")), source)


@contextmanager
def network_beside(phones: int) -> Iterator[str]:
    """The other process; gives the base of its addresses."""
    command = [sys.executable, __file__, "--serve", str(phones)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base = process.stdout.readline().strip()
        if not base:
            raise SystemExit("the network did not come up: are 127.0.151 to 127.0.250 taken?")
        try:
            yield base
        finally:
            process.communicate()


# This process -------------------------------------------------------------------------------------------------------

Subscriber = tuple[Profile, Identity, Isim]


def subscribers_of(base: str, phones: int) -> list[Subscriber]:
    network = network_of(phones, base)
    names = [name for name, account in network.accounts.items() if account.password is None]
    profiles = [Profile(**network.profile(name), reg_event=False) for name in names]
    return [(one, Identity.of(one), network.accounts[one.name or ""].isim()) for one in profiles]


class Crew:
    """Keeps `UNDER_WAY` registrations going until all are done; `begin(index)` starts one."""

    def __init__(self, count: int, begin: Callable[[int], None]) -> None:
        self._count, self._begin = count, begin
        self._started = self._ended = 0
        self._over = asyncio.get_running_loop().create_future()

    async def work(self) -> None:
        for _ in range(min(UNDER_WAY, self._count)):
            self._start_next()
        await asyncio.wait_for(self._over, 60)

    def _start_next(self) -> None:
        asyncio.get_running_loop().call_soon(self._begin, self._started)
        self._started += 1

    def ended(self) -> None:
        self._ended += 1
        if self._ended == self._count:
            self._over.set_result(None)
        elif self._started < self._count:
            self._start_next()

    def on_event(self, event: Any) -> None:
        if isinstance(event, Registered):
            self.ended()
        elif isinstance(event, RegistrationFailed) and not self._over.done():
            self._over.set_exception(RuntimeError(event.sentence))


async def with_own_sockets(subscribers: list[Subscriber], trace: Trace | None = None) -> float:
    """CPU seconds until all are registered, each from sockets of its own."""
    drivers: list[Driver] = []

    def begin(index: int) -> None:
        profile, identity, isim = subscribers[index]
        ue = Ue(profile, identity, Ids(b"%d" % index), None)
        answers: dict[type, Answer] = {Authenticate: lambda question: isim.authenticate(question.rand, question.autn)}
        driver = Driver(ue, name=profile.name or "", answers=answers, on_event=crew.on_event, trace=trace)
        drivers.append(driver)
        driver.do(ue.register)

    crew = Crew(len(subscribers), begin)
    gc.collect()
    start_s = time.process_time()
    await crew.work()
    spent_s = time.process_time() - start_s
    for driver in drivers:
        await driver.close()
    return spent_s


class Crowd:
    """Many UEs as one machine behind one address. What comes in is the UE's whose Call-ID it bears."""

    def __init__(self) -> None:
        self._of_call: dict[bytes, Ue] = {}
        self._of_ask: dict[int, Ue] = {}
        self._alarms: Alarms[Ue] = Alarms()
        self._isims: dict[Ue, Isim] = {}

    @property
    def deadline(self) -> float | None:
        return self._alarms.deadline

    def register(self, ue: Ue, isim: Isim, now: float) -> list[Effect]:
        self._isims[ue] = isim
        return self._of(ue, ue.register(now))

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        found = CALL_ID.search(data)
        ue = self._of_call.get(found[1]) if found else None
        return self._of(ue, ue.receive(data, flow, now)) if ue else []

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        ue = self._of_ask.pop(id(ask))
        if isinstance(ask.question, Authenticate):
            result = self._isims[ue].authenticate(ask.question.rand, ask.question.autn)
        return self._of(ue, ue.answer(ask, result, now))

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        return [effect for ue in list(self._isims) for effect in self._of(ue, ue.lost(flow, now))]

    def tick(self, now: float) -> list[Effect]:
        return [effect for ue in self._alarms.due(now) for effect in self._of(ue, ue.tick(now))]

    def _of(self, ue: Ue, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, Send) and (found := CALL_ID.search(effect.data)):
                self._of_call[found[1]] = ue
            elif isinstance(effect, Ask):
                self._of_ask[id(effect)] = ue
        self._alarms.set(ue, ue.deadline)
        return effects


async def with_one_address(subscribers: list[Subscriber], trace: Trace | None = None) -> float:
    """CPU seconds until all are registered, all from one pair of sockets."""
    crowd = Crowd()

    def begin(index: int) -> None:
        profile, identity, isim = subscribers[index]
        driver.do(crowd.register, Ue(profile, identity, Ids(b"%d" % index), None), isim)

    crew = Crew(len(subscribers), begin)
    answers: dict[type, Answer] = {Authenticate: lambda question: None}  # the crowd knows whose SIM it is
    async with Driver(crowd, name="crowd", answers=answers, on_event=crew.on_event, trace=trace) as driver:
        driver.bind("127.0.0.1")
        gc.collect()
        start_s = time.process_time()
        await crew.work()
        return time.process_time() - start_s


async def with_octets_alone(base: str, count: int, sizes: tuple[int, ...], *, is_shared: bool) -> float:
    """CPU seconds for the same sockets and as many datagrams of the same sizes, in turn, with nothing in them."""
    box = (f"{base}.{BOX}", 5060)
    asked = [sizes[2 * turn + 1].to_bytes(2, "big") + bytes(sizes[2 * turn] - 2) for turn in range(2)]
    loop = asyncio.get_running_loop()
    opened: list[socket.socket] = []

    def open_pair() -> socket.socket:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        opened.extend((udp, tcp))
        udp.setblocking(False)
        udp.bind(("127.0.0.1", 0))
        tcp.bind(udp.getsockname())
        tcp.listen()
        return udp

    def begin(index: int) -> None:
        udp = shared or open_pair()
        if not shared:
            loop.add_reader(udp.fileno(), read, udp)
        udp.sendto(asked[0], box)

    def read(udp: socket.socket) -> None:
        size = len(udp.recv(65535))
        if size == sizes[1]:
            udp.sendto(asked[1], box)
        else:
            crew.ended()

    shared = open_pair() if is_shared else None
    if shared:
        loop.add_reader(shared.fileno(), read, shared)
    crew = Crew(count, begin)
    gc.collect()
    start_s = time.process_time()
    await crew.work()
    spent_s = time.process_time() - start_s
    for one in opened:
        loop.remove_reader(one.fileno())
        one.close()
    return spent_s


def sizes_of(trace: Trace) -> tuple[int, ...]:
    """Octets of REGISTER, 401, REGISTER, 200 of the first phone."""
    records = trace.records()
    sizes = tuple(len(record.data) for record in records if record.who == records[0].who)
    if len(sizes) != 4:
        raise RuntimeError(f"a registration took {len(sizes)} messages and not 4")
    return sizes


def measure(phones: int = PHONES, turns: int = TURNS) -> list[Figure]:
    """Takes turns; each with new phones and a new network."""
    rates: dict[str, list[float]] = {
        name: [] for name in ("own", "traced", "shared", "own octets", "shared octets", "sipp")
    }

    def note(name: str, spent_s: float) -> None:
        rates[name].append(phones / spent_s)

    with network_beside(1) as base:
        trace = Trace()
        asyncio.run(with_own_sockets(subscribers_of(base, 1), trace))
        sizes = sizes_of(trace)
    for _ in range(turns):
        with network_beside(phones) as base:
            note("own", asyncio.run(with_own_sockets(subscribers_of(base, phones))))
            note("own octets", asyncio.run(with_octets_alone(base, phones, sizes, is_shared=False)))
        with network_beside(phones) as base:
            note("traced", asyncio.run(with_own_sockets(subscribers_of(base, phones), Trace())))
        if PROGRAM is not None:
            with network_beside(phones) as base:
                network = network_of(phones, base)
                accounts = [account for account in network.accounts.values() if account.password is not None]
                note("sipp", registered_by_sipp(base, network.realm, accounts, phones))
        with network_beside(phones) as base:
            note("shared", asyncio.run(with_one_address(subscribers_of(base, phones))))
            note("shared octets", asyncio.run(with_octets_alone(base, phones, sizes, is_shared=True)))
    what, unit, alone = "AKA registrations", "/s of client CPU", "the same sockets and datagrams alone"
    note_sizes = f"{phones} phones a turn, {turns} turns, datagrams of {', '.join(map(str, sizes))} octets"
    own, shared = tuple(rates["own octets"]), tuple(rates["shared octets"])
    figures = [
        Figure(what, unit, tuple(rates["own"]), True, 1500, alone, own, note_sizes),
        Figure(f"{what}, traced", unit, tuple(rates["traced"]), True, None, alone, own),
        Figure(f"{what}, one address", unit, tuple(rates["shared"]), True, None, alone, shared),
    ]
    if rates["sipp"]:
        sipp = tuple(rates["sipp"])
        figures.append(
            Figure(f"{what}, one address, beside SIPp", unit, tuple(rates["shared"]), True, None, "SIPp by MD5", sipp)
        )
    return figures


if __name__ == "__main__":
    counts = [int(word) for word in sys.argv[1:] if word.isdigit()]
    if "--serve" in sys.argv:
        asyncio.run(be_the_network(*counts))
    else:
        raise SystemExit(show(measure(*counts)))
