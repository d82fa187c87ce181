"""A core that others wrote: Kamailio as P-, I- and S-CSCF. What it asks by Diameter, the lab's own HSS answers.

    phones ─────▶ P-CSCF .10 ─────▶ I-CSCF .20 ─────▶ S-CSCF .30        processes of their own
                                        └── UAR, LIR ──┐ ┌── MAR, SAR, RTR ┘
                                                     HSS .40            a thread of this process, as is
                                                     far end .50        the lab's answering machine

All of it lives on one loopback network (or on another that the caller made) and asks no DNS. The files beside this one
are the nodes' configuration; `@NAME@` in them is filled in. What the nodes say goes to `FOLDER/NODE.log`, and with the
environment's KAMAILIO_DEBUG=3 they say all that they do.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from imsphone.lab.network import Network
from imsphone.lab.serve import Lab, serve
from imsphone.lab.subscriber import Subscriber
from imsphone.machine import Machine
from imsphone.phone import Phone
from imsphone.profile import Profile
from imsphone.usim.hypotheses import explain
from imsphone.usim.isim import Isim, SqnMemory
from imsphone.usim.keys import Keys

HERE = Path(__file__).parent
NODES = {"icscf": 20, "scscf": 30, "pcscf": 10}
UP_S = 20.0
_PATH = f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin"
# A P-CSCF that may do so empties the kernel of all security associations as it starts, whoever made them.
_HARMLESS = ["setpriv", "--bounding-set=-net_admin"] if os.geteuid() == 0 else []
_MODULES = {
    "ims_registrar_pcscf": "kamailio-ims-modules",
    "presence": "kamailio-presence-modules",
    "db_text": "kamailio",
}


def missing() -> str | None:
    """What keeps Kamailio from being a core here, in a sentence."""
    if shutil.which("kamailio", path=_PATH) is None:
        return "Kamailio is missing: apt-get install kamailio kamailio-ims-modules kamailio-presence-modules"
    for module, package in _MODULES.items():
        if not any(Path("/usr/lib").glob(f"*/kamailio/modules/{module}.so")):
            return f"Kamailio has no {module}.so: apt-get install {package}"
    return None


class HomeNetwork(Network):
    """What of the lab stands beside the foreign CSCFs: the HSS, and a far end that can be called."""

    @property
    def nodes(self) -> dict[str, Machine]:
        return {name: node for name, node in super().nodes.items() if name in ("hss", "far-end")}


class Core:
    """The core, from `with` to its end. `nodes` are the CSCFs that run here, the others somebody else starts."""

    def __init__(self, folder: Path, base: str = "127.0.3", nodes: tuple[str, ...] = tuple(NODES)) -> None:
        self.base = base
        self.network = HomeNetwork(seed=b"core", base=base)
        self._folder = folder
        self._nodes = nodes
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lab: Lab | None = None

    # From its start to its end ----------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        write(self._folder, self.base, self.network.realm)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._serving = serve(self.network)
        try:
            self._lab = self._in_the_loop(self._serving.__aenter__())
            for node in self._nodes:
                self.start(node)
            self._wait(lambda: len(self.network.hss.peers) == sum(node != "pcscf" for node in self._nodes))
            if "pcscf" in self._nodes:
                self._wait(partial(_listens, f"{self.base}.10"))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in list(self._processes):
            self.kill(node)
        if self._lab is not None:
            self._in_the_loop(self._serving.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self, node: str) -> None:
        """Starts one of the CSCFs."""
        with (self._folder / f"{node}.log").open("ab") as log:
            self._processes[node] = subprocess.Popen(
                [*_HARMLESS, *command(self._folder, node)], cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=os.environ | {"PATH": _PATH}, start_new_session=True)  # fmt: skip

    def kill(self, node: str) -> None:
        """Takes the power from one of them: it forgets everything and says nothing to anybody."""
        process = self._processes.pop(node)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def said(self, node: str) -> str:
        """The end of what a node said."""
        return (self._folder / f"{node}.log").read_text(errors="replace")[-3000:]

    def _wait(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + UP_S
        while not is_so():
            for node, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"the {node} ended:\n{self.said(node)}")
            if time.monotonic() > end:
                raise RuntimeError("the core did not come up:\n" + "\n".join(map(self.said, self._processes)))
            time.sleep(0.02)

    def _in_the_loop(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    # What tests want of it --------------------------------------------------------------------------------------------

    def subscriber(self, name: str) -> Subscriber:
        """What the HSS keeps of a subscriber, to read and to change."""
        return self.network.hss.subscriber(self.network.accounts[name].impi)

    def terminate(self, name: str, reason: int) -> None:
        """The HSS takes a registered subscriber away: RTR with a Reason-Code of `lab.cx`."""

        async def perform() -> None:
            assert self._lab is not None
            self._lab.perform("hss", self.network.hss.terminate, self.network.accounts[name].impi, reason)

        self._in_the_loop(perform())

    def phone(
        self, name: str, host: int, *, keys: Keys | None = None, memory: SqnMemory | None = None, **said: Any
    ) -> Phone:
        """A phone of a subscriber at `BASE.host`; `keys` and `memory` in place of his own, `said` in his profile."""
        account = self.network.accounts[name]
        profile = Profile(**(self.network.profile(name) | {"local_host": f"{self.base}.{host}"} | said))
        keys = keys or account.keys()
        isim = Isim(keys.algorithms(), memory, suspect=partial(explain, keys)) if keys else None
        return Phone(profile, isim=isim, password=account.password, name=name)


def write(folder: Path, base: str, realm: str, *, children: int = 2, run: str = "") -> None:
    """The configuration of all nodes, filled in, into `folder`; `run` is where they keep their control sockets."""
    (folder / "cscfs").mkdir(exist_ok=True)
    words = {"BASE": base, "REALM": realm, "FOLDER": str(folder), "RUN": run or str(folder),
             "CHILDREN": str(children), "DEBUG": os.environ.get("KAMAILIO_DEBUG", "0")}  # fmt: skip
    for path in (*HERE.glob("*.cfg"), *HERE.glob("cscfs/*")):
        (folder / path.relative_to(HERE)).write_text(_filled(path, words))
    for node in ("icscf", "scscf"):
        own = words | {"NODE": node, "HOST": f"{base}.{NODES[node]}"}
        (folder / f"{node}.xml").write_text(_filled(HERE / "cx.xml", own))


def command(folder: Path, node: str, *more: str, run: str = "") -> list[str]:
    """The command line of a node whose configuration `write` wrote."""
    return ["kamailio", "-f", f"{folder}/{node}.cfg", "-DD", "-E", "-m", "64", "-M", "8", "-Y", run or str(folder),
            "-P", f"{run or folder}/{node}.pid", *more]  # fmt: skip


def _filled(path: Path, words: dict[str, str]) -> str:
    text = path.read_text()
    for name, value in words.items():
        text = text.replace(f"@{name}@", value)
    return text


def _listens(host: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, 5060)) == 0
