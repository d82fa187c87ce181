"""The lines between window and engine: every line gets an answer, and none raises."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.rpc.schema import METHODS, Fault, Request, event_line, read_request, result_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.text())
def test_any_text_is_a_request_or_a_fault(line: str) -> None:
    assert isinstance(read_request(line), Request | Fault)


@given(st.dictionaries(st.sampled_from(["id", "method", "params", "jsonrpc"]), JSON | st.sampled_from(list(METHODS))))
def test_any_object_is_a_request_or_a_fault_with_an_answer(value: dict[str, object]) -> None:
    read = read_request(json.dumps(value))
    if isinstance(read, Fault):
        assert json.loads(read.line())["error"]["message"]
    else:
        assert read.method in METHODS


def test_deep_nesting_is_refused_like_any_other_garbage() -> None:
    assert isinstance(read_request("[" * 50_000), Fault)


def test_a_call_with_its_target_is_read() -> None:
    read = read_request('{"jsonrpc": "2.0", "id": 7, "method": "call", "params": {"target": "bob"}}')
    assert read == Request(7, "call", {"target": "bob"})


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("not json", -32700),
        ("[]", -32600),
        ('{"id": 1, "method": "format_disk"}', -32601),
        ('{"id": 1, "method": "call", "params": {}}', -32602),
        ('{"id": 1, "method": "call", "params": {"target": 5}}', -32602),
        ('{"id": 1, "method": "hangup", "params": {"call": "x", "more": "y"}}', -32602),
    ],
)
def test_what_is_wrong_has_the_code_of_json_rpc(line: str, code: int) -> None:
    read = read_request(line)
    assert isinstance(read, Fault)
    assert read.code == code


def test_results_and_events_are_one_line_each() -> None:
    assert json.loads(result_line(3, {"call": "a\nb"}))["result"] == {"call": "a\nb"}
    line = event_line({"event": "Registered", "at": 1.5})
    assert "\n" not in line
    assert json.loads(line)["params"]["event"] == "Registered"
