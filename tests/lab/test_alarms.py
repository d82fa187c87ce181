"""Alarms ring once, in order, and a moved one at its new time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imsphone.lab.alarms import Alarms


def test_the_earliest_comes_first_and_once() -> None:
    alarms = Alarms[str]()
    alarms.set("a", 12.0)
    alarms.set("b", 9.0)
    alarms.set("a", 15.0)
    alarms.set("c", 10.0)
    alarms.set("c", None)
    alarms.set("never", None)
    assert alarms.deadline == 9.0
    assert alarms.due(8.9) == []
    assert alarms.due(14.0) == ["b"]
    assert alarms.deadline == 15.0
    assert alarms.due(15.0) == ["a"]
    assert alarms.deadline is None


def test_moving_one_alarm_for_ever_costs_no_memory() -> None:
    alarms = Alarms[str]()
    for number in range(10_000):
        alarms.set("a", float(number))
    assert len(alarms._heap) < 200
    assert alarms.due(10_000.0) == ["a"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.integers(0, 20)), max_size=200), st.integers(0, 20))
def test_it_is_what_a_dict_would_say(changes: list[tuple[str, int | None]], now: int) -> None:
    alarms = Alarms[str]()
    plain: dict[str, int] = {}
    for key, at in changes:
        alarms.set(key, at)
        if at is None:
            plain.pop(key, None)
        else:
            plain[key] = at
    assert alarms.deadline == min(plain.values(), default=None)
    due = alarms.due(now)
    assert sorted(due) == sorted(key for key, at in plain.items() if at <= now)
    assert [plain[key] for key in due] == sorted(plain[key] for key in due)
    assert len(alarms) == len(plain) - len(due)
