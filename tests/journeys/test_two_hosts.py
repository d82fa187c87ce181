"""A lab and its phones at two hosts: inside ESP by UDP and by TCP, over IPv4 and IPv6, as root and as an ordinary user.

namespace: lab's drivers ── TUN ── ESP ──┐ cable ┌── ESP ── TUN ── two phones :namespace
                                         └───────┘                └ imsphone-sa
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imsphone.net.tun import PATH
from tests.journeys.two_hosts import host_of

SCRIPT = str(Path(__file__).with_name("two_hosts.py"))
NOBODY = 65534


def lack() -> str | None:
    """Why there are no two hosts here, in a sentence."""
    if os.geteuid() != 0:
        return "two network namespaces and a TUN device need root"
    if shutil.which("ip") is None:
        return "ip is missing: apt-get install iproute2"
    if not Path(PATH).exists():
        return f"there is no {PATH}"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode:
        return "this root may not make a network namespace: it has no CAP_SYS_ADMIN"
    return None


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class TwoHosts:
    """A lab and its phones' host, joined by a cable."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._at_lab, self._at_phones = (f"imsphone-{os.getpid()}-{side}" for side in ("lab", "phones"))
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> TwoHosts:
        for name in (self._at_lab, self._at_phones):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "cable", "netns", self._at_lab, "type", "veth", "peer", "cable", "netns", self._at_phones)
        bits = 64 if ":" in self._base else 24
        for name, lasts in ((self._at_lab, (10, 20, 30, 40, 50, 53)), (self._at_phones, (101, 102))):
            for last in lasts:
                words = ["addr", "add", f"{host_of(self._base, last)}/{bits}", "dev", "cable"]
                ip("-n", name, *words, *(["nodad"] if bits == 64 else []))
            ip("-n", name, "link", "set", "cable", "up")
        lab = self.start(self._at_lab, SCRIPT, "lab", self._base)
        assert lab.stdout is not None
        if lab.stdout.readline() != "up\n":
            self.__exit__()
            raise RuntimeError("the lab did not come up")
        return self

    def start(self, where: str, *command: str, **environment: str) -> subprocess.Popen[str]:
        running = subprocess.Popen(
            ["ip", "netns", "exec", where, sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self._running.append(running)
        return running

    def phones(self, transport: str, uid: int = 0, **environment: str) -> Any:
        running = self.start(self._at_phones, SCRIPT, "phones", self._base, transport, str(uid), **environment)
        said, _ = running.communicate(timeout=90)
        return json.loads(said)

    @contextmanager
    def broker(self) -> Iterator[str]:
        """Where `imsphone-sa` listens, in a folder that everybody may enter."""
        user = pwd.getpwuid(NOBODY).pw_name
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            path = Path(folder, "sa")
            command = ("-c", "from imsphone.net.privilege import main; main()", "--user", user, "--socket", str(path))
            broker = self.start(self._at_phones, *command)
            while broker.poll() is None and not path.exists():
                time.sleep(0.02)
            yield str(path)

    def __exit__(self, *_: object) -> None:
        for running in reversed(self._running):
            if running.poll() is None:
                running.terminate()
            running.communicate(timeout=10)
        for name in (self._at_lab, self._at_phones):
            ip("netns", "del", name)


needs_hosts = pytest.mark.skipif(lack() is not None, reason=str(lack()))
DONE = {
    "alice registers": "hmac-sha-1-96/aes-cbc",
    "bob registers": "hmac-sha-1-96/aes-cbc",
    "alice calls bob": "ended",
    "alice refreshes": "hmac-sha-1-96/aes-cbc",
    "bob calls alice": "ended",
    "alice deregisters": False,
}


@needs_hosts
@pytest.mark.parametrize(("base", "transports"), [("10.94.0", ("tcp", "udp", "")), ("fd94::", ("tcp", "udp"))])
def test_two_hosts_with_the_kernels_own_tcp(base: str, transports: tuple[str, ...]) -> None:
    with TwoHosts(base) as hosts:
        for transport in transports:
            said = hosts.phones(transport)
            assert {key: said.get(key) for key in DONE} == DONE, said
            assert set(said["inside"]) == ({transport.upper()} if transport else {"TCP", "UDP"})
            assert said["in the clear"] == ["REGISTER"]


@needs_hosts
@pytest.mark.parametrize("base", ["10.94.0", "fd94::"])
def test_an_ordinary_user_has_it_from_imsphone_sa(base: str) -> None:
    with TwoHosts(base) as hosts, hosts.broker() as path:
        said = hosts.phones("tcp", NOBODY, IMSPHONE_SA=path)
        assert {key: said.get(key) for key in DONE} == DONE, said
        assert set(said["inside"]) == {"TCP"}
