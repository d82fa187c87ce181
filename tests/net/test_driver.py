from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import dns.message
import dns.rrset
import pytest

from imsphone.errors import ImsPhoneError, NetworkError
from imsphone.machine import Address, Ask, Effect, Flow, Resolve, Send, Tell, Transport
from imsphone.net.driver import Driver, wall_clock
from imsphone.trace import Trace

ALICE, BOB = "127.0.10.105", "127.0.10.106"


class Echo:
    """Sends everything back; on b"die" it shows a bug."""

    deadline: float | None = None

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        if data == b"die":
            raise ZeroDivisionError("in the machine")
        return [Send(b"echo " + data, flow)]

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        return []

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        return []

    def tick(self, now: float) -> list[Effect]:
        return []


class Caller(Echo):
    """Asks for the way, sends along it, tells what came; repeats each second until something does."""

    def __init__(self) -> None:
        self.flow: Flow | None = None
        self.deadline = None

    def call(self, host: str, port: int | None, now: float, transport: Transport | None = None) -> list[Effect]:
        return [Ask(Resolve(host, port, transport), "way")]

    def ask(self, question: Any, now: float) -> tuple[str, list[Effect]]:
        return "asked", [Ask(question)]

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        if not isinstance(ask.question, Resolve) or not result:
            return [Tell(("answer", result))]
        self.flow = result[0]
        self.deadline = now + 0.05
        return [Tell(("way", result)), Send(b"hello", result[0])]

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        self.deadline = None
        return [Tell(("got", data, flow))]

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        return [Tell(("lost", flow))]

    def tick(self, now: float) -> list[Effect]:
        assert self.deadline is not None
        assert self.flow is not None
        assert now >= self.deadline
        self.deadline += 0.05
        return [Tell(("tick", now)), Send(b"hello?", self.flow)]


@dataclass
class Run:
    """A caller under its driver, and what it told."""

    driver: Driver
    told: asyncio.Queue[Any]
    troubles: list[ImsPhoneError] = field(default_factory=list)

    @property
    def caller(self) -> Caller:
        assert isinstance(self.driver.machine, Caller)
        return self.driver.machine

    async def next(self, what: str) -> Any:
        async with asyncio.timeout(5):
            while (event := await self.told.get())[0] != what:
                pass
        return event


Start = Callable[..., Run]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    runs: list[Run] = []

    def begin(**options: Any) -> Run:
        told: asyncio.Queue[Any] = asyncio.Queue()
        troubles: list[ImsPhoneError] = []
        options = {"on_event": told.put_nowait, "on_trouble": troubles.append} | options
        runs.append(Run(Driver(Caller(), name="alice", **options), told, troubles))
        return runs[-1]

    yield begin
    for run in runs:
        await run.driver.close()


@pytest.fixture
async def echo() -> AsyncIterator[Driver]:
    async with Driver(Echo(), name="bob", on_crash=lambda error: None) as driver:
        driver.bind(BOB)
        yield driver


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_two_machines_talk(start: Start, echo: Driver, transport: Transport) -> None:
    trace = Trace()
    run = start(trace=trace)
    (bob,) = echo.addresses
    message = b"OPTIONS sip:bob SIP/2.0\r\nContent-Length: 0\r\n\r\n"
    run.driver.do(run.caller.ask, Resolve(BOB, bob.port, transport))
    _, (flow,) = await run.next("way")
    assert flow == Flow(transport, Address("127.0.0.1", flow.local.port), bob)
    if transport == "TCP":
        run.driver.perform([Send(message, flow)])
        assert await run.next("got") == ("got", b"echo hello" + message, flow)
    else:
        assert await run.next("got") == ("got", b"echo hello", flow)
        records = [(record.who, record.direction, record.flow, record.data) for record in trace]
        assert records[-2:] == [("alice", "sent", flow, b"hello"), ("alice", "received", flow, b"echo hello")]


async def test_a_name_is_looked_up_and_the_questions_are_traced(start: Start, echo: Driver) -> None:
    class NameServer(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            query = dns.message.from_wire(data)
            response = dns.message.make_response(query)
            if query.question[0].to_text() == "bob.example. IN A":
                response.answer.append(dns.rrset.from_text("bob.example.", 1, "IN", "A", BOB))
            self.transport.sendto(response.to_wire(), addr)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.10.154", 0))
    trace = Trace()
    run = start(dns=Address(*server.get_extra_info("sockname")), trace=trace)
    run.driver.do(run.caller.call, "bob.example", echo.addresses[0].port)
    assert (await run.next("got"))[1] == b"echo hello"
    assert [record.protocol for record in trace].count("DNS") == 4
    run.driver.do(run.caller.call, "nowhere.example", None)
    assert await run.next("answer") == ("answer", None)
    (trouble,) = run.troubles
    assert isinstance(trouble, NetworkError)
    assert str(trouble).startswith("nothing in the DNS leads to nowhere.example (A nowhere.example: none): check")
    assert trouble.tried[-1] == "A nowhere.example: none"
    port = echo.addresses[0].port
    run.driver.do(run.caller.ask, Resolve("nowhere.example", None, "UDP", ((BOB, port), ("bob.example", port))))
    assert [flow.remote for flow in (await run.next("way"))[1]] == [Address(BOB, port)] * 2
    run.driver.do(run.caller.ask, Resolve("nowhere.example", None, None, (("nobody.example", None),)))
    assert await run.next("answer") == ("answer", None)
    assert "nowhere.example" in str(run.troubles[-1])
    server.close()


async def test_the_alarm_rings_at_each_deadline_and_not_after(start: Start) -> None:
    run = start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((BOB, 0))
        run.driver.do(run.caller.call, *silent.getsockname())
        await run.next("tick")
        await run.next("tick")
        assert run.caller.flow is not None
        silent.sendto(b"here", run.caller.flow.local)
        await run.next("got")
        await asyncio.sleep(0.12)
        assert run.told.empty()


async def test_a_flow_that_leads_nowhere_is_lost(start: Start) -> None:
    run = start()
    run.driver.do(run.caller.call, BOB, 9)
    _, flow = await run.next("lost")
    assert flow.remote == Address(BOB, 9)
    gone = Flow("UDP", Address(ALICE, 1), Address(BOB, 9))
    run.driver.perform([Send(b"from an address we do not have", gone)])
    assert await run.next("lost") == ("lost", gone)


async def test_effects_keep_their_order_when_a_listener_commands(start: Start) -> None:
    order: list[Any] = []

    def on_event(event: Any) -> None:
        order.append(event)
        if event == "answered":
            driver.perform([Tell("bye")])

    driver = start(on_event=on_event).driver
    driver.perform([Tell("answered"), Tell("ack")])
    assert order == ["answered", "ack", "bye"]


async def test_answers_may_be_plain_or_async_and_none_where_the_world_has_none(start: Start) -> None:
    async def slow(question: int) -> int:
        await asyncio.sleep(0)
        return question * 2

    def refused(question: bytes) -> None:
        raise NetworkError("the card is not there: put it in")

    run = start(answers={str: str.upper, int: slow, bytes: refused})
    assert run.driver.do(run.caller.ask, "plain") == "asked"
    assert run.told.get_nowait() == ("answer", "PLAIN")
    run.driver.do(run.caller.ask, 21)
    assert await run.next("answer") == ("answer", 42)
    run.driver.do(run.caller.ask, b"")
    assert await run.next("answer") == ("answer", None)
    assert [str(trouble) for trouble in run.troubles] == ["the card is not there: put it in"]


async def test_a_busy_port_is_told_with_its_remedy(start: Start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((ALICE, 0))
        run = start(local=other.getsockname())
        run.driver.do(run.caller.call, BOB, 5060)
        assert await run.next("answer") == ("answer", None)
        assert "is taken by another program" in str(run.troubles[0])


async def test_the_own_host_and_port_are_kept_and_shared_by_all_targets(start: Start, echo: Driver) -> None:
    run = start(local=(ALICE, 0))
    for _ in range(2):
        run.driver.do(run.caller.call, *echo.addresses[0])
        await run.next("got")
    assert [address.host for address in run.driver.addresses] == [ALICE]


async def test_a_server_answers_from_an_address_that_it_was_bound_to() -> None:
    ways: list[Any] = []
    async with Driver(Caller(), name="p-cscf", on_event=ways.append) as driver:
        first, second = driver.bind("127.0.10.107"), driver.bind("127.0.10.108")
        machine = driver.machine
        assert isinstance(machine, Caller)
        driver.do(machine.call, BOB, 5060)
        driver.do(machine.call, "127.0.10.108", 5060)
        driver.do(machine.call, "::1", 5060)
        assert driver.addresses == (first, second)
    assert [way[1][0].local for way in ways[:1]] == [first]
    assert ways[-1] == ("answer", ())


async def test_a_bug_costs_one_message_and_is_raised_from_close(caplog: pytest.LogCaptureFixture, start: Start) -> None:
    buggy, neighbour = Driver(Echo(), name="buggy"), Driver(Echo(), name="neighbour")
    run = start(local=(ALICE, 0))
    target, next_door = buggy.bind(BOB), neighbour.bind(BOB)
    run.driver.do(run.caller.call, *target)
    _, _, flow = await run.next("got")
    run.driver.perform([Send(b"die", flow), Send(b"still there?", flow)])
    assert (await run.next("got"))[1] == b"echo still there?"
    run.driver.do(run.caller.call, *next_door)
    assert (await run.next("got"))[1] == b"echo hello"
    assert "buggy: a bug: ZeroDivisionError" in caplog.text
    with pytest.raises(ZeroDivisionError):
        await buggy.close()
    await buggy.close()
    await neighbour.close()


async def test_on_crash_takes_bugs_of_machines_answers_and_listeners(caplog: pytest.LogCaptureFixture) -> None:
    crashes: list[Exception] = []

    def broken(_: Any) -> None:
        raise KeyError("a listener's")

    caplog.set_level(logging.CRITICAL)
    driver = Driver(Caller(), name="alice", on_event=broken, on_crash=crashes.append, answers={int: int.__truediv__})
    machine = driver.machine
    assert isinstance(machine, Caller)
    driver.do(machine.ask, 1)
    driver.do(machine.ask, "nobody answers text")
    await driver.close()
    assert [type(crash) for crash in crashes] == [TypeError, KeyError, KeyError, KeyError]


async def test_after_close_nothing_reaches_the_machine(start: Start, echo: Driver) -> None:
    async def never(question: int) -> None:
        await asyncio.Event().wait()

    run = start(answers={int: never})
    run.driver.do(run.caller.call, *echo.addresses[0])
    run.driver.do(run.caller.ask, 1)
    await run.driver.close()
    while not run.told.empty():
        assert run.told.get_nowait()[0] == "way"
    await asyncio.sleep(0.1)
    assert run.told.empty()


async def test_media_is_traced_under_the_name_of_the_driver(start: Start) -> None:
    trace = Trace()
    run = start(trace=trace)
    rtp = bytes.fromhex("8008000100000000deadbeef") + bytes(160)
    run.driver.trace_media("sent", Address(ALICE, 40000), Address(BOB, 40002), rtp, 12.5)
    (record,) = trace
    assert (record.at, record.who, record.protocol) == (12.5, "alice", "RTP")


def test_the_clock_tells_the_time_of_day_and_never_goes_back() -> None:
    readings = [wall_clock() for _ in range(100)]
    assert readings == sorted(readings)
    assert readings[0] > 1_700_000_000


async def test_the_preferred_port_is_taken_where_it_is_free() -> None:
    first, second = (Driver(Caller(), name=name, local=(ALICE, 0), preferred_port=15060) for name in ("a", "b"))
    async with first, second:
        for driver in (first, second):
            driver.do(driver.machine.call, BOB, 9)  # type: ignore[attr-defined]
        assert first.addresses == (Address(ALICE, 15060),)
        assert second.addresses[0].port not in (0, 15060)
