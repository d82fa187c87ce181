"""`imsphone lab` tells how to reach it, keeps secrets out of what it prints, and ends at Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imsphone.testing.served import ServedLab

from .conftest import Run

BASE = "127.0.15"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "imsphone.cli.main",
        "lab",
        "--base",
        BASE,
        "--profiles",
        str(tmp_path / "p"),
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_another_process_registers_with_it_from_its_profiles(
    served: subprocess.Popen[str], run: Run, tmp_path: Path
) -> None:
    assert served.stdout is not None
    facts = json.loads(served.stdout.readline())
    assert facts["nodes"]["p-cscf"] == f"{BASE}.10:5060"
    said = run("register", facts["subscribers"]["alice"]["profile"])
    assert said.code == 0, said.err
    said = run("register", facts["subscribers"]["softphone1"]["profile"].replace(".toml", "-tls.toml"), "--ladder")
    assert said.code == 0, said.err
    assert said.out.count("REGISTER (TLS)") == 4
    assert "Protected      by TLS" in said.out
    for path in (tmp_path / "p").iterdir():
        if path.suffix not in (".toml", ".pem"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert path.read_text().strip() not in json.dumps(facts)
    os.kill(served.pid, signal.SIGINT)
    assert served.wait(10) == 0


def test_a_person_reads_what_to_type(tmp_path: Path) -> None:
    from imsphone.cli.lab import manual, write_profiles
    from imsphone.lab.network import Network

    network = Network(seed=b"manual")
    text = manual(network, write_profiles(network, tmp_path))
    assert "imsphone call" in text
    assert "127.0.10.10:5060" in text
    assert "softphone1.password" in text
    for account in network.accounts.values():
        for secret in (account.k, account.opc, account.password):
            if secret is not None:
                assert secret.reveal().hex() not in text


def test_an_address_that_is_taken_is_one_sentence(run: Run, lab: ServedLab) -> None:
    base = lab.network.addresses["p-cscf"].host.rpartition(".")[0]
    said = run("lab", "--base", base)
    assert said.code != 0
    assert said.is_one_sentence
    assert base in said.err
