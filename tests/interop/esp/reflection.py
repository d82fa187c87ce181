"""In the guest: what a way of protection does for a phone, tried on mirrors (`mirror.py`), with a JSON line a finding.

python reflection.py own|kernel HOST/MIRROR/own|kernel ...   the first mirror makes mischief, the last one is left twice
python reflection.py hold HOST MIRROR SECONDS                has associations for so long, and waits to be killed
"""

import asyncio
import json
import socket
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

from imsphone.ipsec.sa import SUITES, Associations
from imsphone.machine import Flow, Transport
from imsphone.net.kernel import KernelEsp
from imsphone.net.protection import Outlets, Protection
from imsphone.net.sealing import Sealing
from tests.interop.esp.mirror import association, message

PATIENCE_S = 5.0
SILENCE_S = 0.5
ETH_P_ALL, PACKET_OUTGOING = 3, 4
RESET = 0x04
PROTECTED_PORTS = range(40000, 40040)
BOTH: tuple[Transport, ...] = ("UDP", "TCP")


def tell(finding: str, value: Any) -> None:
    print("FOUND " + json.dumps([f"{WAY}: {finding}", value]), flush=True)


def kept() -> list[int]:
    """How many associations and policies the kernel has; root only can see."""
    said = [subprocess.run(["ip", "xfrm", what], capture_output=True, text=True).stdout for what in ("state", "policy")]
    return [sum(line.startswith("src ") for line in text.splitlines()) for text in said]


class Wiretap:
    """Counts what leaves a protected port in the clear, on any device."""

    def __init__(self) -> None:
        self.clear = self.esp = self.resets = 0
        self._tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self._tap.setblocking(False)
        asyncio.get_running_loop().add_reader(self._tap.fileno(), self._read)

    def _read(self) -> None:
        packet, source = self._tap.recvfrom(65535)
        if source[2] != PACKET_OUTGOING or source[1] not in (0x0800, 0x86DD):
            return
        protocol, head = (packet[9], 4 * (packet[0] & 15)) if packet[0] >> 4 == 4 else (packet[6], 40)
        self.esp += protocol == socket.IPPROTO_ESP
        if int.from_bytes(packet[head : head + 2], "big") in PROTECTED_PORTS:
            self.resets += protocol == socket.IPPROTO_TCP and bool(packet[head + 13] & RESET)
            self.clear += protocol in (socket.IPPROTO_UDP, socket.IPPROTO_TCP)


class End:
    """A phone's protection, and what came out of it."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue()
        self.lost: asyncio.Queue[Flow] = asyncio.Queue()
        outlets = Outlets(lambda *message: self.messages.put_nowait(message), self.lost.put_nowait, lambda *_: None)
        self.protection: Protection = Sealing(outlets) if WAY == "own" else KernelEsp(outlets)
        self.close = self.protection.close

    def send(self, held: Associations, word: bytes, transport: Transport = "UDP") -> None:
        self.protection.send(message(word), Flow(transport, held.own_client, held.peer_server))

    async def back(self, patience_s: float = SILENCE_S) -> str:
        """The body of the next message, and by what it came; "silence" where none does."""
        try:
            data, flow = await asyncio.wait_for(self.messages.get(), patience_s)
        except TimeoutError:
            return "silence"
        word = data.partition(b"\r\n\r\n")[2]
        return f"{word[:20].decode()} {len(word)} {flow.transport} {flow.remote.port}-{flow.local.port}"


async def reflect(host: str, mirror: str, way: str) -> None:
    """Every suite there and back."""
    with closing(End()) as end:
        for number in range(len(SUITES)):
            held = association(host, mirror, FIRST + number)
            transports = end.protection.protect(held)
            backs = []
            for transport in transports if way == "kernel" else BOTH[:1]:
                for length in (3, 500, 4000):
                    end.send(held, b"x" * length, transport)
                    backs.append(await end.back(PATIENCE_S))
            tell("transports", transports)
            tell(f"{held.suite} {mirror}", backs)
            tell(f"{held.suite} {mirror}, counted", [one.packets > 0 for one in end.protection.counted()])
            end.protection.release(held)


async def mischief(host: str, mirror: str) -> None:
    with closing(End()) as end:
        held = association(host, mirror, FIRST + 6)
        end.protection.protect(held)
        for word in (b"replay", b"forge", b"plain"):
            end.send(held, word)
            tell(word.decode(), [await end.back(), await end.back(), await end.back()])
        end.send(held, b"connect")
        tell("connect", await end.back(PATIENCE_S))
        tell("counted", [[one.packets, one.replayed, one.forged] for one in end.protection.counted() if one.is_inbound])
        end.protection.release(held)
        end.send(held, b"after")
        flow = await end.lost.get()
        tell("after", [flow.local.port, end.protection.guards(flow), await end.back()])
    with closing(End()) as end:
        held = association(host, mirror, FIRST + 7, bytes(16), bytes(16))
        end.protection.protect(held)
        end.send(held, b"wrong key")
        tell("wrong key", await end.back())


async def overlap(host: str, mirror: str, _way: str) -> None:
    """Two sets with one server port of ours: both work, the old one goes, the new one goes on."""
    with closing(End()) as end:
        old, new = association(host, mirror, FIRST + 8), association(host, mirror, FIRST + 9)
        for held in (old, new):
            transports = end.protection.protect(held)
        for held in (old, new):
            for transport in transports:
                end.send(held, b"both", transport)
                tell(f"overlap {held.own.spi_c} {transport}", await end.back(PATIENCE_S))
        end.protection.release(old)
        for held in (old, new):
            for transport in transports:
                end.send(held, b"one", transport)
                tell(f"released {held.own.spi_c} {transport}", await end.back())


async def forgotten(host: str, mirror: str) -> None:
    """The kernel forgets alone, and the sockets with it."""
    with closing(End()) as end:
        held = association(host, mirror, 0)
        end.protection.protect(held)
        end.protection.prolong(held, 2.0)
        await asyncio.sleep(1.0)
        tell("two seconds, after one", [kept()[0], len(end.protection.counted())])
        await asyncio.sleep(2.5)
        tell("two seconds, after more", [kept()[0], len(end.protection.counted())])
    tell("closed", kept())


async def run_out(host: str, mirror: str, lasts_s: float) -> None:
    with closing(End()) as end:
        held = association(host, mirror, 0)
        end.protection.protect(held)
        end.protection.prolong(held, lasts_s)
        print("it holds", flush=True)
        time.sleep(60)


async def main(*arguments: str) -> None:
    if WAY == "hold":
        host, mirror, lasts_s = arguments
        await run_out(host, mirror, float(lasts_s))
        return
    triples = [argument.split("/") for argument in arguments]
    wiretap = Wiretap()
    for triple in triples:
        await reflect(*triple)
    await mischief(*triples[0][:2])
    await overlap(*triples[-1])
    if WAY == "kernel":
        await forgotten(*triples[0][:2])
    tell("in the clear", [wiretap.clear, wiretap.resets])
    tell("inside ESP", wiretap.esp > 0)


WAY = sys.argv[1]
FIRST = 10 if WAY == "own" else 0  # a mirror takes no sequence number twice
asyncio.run(main(*sys.argv[2:]))
