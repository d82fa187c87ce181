"""How long a real core and our phone take to register, by whose fault, and how soon a lost P-CSCF is noticed.

    this process                                          another process: tests/interop/core
    Phone: REGISTER ──▶ 401 ── SIM ── REGISTER ──▶ 200    Kamailio as P-, I- and S-CSCF, the lab's HSS
    the same by a bare socket and format strings          the same core
                                                          and once more with IPsec, its P-CSCF in a guest (linux.uml)

    python tests/bench/core.py [REGISTRATIONS RESTARTS] [--json]

It needs root, Kamailio and linux.uml. Times are wall times, of a core on the same processors. A restart is a process
killed and started again at a random moment between two keep-alives, which the phone sends every five seconds.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from figure import Figure, show

sys.path.insert(0, str(Path(__file__).parents[2]))

from imsphone.events import Registered
from imsphone.phone import Phone
from imsphone.usim.aka import AkaSuccess
from tests.interop.core import ipsec, kamailio
from tests.interop.core.shares import Shares, shares

REGISTRATIONS = 50
RESTARTS = 5
MOST_INSIDE = 15  # each registration and each end of one takes one of 40 port pairs of this P-CSCF for a while
KEEP_ALIVE_S = 5
PATIENCE_S = 60.0
SUITE = "hmac-sha-1-96/aes-cbc"
BASE = "127.0.5"
REGISTER = """\
REGISTER sip:{realm} SIP/2.0\r
Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{mark}{cseq}\r
Max-Forwards: 70\r
From: <{impu}>;tag={mark}\r
To: <{impu}>\r
Call-ID: {mark}\r
CSeq: {cseq} REGISTER\r
Contact: <sip:bare@{host}:{port}>\r
Expires: {expires}\r
Authorization: Digest {proof}\r
Supported: path\r
Content-Length: 0\r
\r
"""


# The other process --------------------------------------------------------------------------------------------------


def be_the_core() -> None:
    """Serves until standard input ends; each line of it restarts the P-CSCF."""
    with tempfile.TemporaryDirectory() as folder, kamailio.Core(Path(folder), BASE) as core:
        print(BASE, flush=True)
        for _ in sys.stdin:
            core.kill("pcscf")
            core.start("pcscf")
            print("again", flush=True)


@contextmanager
def core_beside() -> Iterator[tuple[kamailio.Core, subprocess.Popen[str]]]:
    """The core in another process, and one in this that is not entered: it makes the same subscribers' phones."""
    command = [sys.executable, __file__, "--serve"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        tempfile.TemporaryDirectory() as folder,
    ):
        assert process.stdout is not None
        if process.stdout.readline().strip() != BASE:
            raise SystemExit("the core did not come up")
        try:
            yield kamailio.Core(Path(folder), BASE), process
        finally:
            process.communicate()


# This process -------------------------------------------------------------------------------------------------------


async def register(phone: Phone) -> Shares:
    """One registration of a new phone, and its end."""
    async with phone:
        began = phone.now()
        await phone.register()
        return shares(phone.trace, began, phone.now())


def bare(core: kamailio.Core, name: str, host: str) -> float:
    """Milliseconds of the same exchange with as little as can be; what it registered it takes away again."""
    account = core.network.accounts[name]
    isim = account.isim()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        start_s = time.perf_counter()
        sock.bind((host, 0))
        sock.connect((f"{core.base}.10", 5060))
        sock.settimeout(PATIENCE_S)
        words = {"realm": core.network.realm, "impu": f"sip:{account.impi}", "host": host,
                 "port": sock.getsockname()[1], "mark": f"{random.getrandbits(64):x}"}  # fmt: skip
        for expires in (600, 0):
            uri = f"sip:{core.network.realm}"
            who = f'username="{account.impi}", realm="{core.network.realm}", uri="{uri}"'
            cseq = 1 if expires else 3
            proof = f'{who}, nonce="", response=""'
            sock.send(REGISTER.format(**words, expires=expires, cseq=cseq, proof=proof).encode())
            nonce = re.search(rb'nonce="([^"]*)"', sock.recv(65535))
            assert nonce is not None
            challenge = base64.b64decode(nonce[1])
            outcome = isim.authenticate(challenge[:16], challenge[16:32])
            assert isinstance(outcome, AkaSuccess)
            secret = f"{account.impi}:{core.network.realm}:".encode() + outcome.res
            tail = f"{nonce[1].decode()}:00000001:c:auth:" + _md5(f"REGISTER:{uri}".encode())
            response = _md5(f"{_md5(secret)}:{tail}".encode())
            proof = f'{who}, nonce="{nonce[1].decode()}", qop=auth, nc=00000001, cnonce="c", response="{response}"'
            proof += ", algorithm=AKAv1-MD5"
            sock.send(REGISTER.format(**words, expires=expires, cseq=cseq + 1, proof=proof).encode())
            answer = sock.recv(65535)
            assert answer.startswith(b"SIP/2.0 200"), answer
            if expires:
                spent_s = time.perf_counter() - start_s
    return 1000 * spent_s


def _md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


async def recovery(core: kamailio.Core, process: subprocess.Popen[str], transport: str) -> float:
    """Seconds from the kill of the P-CSCF to the registration with the one that came after it."""
    assert process.stdin is not None
    phone = core.phone("alice", 101, transport=transport, keep_alive_s=KEEP_ALIVE_S)
    told: list[Any] = []
    async with phone:
        await phone.register()
        await asyncio.sleep(later_s())
        phone.on(told.append)
        start_s = time.monotonic()
        print(file=process.stdin, flush=True)
        async with asyncio.timeout(PATIENCE_S):
            while not any(isinstance(event, Registered) for event in told):
                await asyncio.sleep(0.02)
        return time.monotonic() - start_s


def later_s() -> float:
    """A moment between two keep-alives, once one has been answered."""
    return KEEP_ALIVE_S * (1.1 + random.random())


def measure(registrations: int = REGISTRATIONS, restarts: int = RESTARTS) -> list[Figure]:
    """Takes turns: a phone, a bare one; then the restarts; then all that is inside ESP."""
    plain: list[Shares] = []
    alone: list[float] = []
    with core_beside() as (core, process):
        for turn in range(registrations + 1):
            share = asyncio.run(register(core.phone("alice", 101)))
            bare_ms = bare(core, "bob", f"{BASE}.102")
            if turn:  # the first fills the caches
                plain.append(share)
                alone.append(bare_ms)
        udp, tcp = ([asyncio.run(recovery(core, process, name)) for _ in range(restarts)] for name in ("UDP", "TCP"))
    inside: list[Shares] = []
    lost: dict[str, list[float]] = {"UDP": [], "TCP": []}
    hosts = tuple(range(101, 101 + 2 * (min(registrations, MOST_INSIDE) + 2 * restarts)))
    pairs = list(zip(hosts[::2], hosts[1::2], strict=True))
    with tempfile.TemporaryDirectory() as folder, ipsec.IpsecCore(Path(folder), hosts) as guarded:
        for pair in pairs[2 * restarts :]:
            inside.append(Shares(*guarded.ask(do="measure", suite=SUITE, hosts=pair)["shares"]))
        for number, pair in enumerate(pairs[: 2 * restarts]):
            transport = "TCP" if number % 2 else "UDP"
            order = {"suite": SUITE, "hosts": pair, "restart": guarded.next_restart(), "after_s": later_s()}
            said = guarded.ask(do="survive", profile={"transport": transport}, **order)
            lost[transport].append(said["recovered_s"])
    theirs = "the core's part of the same"
    what, again = "registration with Kamailio", "registered again after a restart of the P-CSCF"
    figures = [
        Figure(f"{what}, UDP", "ms", tuple(one.ours + one.theirs for one in plain), False, 25,
               "the same by a bare socket", tuple(alone), f"{registrations} phones, one after the other"),
        Figure("our part of it", "ms", tuple(one.ours for one in plain), False, None, theirs,
               tuple(one.theirs for one in plain)),
        Figure(f"{what} inside ESP, from 401 to 200: our part", "ms", tuple(one.ours_proving for one in inside), False,
               25, theirs, tuple(one.proving - one.ours_proving for one in inside),
               f"{len(inside)} phones, {SUITE}; the P-CSCF in a guest, ESP in user space on our side"),
    ]  # fmt: skip
    esp = [(f"{transport} inside ESP", values) for transport, values in lost.items()]
    for way, values in (("UDP", udp), ("TCP", tcp), *esp):
        if values:
            note = f"asked every {KEEP_ALIVE_S} s, {restarts} restarts"
            figures.append(Figure(f"{again}, {way}", "s", tuple(values), False, 15, note=note))
    return figures


if __name__ == "__main__":
    if (lack := ipsec.missing()) is not None:
        raise SystemExit(lack)
    if "--serve" in sys.argv:
        be_the_core()
    else:
        raise SystemExit(show(measure(*[int(word) for word in sys.argv[1:] if word.isdigit()])))
