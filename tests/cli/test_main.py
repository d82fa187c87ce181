"""Exit codes, and one sentence for whatever goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from imsphone.cli.main import exit_code
from imsphone.errors import (
    AudioError,
    AuthenticationError,
    CallRejected,
    CardError,
    NetworkError,
    ParseError,
    ProfileError,
    RegistrationRejected,
    StateError,
)

from .conftest import Run


def test_help_names_every_command(run: Run) -> None:
    said = run("--help")
    assert said.code == 0
    for name in ("demo", "register", "call", "lab", "trace", "doctor", "card", "profile"):
        assert f"\n  {name} " in said.out


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
sys.argv = ["imsphone", "--help"]
import imsphone.cli.main
try:
    imsphone.cli.main.main()
except SystemExit:
    pass
heavy = ("numpy", "asyncio", "cryptography", "pydantic", "rich", "keyring")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RegistrationRejected(403, "Forbidden"), 1),
        (CallRejected(486, "Busy Here"), 1),
        (ProfileError("k"), 2),
        (StateError("no"), 2),
        (ParseError("an address"), 2),
        (NetworkError("nobody"), 3),
        (TimeoutError("nobody"), 3),
        (AuthenticationError("no"), 4),
        (CardError("no"), 4),
        (AudioError("no"), 5),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_an_unknown_command_or_option_is_usage(run: Run) -> None:
    for arguments in (["fly"], ["demo", "--fly"], ["register"], ["demo", "--loss", "300"]):
        said = run(*arguments)
        assert said.code == 2, arguments
        assert "Traceback" not in said.err


def test_a_profile_that_is_not_there_is_one_sentence(run: Run, tmp_path: Path) -> None:
    said = run("register", "nobody.toml")
    assert said.code == 2
    assert said.is_one_sentence
    assert "nobody.toml" in said.err


def test_with_json_an_error_is_an_object(run: Run) -> None:
    said = run("register", "nobody.toml", "--json")
    assert said.code == 2
    assert json.loads(said.out)["error"] == "ProfileError"
