"""The engine's end of the line, over a phone that is registered with the lab."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from imsphone.phone import Phone
from imsphone.rpc.server import Server
from imsphone.testing.served import ServedLab


class Line:
    """What the window would read."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def write(self, line: str) -> None:
        self.said.append(json.loads(line))

    def answer(self, number: int) -> dict[str, Any]:
        return next(said for said in self.said if said.get("id") == number)

    def events(self) -> list[str]:
        return [said["params"]["event"] for said in self.said if said.get("method") == "event"]


@pytest.fixture
async def served(lab: ServedLab) -> AsyncIterator[tuple[Server, Line, Phone]]:
    async with Phone(lab.profile("alice"), isim=lab.isim("alice")) as phone:
        line = Line()
        yield Server(phone, line.write), line, phone


def ask(number: int, method: str, **params: str) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


async def test_a_window_registers_calls_and_hangs_up(served: tuple[Server, Line, Phone]) -> None:
    server, line, phone = served
    await server.ask(ask(1, "register"))
    assert line.answer(1)["result"]["expires_s"] > 0
    await server.ask(ask(2, "call", target="echo"))
    key = line.answer(2)["result"]["call"]
    await phone.calls[key].answered(timeout=10)
    await server.ask(ask(3, "state"))
    assert line.answer(3)["result"]["calls"][0]["state"] == "active"
    await server.ask(ask(4, "hangup", call=key))
    assert line.answer(4)["result"] == {}
    assert [name for name in line.events() if name.startswith("Call")] == ["CallRinging", "CallAnswered", "CallEnded"]
    await server.ask(ask(5, "deregister"))
    assert line.events()[-1] == "Deregistered"


async def test_what_cannot_be_done_is_an_error_with_a_sentence(served: tuple[Server, Line, Phone]) -> None:
    server, line, _ = served
    await server.ask(ask(1, "call", target="echo"))
    assert line.answer(1)["error"]["data"]["kind"] == "StateError"
    await server.ask(ask(2, "hangup", call="none"))
    assert "no such call" in line.answer(2)["error"]["message"]
    await server.ask("garbage")
    assert line.said[-1]["error"]["code"] == -32700


async def test_a_window_hangs_up_while_it_waits(served: tuple[Server, Line, Phone]) -> None:
    server, line, phone = served
    await server.ask(ask(1, "register"))
    await server.ask(ask(2, "call", target="silent"))
    key = line.answer(2)["result"]["call"]
    await phone.calls[key].ringing(timeout=10)
    await asyncio.wait_for(server.ask(ask(3, "hangup", call=key)), 10)
    assert line.answer(3)["result"] == {}


async def test_a_window_writes_and_reads(served: tuple[Server, Line, Phone]) -> None:
    server, line, phone = served
    await server.ask(ask(1, "register"))
    await server.ask(ask(2, "text", target="echo", body="hello"))
    assert line.answer(2)["result"] == {"status": 200}
    await phone.incoming_text(timeout=5)
    (heard,) = [said["params"] for said in line.said if said.get("params", {}).get("event") == "TextReceived"]
    assert heard["body"] == "hello"
    await server.ask(ask(3, "text", target="nobody", body="hello"))
    assert line.answer(3)["error"]["data"]["kind"] == "TextRejected"


async def test_quit_ends_the_serving(served: tuple[Server, Line, Phone]) -> None:
    server, _, _ = served
    await server.ask(ask(1, "quit"))
    assert server.is_over.is_set()
