"""A far end that shares no line with us: a pjsua2 phone in its own process, started and ended from here.

A phone and a network written on the same mistake agree with each other. This one was written by others, so a call that
it takes is evidence. `imsphone.testing.pjsua2_phone` is the child; the two speak JSON lines over its standard input
and output, and the child lives as long as its input is open, so none outlives us.

    async with ForeignPhone(Orders("127.0.10.60", 5060, user="peer", realm=realm, password=…, proxy="…")) as peer:
        await peer.registered()
        ...                                    # call it: 180, 200, and what you say comes back
        await peer.until("call", state="CONFIRMED")

pjsua2 is GPL-2.0 and therefore the extra `peer`, no part of the default install. Why it is the foreign phone and not
the engine: docs/decisions/pjsua2.md.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from imsphone.errors import ImsPhoneError, NetworkError, RegistrationRejected

GOODBYE_S = 6.0  # longer than the child's own


@dataclass(frozen=True, slots=True)
class Orders:
    """Where the foreign phone listens (UDP and TCP), who it is and how it answers.

    `user` empty: it registers nowhere and takes what comes. `realm` is the home domain, `proxy` the P-CSCF as
    "host:port", `username` the private identity where it is not `user@realm`. From 180 to 200 it rings `ring_s`. With
    `tls_ca`, the file of whom to trust, it reaches the P-CSCF by TLS.
    """

    host: str
    port: int
    user: str = ""
    realm: str = ""
    password: str = field(default="", repr=False)
    proxy: str = ""
    username: str = ""
    ring_s: float = 0.2
    tls_ca: str = ""

    @property
    def impi(self) -> str:
        return self.username or f"{self.user}@{self.realm}"

    def line(self) -> bytes:
        """One line of JSON with the password in it: for the child's pipe, never for a command line or a log."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: str | bytes) -> Orders:
        return cls(**json.loads(line))


def what_is_missing() -> str | None:
    """The sentence that says why there can be no foreign phone here, or None."""
    if importlib.util.find_spec("pjsua2"):
        return None
    if sys.version_info >= (3, 13):
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"the foreign phone needs pjsua2-python, whose wheels end at Python 3.12 (this is {python})"
    return "the foreign phone needs pjsua2-python: pip install 'imsphone[peer]'"


class ForeignPhone:
    """The child, seen from here. `events` is all that it told so far, dicts with the name under `event`."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.events: list[dict[str, Any]] = []
        self._told = asyncio.Condition()
        self._is_over = False
        self._mutterings: deque[str] = deque(maxlen=5)

    async def __aenter__(self) -> ForeignPhone:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """The child's process id, while it is started."""
        return self._process.pid

    async def start(self, timeout_s: float = 10.0) -> None:
        """Start it and wait until it listens. Raises ImsPhoneError where it cannot (no wheel, port taken)."""
        if sentence := what_is_missing():
            raise ImsPhoneError(sentence)
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "imsphone.testing.pjsua2_phone"), stdin=pipe, stdout=pipe, stderr=pipe
        )
        self._readers = asyncio.gather(self._read_events(), self._read_mutterings())
        assert self._process.stdin
        self._process.stdin.write(self.orders.line())
        try:
            await self.until("ready", timeout_s=timeout_s)
        except BaseException:
            await self.stop()
            raise

    async def registered(self, timeout_s: float = 10.0) -> None:
        """Wait for its registration. Raises RegistrationRejected, or NetworkError where nothing answers."""
        told = await self.until("registration", timeout_s=timeout_s)
        if told["status"] in (408, 502, 503):  # pjsip's own words for no answer, no address, no transport
            raise NetworkError(f"the foreign phone reached no registrar: {told['reason']}", (self.orders.proxy,))
        if not told["is_active"]:
            raise RegistrationRejected(told["status"], told["reason"], explanation="this was the foreign phone")

    async def text(self, target: str, body: str) -> dict[str, Any]:
        """Let it write to `target`; gives what became of that. Raises ImsPhoneError where nothing is heard of it."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"target": target, "body": body}).encode() + b"\n")
        return await self.until("texted", body=body)

    async def until(self, event: str, timeout_s: float = 10.0, **fields: Any) -> dict[str, Any]:
        """The first event of this name with these fields, past or to come. Raises ImsPhoneError if there is none."""

        def found() -> dict[str, Any] | None:
            wanted = {"event": event} | fields
            return next((told for told in self.events if wanted.items() <= told.items()), None)

        def is_settled() -> bool:
            return self._is_over or found() is not None

        async with self._told:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._told.wait_for(is_settled)
            except TimeoutError:
                raise ImsPhoneError(f"the foreign phone told no {event} {fields or ''} within {timeout_s} s") from None
        if told := found():
            return told
        failures = [told["sentence"] for told in self.events if told["event"] == "failed"]
        raise ImsPhoneError(f"the foreign phone ended: {'; '.join(failures or self._mutterings) or 'no word why'}")

    async def stop(self) -> None:
        """Let it hang up, deregister and end; harmless when it has ended already."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._readers

    async def _read_events(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            async with self._told:
                self.events.append(json.loads(line))
                self._told.notify_all()
        async with self._told:
            self._is_over = True
            self._told.notify_all()

    async def _read_mutterings(self) -> None:
        assert self._process.stderr
        async for line in self._process.stderr:
            self._mutterings.append(line.decode(errors="replace").strip())
