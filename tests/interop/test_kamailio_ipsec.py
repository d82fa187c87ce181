"""Our phone and a P-CSCF that others wrote, with associations that the Linux kernel keeps: nothing of IPsec is shared.

    this host, in a network namespace                                guest (linux.uml)
    two phones ── ESP in user space over a tap device ─────────────▶ xfrm ──▶ Kamailio, ims_ipsec_pcscf
    the lab's I-CSCF, S-CSCF, HSS, far end ◀──────── SIP, plain ───────────── Path, Service-Route, ck and ik

What Kamailio can: HMAC over AES-CBC or over nothing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.esp.guest import HERE, Guest, missing

MODULE = "ims_ipsec_pcscf.so"
SUITES = ("hmac-sha-1-96/null", "hmac-md5-96/null", "hmac-sha-1-96/aes-cbc", "hmac-md5-96/aes-cbc")
# A phone that comes back from the same address within seconds gets the associations that it had: so others each time.
PHONES = [(f"10.93.0.{101 + 2 * number}", f"10.93.0.{102 + 2 * number}") for number in range(len(SUITES))]
CORE = [f"10.93.0.{last}" for last in (20, 30, 40, 50, 53)]
GUEST = """\
ip link set eth0 up
ip addr add 10.93.0.10/24 dev eth0
echo the guest is up
exec kamailio -f pcscf.cfg -DD -E -m 64 -M 8 -Y /run -P /run/kamailio.pid
"""


def _missing() -> str | None:
    lack = missing(("kamailio", "kamailio"))
    if lack is None and not list(Path("/usr/lib").glob(f"*/kamailio/modules/{MODULE}")):
        return f"Kamailio has no {MODULE}: apt-get install kamailio-ims-modules"
    return lack


pytestmark = [pytest.mark.interop, pytest.mark.skipif(_missing() is not None, reason=str(_missing()))]


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    folder = tmp_path_factory.mktemp("pcscf")
    shutil.copy(HERE / "pcscf.cfg", folder)
    with Guest(folder, GUEST, [f"{host}/24" for host in (*CORE, *(host for pair in PHONES for host in pair))]) as guest:
        yield guest


@pytest.mark.parametrize(("suite", "hosts"), list(zip(SUITES, PHONES, strict=True)), ids=SUITES)
def test_registration_calls_refresh_and_deregistration_inside_esp(
    guest: Guest, suite: str, hosts: tuple[str, str]
) -> None:
    command = guest.beside(sys.executable, str(HERE / "core.py"), suite, *hosts)
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert "error" not in said, f"{said['error']}\n{said['ladder']}\n{guest.said()[-2000:]}"
    assert said["alice registers"] == said["bob registers"] == said["alice refreshes"] == suite
    assert said["alice calls the echo"] == said["alice calls bob"] == said["bob calls alice"] == "ended"
    assert said["alice deregisters"] is False
    assert set(said["alice sent in the clear"]) == {"REGISTER"}  # a slow guest may hear it twice
