"""SIPp as a reference: the usual tool for this, in C++. It registers softphones by Digest (MD5), all from one address.

It knows no AKA that registers with every RES (one that holds a zero octet is cut short), so it proves itself by a
password: one MD5 less than MILENAGE costs us. Its CPU time is read from the system, its start and its end included.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from imsphone.lab.network import Account

SCENARIO = Path(__file__).parents[1] / "interop" / "sipp" / "register.xml"
PROOF = "[authentication username={impi} password={password}]"
PROGRAM = shutil.which("sipp")
LAST = 98  # the last octet of its address
UNDER_WAY = 32


def registered_by_sipp(base: str, realm: str, accounts: Sequence[Account], count: int) -> float:
    """CPU seconds for `count` registrations of these accounts in turn. Raises RuntimeError where one fails."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = SCENARIO.read_text()
        text = text.replace("{impu}", "[field0]").replace(PROOF, "[field1]")
        (folder / "register.xml").write_text(text)
        proofs = {
            one.impus[0]: PROOF.replace("{impi}", one.impi).replace("{password}", one.password.reveal().decode())
            for one in accounts
            if one.password is not None
        }
        lines = [f"{impu};{proof}" for impu, proof in proofs.items()]
        (folder / "accounts.csv").write_text("\n".join(["SEQUENTIAL", *lines, ""]))
        command = [PROGRAM, "-sf", "register.xml", "-inf", "accounts.csv", "-key", "realm", realm, "-nostdin"]
        command += ["-i", f"{base}.{LAST}", "-p", "5060", "-t", "u1", "-m", str(count), "-l", str(UNDER_WAY)]
        command += ["-r", "5000", "-timeout", "60", "-timeout_error", f"{base}.10:5060"]
        process = os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", 'cd "$0" && exec "$@" >/dev/null 2>&1', name, *command],
            os.environ,
        )
        _, status, usage = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"SIPp ended with {os.waitstatus_to_exitcode(status)}: a registration failed")
    return usage.ru_utime + usage.ru_stime
