"""Virtual time: what happens, when, in which order, and what a machine sees of UDP, TCP and questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.lab.link import Link
from imsphone.lab.world import World
from imsphone.machine import Address, Ask, Authenticate, Effect, Flow, OpenMedia, Resolve, Send, Tell
from imsphone.trace import Trace

A, B = Address("127.0.0.1", 5060), Address("127.0.0.2", 5060)
UDP, TCP = Flow("UDP", A, B), Flow("TCP", A, B)


@dataclass
class Scribe:
    """A machine that writes down what happens to it and does what it is told beforehand."""

    deadline: float | None = None
    notes: list[tuple[float, str, Any]] = field(default_factory=list)
    on_receive: Callable[[bytes, Flow], list[Effect]] = lambda data, flow: []
    on_tick: Callable[[], list[Effect]] = list

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        self.notes.append((round(now, 6), "receive", (data, flow)))
        return self.on_receive(data, flow)

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        self.notes.append((round(now, 6), "answer", (ask.about, result)))
        return []

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        self.notes.append((round(now, 6), "lost", flow))
        return []

    def tick(self, now: float) -> list[Effect]:
        self.notes.append((round(now, 6), "tick", None))
        self.deadline = None
        return self.on_tick()

    @property
    def received(self) -> list[bytes]:
        return [data for _, what, (data, _) in (n for n in self.notes if n[1] == "receive")]


@pytest.fixture
def world() -> World:
    return World(start=100.0)


@pytest.fixture
def a(world: World) -> Scribe:
    one = Scribe()
    world.attach("a", one, ["127.0.0.1"])
    return one


@pytest.fixture
def b(world: World) -> Scribe:
    one = Scribe()
    world.attach("b", one, [B])
    return one


def test_a_message_arrives_a_millisecond_later_with_the_flow_turned_round(world: World, a: Scribe, b: Scribe) -> None:
    world.perform("a", [Send(b"hello", UDP)])
    world.run_for(1)
    assert b.notes == [(100.001, "receive", (b"hello", Flow("UDP", B, A)))]
    assert [(record.who, record.direction, record.data) for record in world.trace] == [  # type: ignore[union-attr]
        ("a", "sent", b"hello"),
        ("b", "received", b"hello"),
    ]


def test_what_is_sent_first_arrives_first(world: World, a: Scribe, b: Scribe) -> None:
    world.perform("a", [Send(bytes([number]), UDP) for number in range(50)])
    world.run_for(1)
    assert b.received == [bytes([number]) for number in range(50)]


def test_a_deadline_rings_once_and_a_moved_one_at_its_new_time_only(world: World, a: Scribe, b: Scribe) -> None:
    b.deadline = 105.0
    world.perform("b", [])
    b.deadline = 110.0
    world.perform("b", [])
    world.run(120.0)
    assert [(at, what) for at, what, _ in b.notes] == [(110.0, "tick")]


def test_a_deadline_that_was_withdrawn_never_rings(world: World, b: Scribe) -> None:
    b.deadline = 105.0
    world.perform("b", [])
    b.deadline = None
    world.perform("b", [])
    world.run(120.0)
    assert b.notes == []


def test_a_deadline_in_the_past_rings_now(world: World, b: Scribe) -> None:
    b.deadline = 1.0
    world.perform("b", [])
    world.run_for(0)
    assert [(at, what) for at, what, _ in b.notes] == [(100.0, "tick")]


def test_a_machine_that_never_lets_its_deadline_go_is_named(world: World, b: Scribe) -> None:
    def keep() -> list[Effect]:
        b.deadline = 100.0
        return []

    b.deadline, b.on_tick = 100.0, keep
    world.perform("b", [])
    with pytest.raises(RuntimeError, match="b keeps its deadline"):
        world.run_for(1)


def test_a_bug_in_a_machine_surfaces_with_its_name_and_the_time(world: World, a: Scribe, b: Scribe) -> None:
    def stumble(data: bytes, flow: Flow) -> list[Effect]:
        raise ZeroDivisionError

    b.on_receive = stumble
    world.perform("a", [Send(b"x", UDP)])
    with pytest.raises(ZeroDivisionError) as caught:
        world.run_for(1)
    assert caught.value.__notes__ == ["in b at 100.001000 s"]


def test_nobody_there_is_a_lost_flow_and_silence_is_nothing(world: World, a: Scribe) -> None:
    for transport in ("UDP", "TCP"):
        world.perform("a", [Send(b"x", Flow(transport, A, Address("127.0.0.9", 1)))])  # type: ignore[arg-type]
    world.run_for(1)
    assert [(what, flow.transport) for _, what, flow in a.notes] == [("lost", "UDP"), ("lost", "TCP")]
    world.silence("127.0.0.9")
    world.perform("a", [Send(b"x", Flow("TCP", A, Address("127.0.0.9", 1)))])
    world.run_for(100)
    assert len(a.notes) == 2


def test_a_machine_may_hold_one_port_only(world: World, a: Scribe, b: Scribe) -> None:
    other = Flow("UDP", A, Address(B.host, 5061))
    world.perform("a", [Send(b"x", other)])
    world.run_for(1)
    assert a.notes == [(100.002, "lost", other)]


def test_who_accepts_a_connection_answers_on_its_passing_port(world: World, a: Scribe, b: Scribe) -> None:
    b.on_receive = lambda data, flow: [Send(data.upper(), flow)]
    world.perform("a", [Send(b"one", TCP), Send(b"two", TCP)])
    world.run_for(1)
    flows = {flow for _, what, (_, flow) in b.notes if what == "receive"}
    [accepted] = flows
    assert (accepted.transport, accepted.local) == ("TCP", B)
    assert accepted.remote.host == A.host
    assert accepted.remote.port >= 49152
    assert [note[2] for note in a.notes] == [(b"ONE", TCP), (b"TWO", TCP)]


def test_both_ends_may_open_a_connection_of_their_own(world: World, a: Scribe, b: Scribe) -> None:
    world.perform("a", [Send(b"x", TCP)])
    world.perform("b", [Send(b"y", Flow("TCP", B, A))])
    world.run_for(1)
    assert a.notes[0][2][1].remote.port >= 49152
    assert b.notes[0][2][1].remote.port >= 49152


def test_tcp_over_a_link_that_loses_is_late_and_whole_and_in_order(world: World, a: Scribe, b: Scribe) -> None:
    world.link("a", "b", Link(loss=0.3, jitter_ms=20, reorder=0.2, duplicate=0.2, seed=1))
    expected = [bytes([number]) for number in range(200)]
    for data in expected:
        world.perform("a", [Send(data, TCP)])
        world.run_for(0.01)
    world.run_for(10)
    assert b.received == expected
    assert max(at for at, _, _ in b.notes) > 100 + 200 * 0.01


def test_udp_over_a_link_that_loses_is_lost(world: World, a: Scribe, b: Scribe) -> None:
    world.link("a", "b", Link(loss=0.3, seed=1))
    for _ in range(1000):
        world.perform("a", [Send(b"x", UDP)])
        world.perform("b", [Send(b"y", Flow("UDP", B, A))])
    world.run_for(1)
    assert len(b.received) == pytest.approx(700, abs=60)
    assert len(a.received) == pytest.approx(700, abs=60)


def test_a_link_to_everybody(world: World, a: Scribe, b: Scribe) -> None:
    world.link("b", None, Link(delay_ms=250))
    b.on_receive = lambda data, flow: [Send(data, flow)]
    world.perform("a", [Send(b"x", UDP)])
    world.run_for(1)
    assert [note[0] for note in a.notes] == [100.5]


def test_a_connection_that_cannot_get_through_is_lost(world: World, a: Scribe, b: Scribe) -> None:
    world.link("a", "b", Link(loss=1.0))
    world.perform("a", [Send(b"x", TCP)])
    world.run_for(10)
    assert [note[1] for note in a.notes] == ["lost"]


def test_a_machine_that_leaves_takes_its_connections_with_it(world: World, a: Scribe, b: Scribe) -> None:
    world.perform("a", [Send(b"x", TCP)])
    world.run_for(1)
    world.detach("b")
    world.run_for(1)
    assert a.notes == [(101.0, "lost", TCP)]
    world.perform("a", [Send(b"y", UDP)])
    world.run_for(1)
    assert a.notes[-1][1] == "lost"


def test_who_accepted_hears_that_the_opener_left(world: World, a: Scribe, b: Scribe) -> None:
    world.perform("a", [Send(b"x", TCP)])
    world.run_for(1)
    flow = b.notes[0][2][1]
    world.detach("a")
    world.run_for(1)
    assert b.notes[-1][1:] == ("lost", flow)


def test_what_is_under_way_to_one_who_left_is_gone(world: World, a: Scribe, b: Scribe) -> None:
    world.perform("a", [Send(b"x", UDP)])
    world.detach("b")
    world.run_for(1)
    assert b.notes == []


def test_questions_are_answered_at_the_same_instant(world: World) -> None:
    one = Scribe()
    answers = {Authenticate: lambda question: question.rand[::-1]}
    world.attach("one", one, ["127.0.0.7"], answers)
    world.names["ims.example"] = [Address("127.0.10.10", 5060)]
    world.perform(
        "one",
        [
            Ask(Authenticate(b"ab", b""), "auth"),
            Ask(Resolve("127.0.0.5", 5070), "literal"),
            Ask(Resolve("ims.example", transport="TCP"), "name"),
            Ask(Resolve("nowhere.example"), "nowhere"),
            Ask(Resolve("nowhere.example", None, "UDP", (("127.0.0.5", 5070),)), "others"),
            Ask("what?", "unknown"),
        ],
    )
    world.run_for(0)
    local = Address("127.0.0.7", 5060)
    target = Address("127.0.0.5", 5070)
    assert [note[2] for note in one.notes] == [
        ("auth", b"ba"),
        ("literal", (Flow("UDP", local, target), Flow("TCP", local, target))),
        ("name", (Flow("TCP", local, Address("127.0.10.10", 5060)),)),
        ("nowhere", ()),
        ("others", (Flow("UDP", local, target),)),
        ("unknown", None),
    ]


def test_an_answer_may_take_its_time(world: World) -> None:
    world.attach("slow", one := Scribe(), ["127.0.0.7"], {str: str.upper}, answers_after_s=2.5)
    world.perform("slow", [Ask("what?", "x")])
    world.run_for(10)
    assert one.notes == [(102.5, "answer", ("x", "WHAT?"))]


def test_media_addresses_are_pairs_and_go_to_whom_they_should(world: World, a: Scribe, b: Scribe) -> None:
    world.attach("ear", ear := Scribe(), ["127.0.0.3"])
    world.attach("phone", phone := Scribe(), ["127.0.0.4"], media="ear")
    world.perform("phone", [Ask(OpenMedia("127.0.0.4"), "1"), Ask(OpenMedia("127.0.0.4"), "2")])
    world.perform("a", [Ask(OpenMedia("127.0.0.1"), "3")])
    world.run_for(0)
    first, second = (result for _, _, (_, result) in phone.notes)
    assert (first.port % 2, second.port - first.port) == (0, 2)
    sink = a.notes[0][2][1]
    for to in (first, Address(first.host, first.port + 1), sink):
        world.perform("b", [Send(b"rtp", Flow("UDP", B, to))])
    world.run_for(1)
    assert ear.received == [b"rtp", b"rtp"]
    assert [note[1] for note in b.notes] == []  # nobody listens at the sink, but it is there


def test_what_a_machine_tells_is_kept_and_heard(world: World, a: Scribe) -> None:
    heard: list[Any] = []
    world.listen("a", heard.append)
    world.perform("a", [Tell("one"), Tell("two")])
    assert world.told("a") == heard == ["one", "two"]


def test_waiting_for_something_that_does_not_come(world: World, a: Scribe) -> None:
    with pytest.raises(TimeoutError, match="5 s of virtual time"):
        world.run_until(lambda: False, 5)
    assert world.now == 105.0


def test_a_call_at_a_time(world: World) -> None:
    seen: list[float] = []
    world.at(103.0, lambda: seen.append(world.now))
    world.run(102.9)
    assert seen == []
    world.run(104.0)
    assert seen == [103.0]


def test_names_and_addresses_belong_to_one(world: World, a: Scribe, b: Scribe) -> None:
    with pytest.raises(ValueError, match="a machine called a"):
        world.attach("a", Scribe(), ["127.0.0.8"])
    with pytest.raises(ValueError, match=r"127\.0\.0\.1 belongs to a"):
        world.attach("c", Scribe(), ["127.0.0.1"])


def test_without_a_trace_nothing_is_kept() -> None:
    world = World(trace=None)
    world.attach("a", Scribe(), ["127.0.0.1"])
    world.perform("a", [Send(b"x", UDP)])
    world.run_for(1)
    assert world.trace is None


def test_a_trace_that_is_handed_in_is_filled() -> None:
    trace = Trace()
    world = World(trace=trace)
    world.attach("a", Scribe(), ["127.0.0.1"])
    world.perform("a", [Send(b"x", UDP)])
    assert world.trace is trace
    assert [record.data for record in trace] == [b"x"]


@given(st.integers(0, 5), st.lists(st.sampled_from(["UDP", "TCP"]), max_size=20))
def test_a_seed_is_a_history(seed: int, transports: list[str]) -> None:
    def history() -> list[tuple[float, str, Any]]:
        world = World()
        world.attach("a", Scribe(), ["127.0.0.1"])
        world.attach("b", b := Scribe(), ["127.0.0.2"])
        world.link("a", "b", Link(loss=0.2, jitter_ms=10, reorder=0.2, duplicate=0.1, seed=seed))
        for transport in transports:
            world.perform("a", [Send(b"x", Flow(transport, A, B))])  # type: ignore[arg-type]
            world.run_for(0.005)
        world.run_for(10)
        return b.notes

    assert history() == history()
