"""The core with a P-CSCF that does IPsec: it runs in a guest whose kernel knows ESP, and all else beside the guest.

this host, in a network namespace                                     guest (linux.uml)
phones ── ESP in user space over a tap device ──────────────────────▶ xfrm ──▶ Kamailio, ims_ipsec_pcscf
Kamailio's I- and S-CSCF, the lab's HSS, far end ◀──────── SIP, plain ───────────── Path, Service-Route, ck and ik
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from imsphone.lab.network import REALM
from tests.interop.core import kamailio
from tests.interop.esp.guest import Guest
from tests.interop.esp.guest import missing as guest_missing

BASE = "10.93.0"
CORE = (20, 30, 40, 50)
# The appearance of a file takes the power from the P-CSCF for a moment: restart0, later restart1, and so on.
SCRIPT = """\
ip link set eth0 up
ip addr add BASE.10/24 dev eth0
power_on() { setsid COMMAND & pcscf=$!; }
power_on
until (exec 3<>/dev/tcp/BASE.10/5060) 2>/dev/null; do sleep 0.1; done
echo the guest is up
for ((restart = 0; ; restart++)); do
    until [ -e restart$restart ]; do sleep 0.1; done
    kill -9 -- -$pcscf
    power_on
done
"""


def missing() -> str | None:
    """What keeps such a core from running here, in a sentence."""
    return kamailio.missing() or guest_missing()


class IpsecCore:
    """The guest and the program beside it (`phones.py`), from `with` to its end; phones may be at BASE.`hosts`."""

    def __init__(self, folder: Path, hosts: tuple[int, ...]) -> None:
        # more than one child, and each empties the associations of those before it as it starts
        kamailio.write(folder, BASE, REALM, children=1, run="/run")
        command = " ".join(kamailio.command(folder, "pcscf", "-A", "IPSEC", run="/run"))
        script = SCRIPT.replace("COMMAND", command).replace("BASE", BASE)
        self.guest = Guest(folder, script, [f"{BASE}.{last}/24" for last in (*CORE, *hosts)])
        self._folder = folder
        self._restarts = 0

    def __enter__(self) -> Self:
        self.guest.__enter__()
        phones = self.guest.beside(sys.executable, str(kamailio.HERE / "phones.py"))
        self._phones = subprocess.Popen(phones, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._answer() is None:
            self.__exit__(None, None, None)
            raise RuntimeError("the core beside the guest did not come up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._phones.communicate(timeout=20)
        finally:
            self._phones.kill()
            self.guest.__exit__(kind, error, trace)

    def ask(self, **order: Any) -> dict[str, Any]:
        """What the phones did; raises AssertionError with their ladder where they could not."""
        assert self._phones.stdin is not None
        print(json.dumps(order), file=self._phones.stdin, flush=True)
        said = self._answer()
        assert said is not None, "the phones are gone"
        assert "error" not in said, f"{said['error']}\n{said['ladder']}\n{self.guest.said()[-2000:]}"
        return said

    def next_restart(self) -> str:
        """The file whose appearance takes the power from the P-CSCF for a moment, another each time."""
        path = self._folder / f"restart{self._restarts}"
        self._restarts += 1
        return str(path)

    def _answer(self) -> dict[str, Any] | None:
        assert self._phones.stdout is not None
        line = self._phones.stdout.readline()
        return json.loads(line) if line else None
