"""The window's end: questions and answers find each other, whatever else comes in between."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.rpc.client import Answer, Client, Failed, Told
from imsphone.rpc.schema import Fault, Request, event_line, read_request, result_line


def test_an_answer_finds_its_question_when_another_is_answered_first() -> None:
    client = Client()
    first = read_request(client.ask("register"))
    second = read_request(client.ask("call", target="bob"))
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert client.read(result_line(second.id, {"call": "k"})) == Answer(2, "call", {"call": "k"})
    refusal = Fault(first.id, -32000, "403 Forbidden", "RegistrationRejected")
    assert client.read(refusal.line()) == Failed(1, "register", "RegistrationRejected", "403 Forbidden")


def test_an_answer_counts_once_and_a_stranger_not_at_all() -> None:
    client = Client()
    client.ask("state")
    assert client.read(result_line(1, {})) is not None
    assert client.read(result_line(1, {})) is None
    assert client.read(result_line(99, {})) is None


def test_events_are_told_apart_from_answers() -> None:
    assert Client().read(event_line({"event": "Registered"})) == Told({"event": "Registered"})


@given(st.text() | st.builds(json.dumps, st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text())))
def test_no_line_of_an_engine_raises(line: str) -> None:
    client = Client()
    client.ask("state")
    client.read(line)


def test_a_method_that_the_schema_lacks_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="schema"):
        Client().ask("call")
