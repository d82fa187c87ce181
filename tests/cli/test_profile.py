"""`imsphone profile`, as its user meets it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backends.fail
import pytest
from click.testing import CliRunner, Result

from imsphone.cli.profile import command
from imsphone.errors import ProfileError
from imsphone.profile import Profile, Secret
from imsphone.store import home, open_isim, open_secret

K = "465b5ce8b199b49faa5f0a2ee238a6bc"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("IMSPHONE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("IMSPHONE_PASSPHRASE", raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    yield
    keyring.set_keyring(before)


def run(*arguments: str, stdin: bytes = b"") -> Result:
    result = CliRunner().invoke(command, arguments, input=stdin)
    assert K not in result.output
    assert K not in str(result.exception)
    return result


def test_a_secret_comes_through_a_pipe() -> None:
    result = run("set-secret", "alice-k", "--key", stdin=f"{K}\n".encode())
    assert result.exit_code == 0
    assert 'A profile says: "keyring:alice-k"' in result.output
    assert open_secret("keyring:alice-k") == Secret(K.encode())


def test_a_short_key_is_counted_and_not_kept() -> None:
    result = run("set-secret", "alice-k", "--key", stdin=K[:-1].encode())
    assert isinstance(result.exception, ProfileError)
    assert str(result.exception) == "alice-k has 31 hex digits; it should have 32"
    assert K[:-1] not in result.output
    assert not home().exists()


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\xff\xfe"])
def test_nothing_and_no_text_are_refused(stdin: bytes) -> None:
    assert isinstance(run("set-secret", "x", stdin=stdin).exception, ProfileError)


def test_a_whole_film_is_no_secret() -> None:
    result = run("set-secret", "x", stdin=bytes(10_000))
    assert result.exit_code == 2
    assert "4096" in result.output


def test_a_secret_on_the_command_line_is_not_taken() -> None:
    result = CliRunner().invoke(command, ["set-secret", "alice-k", "0123"])
    assert result.exit_code == 2
    assert not home().exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_on_a_terminal_it_is_asked_for_and_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    import pty

    ours, theirs = pty.openpty()
    script = "from imsphone.cli.profile import command; command()"
    environment = os.environ | {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    child = subprocess.Popen(
        [sys.executable, "-c", script, "set-secret", "alice-k"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env=environment,
    )
    os.close(theirs)
    shown = b""
    try:
        for prompt, reply in (
            (b"alice-k (not shown): ", K),
            (b"key in a file): ", "correct horse"),
            (b"Once more: ", "correct horse"),
            (b"keyring:alice-k", ""),
        ):
            while prompt not in shown:
                shown += os.read(ours, 1000)
            os.write(ours, f"{reply}\n".encode())
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        os.close(ours)
    assert K.encode() not in shown
    assert b"correct horse" not in shown
    monkeypatch.setenv("IMSPHONE_PASSPHRASE", "correct horse")
    assert open_secret("keyring:alice-k") == Secret(K.encode())


def test_show_prints_what_is_in_force_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALICE_K", K)
    run("set-secret", "alice-opc", stdin=K.encode())
    path = tmp_path / "alice.toml"
    path.write_text('base = "ir92"\nimsi = "234150999999999"\nk = "env:ALICE_K"\nopc = "keyring:alice-opc"\n')
    result = run("show", str(path))
    assert result.exit_code == 0
    shown = tomllib.loads(result.output)
    assert shown["name"] == "alice"
    assert (shown["k"], shown["opc"]) == ("env:ALICE_K", "keyring:alice-opc")
    assert shown["timers"] == "3gpp"
    assert "# registers sip:234150999999999@ims.mnc015.mcc234.3gppnetwork.org" in result.output


def test_show_names_the_key_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "alice.toml"
    path.write_text('imsi = "234150999999999"\npcsf = "10.0.0.1"\n')
    result = run("show", str(path))
    assert isinstance(result.exception, ProfileError)
    assert str(result.exception) == f'{path}: there is no key "pcsf"; did you mean pcscf?'


def test_import_makes_a_profile_that_opens_and_shows_no_secret(tmp_path: Path) -> None:
    source = tmp_path / "subscriber.json"
    opc = "e8ed289deba952e4283b54e88e6183ca"
    source.write_text(
        f'{{"imsi": "001010000000001", "msisdn": ["4930123"], "security": {{"k": "{K}", "opc": "{opc}"}}}}'
    )
    result = run("import", str(source), "--to", str(tmp_path / "out"), "--pcscf", "10.0.0.1:5060")
    assert result.exit_code == 0, result.exception
    path = tmp_path / "out" / "001010000000001.toml"
    for text in (result.output, path.read_text()):
        assert K not in text
        assert opc not in text
    assert "+4930123" in path.read_text()
    profile = Profile.load(path)
    assert (profile.imsi, profile.pcscf) == ("001010000000001", "10.0.0.1:5060")
    with open_isim(profile):
        assert open_secret(profile.k or "") == Secret(K.encode())
    again = run("import", str(source), "--to", str(tmp_path / "out"))
    assert "is there already" in str(again.exception)


def test_import_names_what_is_missing(tmp_path: Path) -> None:
    source = tmp_path / "subscriber.json"
    source.write_text('{"imsi": "001010000000001"}')
    assert str(run("import", str(source)).exception) == f"{source}: k of 001010000000001 is missing"
