"""The engine's end of the line: one `Phone`, asked by one window.

Standard output belongs to the protocol alone, so whatever else prints goes to standard error; when the window closes
its end, the phone deregisters and the process ends.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Callable
from typing import Any, TextIO

from imsphone.call import Call
from imsphone.errors import ImsPhoneError, ParseError, StateError
from imsphone.phone import Phone
from imsphone.rpc.schema import FAILED, MAX_LINE_BYTES, Fault, Request, event_line, read_request, result_line


class Server:
    """Answers requests about one phone; `write` takes one line without its end."""

    def __init__(self, phone: Phone, write: Callable[[str], None]) -> None:
        self._phone = phone
        self._write = write
        self.is_over = asyncio.Event()
        phone.on(lambda event: write(event_line(event.as_json())))

    async def ask(self, line: str) -> None:
        """Takes one line, and writes its answer when there is one. Never raises for what a window may send."""
        request = read_request(line)
        if isinstance(request, Fault):
            self._write(request.line())
            return
        try:
            result = await self._do(request)
        except ParseError as error:
            self._write(Fault(request.id, FAILED, f"Expected {error.expected}.", "ParseError").line())
        except (ImsPhoneError, TimeoutError) as error:
            self._write(Fault(request.id, FAILED, str(error), type(error).__name__).line())
        else:
            self._write(result_line(request.id, result))

    async def _do(self, request: Request) -> dict[str, Any]:
        phone, params = self._phone, request.params
        match request.method:
            case "register":
                registered = await phone.register()
                return {"impu": registered.impu, "expires_s": registered.expires_s}
            case "deregister":
                await phone.deregister()
            case "call":
                return {"call": (await phone.call(params["target"])).key}
            case "answer":
                await self._call(params["call"]).answer()
            case "reject":
                await self._call(params["call"]).reject()
            case "hangup":
                await self._call(params["call"]).hangup()
            case "text":
                return {"status": (await phone.text(params["target"], params["body"])).status}
            case "state":
                calls = [
                    {"call": call.key, "state": call.state, "remote": call.remote} for call in phone.calls.values()
                ]
                return {"is_registered": phone.is_registered, "calls": calls}
            case "quit":
                self.is_over.set()
        return {}

    def _call(self, key: str) -> Call:
        call = self._phone.calls.get(key)
        if call is None:
            raise StateError("There is no such call; it may have ended.")
        return call


async def serve_stdio(phone: Phone) -> None:
    """Serves `phone` on standard input and output until the window is gone or asks to quit. Raises StateError."""
    if not _is_line(sys.stdin):
        raise StateError("The engine takes JSON lines from a pipe or a terminal on standard input; this is neither.")
    out, sys.stdout = sys.stdout, sys.stderr  # a stray print must not break the protocol
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        async with phone:
            await _serve(phone, reader, out)
    finally:
        transport.close()
        sys.stdout = out


def _is_line(stdin: TextIO | None) -> bool:
    """Whether this is something that can be waited on: files and /dev/null are not."""
    if stdin is None:
        return False
    mode = os.fstat(stdin.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stdin.isatty()


async def _serve(phone: Phone, reader: asyncio.StreamReader, out: TextIO) -> None:
    def write(line: str) -> None:
        out.write(line + "\n")
        out.flush()

    server = Server(phone, write)
    asks: set[asyncio.Task[None]] = set()
    over = asyncio.ensure_future(server.is_over.wait())
    while not over.done():
        line = asyncio.ensure_future(_line(reader))
        await asyncio.wait((line, over), return_when=asyncio.FIRST_COMPLETED)
        if not line.done():
            line.cancel()
            break
        text = line.result()
        if text is None:
            break
        # Each in its own task: a `register` that waits must not keep a `hangup` waiting.
        task = asyncio.ensure_future(server.ask(text))
        asks.add(task)
        task.add_done_callback(asks.discard)
    over.cancel()
    for task in asks:
        task.cancel()


async def _line(reader: asyncio.StreamReader) -> str | None:
    """The next line; None at the end of the input, or where a line has no end."""
    try:
        data = await reader.readline()
    except ValueError:
        return None
    return data.decode("utf-8", "replace") if data else None
