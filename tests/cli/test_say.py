"""A reader that has had enough is no mistake, and keeps nothing from being done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imsphone.cli.say import plain, say
from imsphone.trace import Trace


def test_it_prints_a_line(capsys: object) -> None:
    say("ladder ↔")
    assert capsys.readouterr().out == "ladder ↔\n"  # type: ignore[attr-defined]


def test_the_network_does_not_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("403 \x1b]0;mine\x07\x1b[2J\x9b2J\r\0 \x1b[31mred\x1b[0m\n\tgrün", err=True)
    assert capsys.readouterr().err == "403 ·]0;mine··[2J·2J·· red\n\tgrün\n"  # no terminal, no colours


def test_without_a_reader_the_command_still_deregisters(profiles: dict[str, Path], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    trace = tmp_path / "a.jsonl"
    line = [sys.executable, "-W", "error", "-m", "imsphone.cli.main", "register", profiles["alice"], "--json"]
    try:
        done = subprocess.run(
            [*line, "--trace", trace],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"IMSPHONE_HOME": str(tmp_path)},
            timeout=60,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    answers = [record.data[:11] for record in Trace.from_jsonl(trace.read_text()) if record.direction == "received"]
    assert answers.count(b"SIP/2.0 200") == 2  # registered, and deregistered


def test_what_others_wrote_moves_no_cursor() -> None:
    assert plain("grüß\x1b[2J dich\r\n\ud83d") == "grüß·[2J dich···"
