"""A user-mode Linux guest whose kernel knows ESP, and a network namespace of the host that a tap device joins to it.

The host's own network is not touched, and the guest cannot write to the host's disk.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).parent
UP_S = 60.0
_PATH = f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin"


def missing(*programs: tuple[str, str]) -> str | None:
    """What keeps a guest from running here, in a sentence; `programs` are further ones with their packages."""
    if os.geteuid() != 0:
        return "a guest with a network of its own needs root"
    ours = (("linux.uml", "user-mode-linux"), ("ip", "iproute2"), ("modprobe", "kmod"), ("gcc", "gcc"))
    for program, package in (*ours, *programs):
        if shutil.which(program, path=_PATH) is None:
            return f"{program} is missing: apt-get install {package}"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun for the guest's network"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode:
        return "this root may not make a network namespace: it has no CAP_SYS_ADMIN"
    return None


class Guest:
    """Runs `script` (bash) as root in a guest, from `with` to its end; `addresses` are those of the host's side.

    It is up once it has said "the guest is up".
    """

    def __init__(self, folder: Path, script: str, addresses: Sequence[str]) -> None:
        self._folder = folder
        self._namespace = f"imsphone-{os.getpid()}"
        self._addresses = addresses
        self._log = folder / "guest.log"
        (folder / "guest.sh").write_text(script)
        shutil.copy(HERE / "init.sh", folder)
        (folder / "init.sh").chmod(0o755)

    def beside(self, *command: str) -> list[str]:
        """A command line for the namespace of the host that the guest is joined to."""
        return ["ip", "netns", "exec", self._namespace, *command]

    def said(self) -> str:
        """What came out of the guest so far."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        subprocess.run(["ip", "netns", "add", self._namespace], check=True)
        for command in ("ip link set lo up", "ip tuntap add dev tap0 mode tap", "ip link set tap0 up"):
            subprocess.run(self.beside(*command.split()), check=True)
        for address in self._addresses:
            nodad = ["nodad"] if ":" in address else []
            subprocess.run(self.beside("ip", "addr", "add", address, "dev", "tap0", *nodad), check=True)
        kernel = ["linux.uml", "mem=256M", f"umid=imsphone{os.getpid()}", "rootfstype=hostfs", "rootflags=/", "ro"]
        kernel += [f"init={self._folder}/init.sh", f"SA_DIR={self._folder}", "eth0=tuntap,tap0"]
        kernel += ["con=null", "con0=null,fd:1", "quiet"]
        xstate = self._folder / "xstate.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", xstate, HERE / "xstate.c"], check=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self.beside("env", f"LD_PRELOAD={xstate}", *kernel),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + UP_S
        while "the guest is up" not in self.said():
            if self._process.poll() is not None or time.monotonic() > end:
                self.__exit__(None, None, None)
                raise RuntimeError(f"the guest did not come up:\n{self.said()}")
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, 9)
        self._process.wait(10)
        subprocess.run(["ip", "netns", "del", self._namespace], check=False)
