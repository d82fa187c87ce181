"""What a window may ask of the engine, and what it hears: JSON-RPC 2.0, one object a line.

    ──▶ {"jsonrpc": "2.0", "id": 1, "method": "call", "params": {"target": "bob"}}
    ◀── {"jsonrpc": "2.0", "id": 1, "result": {"call": "3f…"}}
    ◀── {"jsonrpc": "2.0", "method": "event", "params": {"event": "CallRinging", "at": …, "call": "3f…"}}

Lines on standard input and output need no port and no token, leave no stale socket behind, and work through ssh. Keys,
passwords and tokens of AKA are in no method and no event.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

# method → the names of its parameters
METHODS: dict[str, tuple[str, ...]] = {
    "register": (),
    "deregister": (),
    "call": ("target",),
    "answer": ("call",),
    "reject": ("call",),
    "hangup": ("call",),
    "text": ("target", "body"),
    "state": (),
    "quit": (),
}

PARSE_ERROR, INVALID_REQUEST, UNKNOWN_METHOD, INVALID_PARAMS, FAILED = -32700, -32600, -32601, -32602, -32000
MAX_LINE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Request:
    """A question of the window. `id` comes back with the answer."""

    id: int | str | None
    method: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a question has no answer: a JSON-RPC code and a sentence; `kind` names the error class where it is ours."""

    id: int | str | None
    code: int
    sentence: str
    kind: str = ""

    def line(self) -> str:
        """The answer's line."""
        error = {"code": self.code, "message": self.sentence} | ({"data": {"kind": self.kind}} if self.kind else {})
        return json.dumps({"jsonrpc": "2.0", "id": self.id, "error": error})


def read_request(line: str) -> Request | Fault:
    """The question in one line; a Fault where it is none that we know. Never raises."""
    if len(line) > MAX_LINE_BYTES:
        return Fault(None, INVALID_REQUEST, f"a line of more than {MAX_LINE_BYTES} octets")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return Fault(None, PARSE_ERROR, "a line that is no JSON")
    if not isinstance(value, dict) or not isinstance(value.get("method"), str):
        return Fault(None, INVALID_REQUEST, "an object with a method is expected")
    number = value.get("id")
    number = number if isinstance(number, int | str) else None
    names = METHODS.get(value["method"])
    if names is None:
        return Fault(number, UNKNOWN_METHOD, f"no method {value['method'][:40]}; there are {', '.join(METHODS)}")
    params = value.get("params", {})
    if not isinstance(params, dict) or set(params) != set(names):
        wanted = ", ".join(names) or "none"
        return Fault(number, INVALID_PARAMS, f"{value['method']} takes these parameters: {wanted}")
    if not all(isinstance(param, str) for param in params.values()):
        return Fault(number, INVALID_PARAMS, f"the parameters of {value['method']} are strings")
    return Request(number, value["method"], params)


def result_line(number: int | str | None, result: dict[str, Any]) -> str:
    """The line that answers question `number`."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result})


def event_line(event: dict[str, Any]) -> str:
    """The line that tells an event (`imsphone.events.Event.as_json`)."""
    return json.dumps({"jsonrpc": "2.0", "method": "event", "params": event})
