"""Ctrl-C and SIGTERM in each phase: what is registered deregisters, the exit code says how it ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imsphone.testing.served import ServedLab

from .test_call import wav

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@contextmanager
def command(*arguments: object, home: Path) -> Iterator[subprocess.Popen[str]]:
    line = [sys.executable, "-W", "error", "-m", "imsphone.cli.main", *map(str, arguments)]
    pipe = subprocess.PIPE
    environment = os.environ | {"IMSPHONE_HOME": str(home)}
    with subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=home) as process:
        try:
            yield process
        finally:
            process.kill()


def until(process: subprocess.Popen[str], event: str) -> None:
    """Reads what the command tells (JSON lines) up to this event."""
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("event") == event:
            return
    raise AssertionError(f"it ended without {event}: {process.communicate()[1]}")


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, list[str]]:
    """Signals, and gives the exit code and the events that were told from then on."""
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert "Traceback" not in err
    assert "never retrieved" not in err
    return process.returncode, [json.loads(line)["event"] for line in out.splitlines()]


@pytest.mark.parametrize("number", SIGNALS)
def test_while_nothing_answers(profiles: dict[str, Path], tmp_path: Path, number: signal.Signals) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        profile = tmp_path / "silent.toml"
        text = profiles["softphone1"].read_text().replace("file:", f"file:{profiles['softphone1'].parent}/")
        kept = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("pcscf"))
        profile.write_text(f'{kept}pcscf = "127.0.0.1:{silent.getsockname()[1]}"\n')
        with command("register", profile, "--json", home=tmp_path) as process:
            until(process, "Registering")
            code, _ = ended(process, number)
    assert code == 128 + number


@pytest.mark.parametrize("number", SIGNALS)
def test_while_it_stays_registered(
    lab: ServedLab, profiles: dict[str, Path], tmp_path: Path, number: signal.Signals
) -> None:
    with command("register", profiles["alice"], "--stay", "--json", home=tmp_path) as process:
        until(process, "Registered")
        code, events = ended(process, number)
    assert events[-1] == "Deregistered"
    assert code in (0, 128 + number)  # 0 once it stays; the signal may come a moment before


def test_while_it_watches(lab: ServedLab, profiles: dict[str, Path], tmp_path: Path) -> None:
    """EVT-01 as a person sees it."""
    with command("register", profiles["alice"], "--watch", home=tmp_path) as process:
        assert process.stdout is not None
        lines = []
        while not any("(this phone)" in line for line in lines):
            lines.append(process.stdout.readline())
            assert lines[-1], process.communicate()[1]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert any(f"sip:alice@{lab.network.realm}  active" in line for line in lines)
    assert "active: registered, 600000 s" in lines[-1]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(("target", "phase"), [("silent", "CallRinging"), ("echo", "CallAnswered")])
def test_in_a_call(profiles: dict[str, Path], tmp_path: Path, target: str, phase: str, number: signal.Signals) -> None:
    said = wav(tmp_path / "said.wav", seconds=30)
    with command("call", profiles["alice"], target, "--play", said, "--json", home=tmp_path) as process:
        until(process, phase)
        code, events = ended(process, number)
    assert [event for event in events if event in ("CallEnded", "Deregistered")] == ["CallEnded", "Deregistered"]
    assert code == 128 + number
