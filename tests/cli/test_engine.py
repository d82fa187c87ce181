"""`imsphone engine`: JSON lines in and out, nothing else on standard output, and an end when the window goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def test_a_window_registers_and_leaves(profiles: dict[str, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imsphone.cli.main", "engine", str(profiles["alice"])]
    environment = os.environ | {"IMSPHONE_HOME": str(tmp_path / "home")}
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "register"}) + "\n"
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as engine:
        assert engine.stdin is not None
        assert engine.stdout is not None
        engine.stdin.write(asked)
        engine.stdin.flush()
        lines = []
        while not lines or lines[-1].get("id") != 1:
            lines.append(json.loads(engine.stdout.readline()))
        assert lines[-1]["result"]["expires_s"] > 0
        engine.stdin.close()  # the window is gone
        rest = [json.loads(line) for line in engine.stdout.read().splitlines()]
        assert engine.wait(20) == 0
    assert rest[-1]["params"]["event"] == "Deregistered"


def test_a_profile_that_is_wrong_ends_it_with_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imsphone.cli.main", "engine", str(tmp_path / "none.toml")]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "none.toml" in done.stderr


def test_what_cannot_be_waited_on_is_no_window(profiles: dict[str, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "imsphone.cli.main", "engine", str(profiles["alice"])]
    environment = os.environ | {"IMSPHONE_HOME": str(tmp_path / "home")}
    with Path(os.devnull).open() as nothing:
        done = subprocess.run(command, stdin=nothing, capture_output=True, text=True, timeout=30, env=environment)
    assert done.returncode == 2
    assert "pipe" in done.stderr
    assert "Traceback" not in done.stderr
