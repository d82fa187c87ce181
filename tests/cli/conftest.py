"""The command line as a user runs it: another process, its two outputs, its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from imsphone.testing.served import ServedLab


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed and how it left."""

    code: int
    out: str
    err: str

    @property
    def is_one_sentence(self) -> bool:
        """Whether all it said is one line on standard error, and no traceback."""
        return not self.out and self.err.count("\n") == 1 and "Traceback" not in self.err


Run = Callable[..., Said]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `imsphone ARGUMENTS` in an empty folder with a home of its own."""

    def run(*arguments: object, stdin: str = "", environment: dict[str, str] | None = None) -> Said:
        own = {
            "IMSPHONE_HOME": str(tmp_path / "home"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        done = subprocess.run(
            [sys.executable, "-m", "imsphone.cli.main", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | (environment or {}) | own,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def profiles(lab: ServedLab, tmp_path: Path) -> dict[str, Path]:
    """Profile files of the lab's subscribers, with their secrets in files beside them."""
    from imsphone.cli.lab import write_profiles

    return {name: Path(path) for name, path in write_profiles(lab.network, tmp_path / "profiles").items()}
