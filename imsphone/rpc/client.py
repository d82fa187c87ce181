"""The window's end of the line, without the line: numbers questions, and tells answers from events.

ask("call", target="bob") ──▶ the line to write          read(line) ──▶ Answer | Failed | Told
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from imsphone.rpc.schema import METHODS


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of the question `id`, which was of this `method`."""

    id: int
    method: str
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """The question `id` has no answer; `kind` names the error class, `sentence` is for people."""

    id: int
    method: str
    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Told:
    """An event, as `imsphone.events.Event.as_json` made it."""

    event: dict[str, Any]


class Client:
    """Remembers which questions wait."""

    def __init__(self) -> None:
        self._next = 1
        self._waiting: dict[int, str] = {}

    def ask(self, method: str, **params: str) -> str:
        """The line that asks `method`. Raises ValueError for a method or parameters that the schema does not have."""
        if method not in METHODS or set(params) != set(METHODS[method]):
            raise ValueError(f"{method} with {', '.join(params) or 'no parameters'} is not in imsphone.rpc.schema")
        number, self._next = self._next, self._next + 1
        self._waiting[number] = method
        return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})

    def read(self, line: str) -> Answer | Failed | Told | None:
        """What a line of the engine says; None for a line that says nothing to us. Never raises."""
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        if value.get("method") == "event" and isinstance(value.get("params"), dict):
            return Told(value["params"])
        number = value.get("id")
        if not isinstance(number, int) or number not in self._waiting:
            return None
        method = self._waiting.pop(number)
        if isinstance(value.get("result"), dict):
            return Answer(number, method, value["result"])
        error = value.get("error")
        error = error if isinstance(error, dict) else {}
        data = error.get("data")
        kind = data.get("kind", "") if isinstance(data, dict) else ""
        return Failed(number, method, str(kind), str(error.get("message", "The engine gave no reason.")))
