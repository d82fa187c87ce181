"""Keys of IPsec are written where a user asks for it by name, and nowhere else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from imsphone.cli.esp_keys import KeyFile
from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys, Suite
from tests.net.test_esp import needs_raw

from .conftest import Run


def a_set(suite: Suite) -> Associations:
    keys = Keys.of(suite, bytes(range(16)), bytes(range(16, 32)))
    return Associations(suite, "10.9.1.2", "10.9.1.1", Ends(256, 257, 1, 2), Ends(300, 301, 3, 4), keys)


def test_the_file_is_the_users_alone_from_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "esp_sa"
    keys = KeyFile(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "read and forge" in capsys.readouterr().err
    keys.add(a_set(SUITES[0]))
    assert path.read_text().count("\n") == 4
    keys.add(a_set(Suite("aes-gmac", "null")))
    assert "aes-gmac/null" in capsys.readouterr().err
    keys.close()
    capsys.readouterr()
    KeyFile(path).close()  # what was in it is gone
    assert path.read_text() == ""
    assert "no IPsec" in capsys.readouterr().err


def test_a_file_that_others_can_read_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "esp_sa"
    path.write_text("mine\n")
    path.chmod(0o640)
    with pytest.raises(click.BadParameter, match="chmod 600"):
        KeyFile(path)
    assert path.read_text() == "mine\n"
    link = tmp_path / "link"
    path.chmod(0o600)
    link.symlink_to(path)
    for name in (link, tmp_path, tmp_path / "missing" / "esp_sa"):
        with pytest.raises(click.BadParameter, match=re.escape(str(name))):
            KeyFile(name)
    assert path.read_text() == "mine\n"


@needs_raw
def test_a_registration_with_its_keys_and_nothing_of_them_elsewhere(
    run: Run, profiles: dict[str, Path], tmp_path: Path
) -> None:
    with profiles["alice"].open("a") as file:
        file.write('security = "ipsec"\n')
    said = run("register", profiles["alice"], "--ladder", "--esp-keys", "esp_sa", "--trace", "a.pcapng")
    assert said.code == 0, said.err
    assert "Warning" in said.err
    written = (tmp_path / "esp_sa").read_text()
    assert written.count("\n") == 8  # registered in one set, gone in another
    keys = set(re.findall(r"0x([0-9a-f]{32,40})", written))
    assert len(keys) == 4
    elsewhere = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "esp_sa"]
    found = said.out.encode() + said.err.encode() + b"".join(path.read_bytes() for path in elsewhere)
    for key in keys:
        assert key.encode() not in found
        assert bytes.fromhex(key[:32]) not in found
    if shutil.which("tshark"):
        shown = subprocess.run(
            ["tshark", "-r", "a.pcapng", "-o", "esp.enable_encryption_decode:TRUE"]
            + [option for line in written.splitlines() for option in ("-o", f"uat:esp_sa:{line}")]
            + ["-Y", "esp && sip.Method == REGISTER"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert shown.stdout.count("REGISTER") >= 2


def test_a_trace_is_not_written_over_the_keys(run: Run, profiles: dict[str, Path]) -> None:
    said = run("register", profiles["alice"], "--esp-keys", "a.jsonl", "--trace", "a.jsonl")
    assert said.code == 2
    assert "the same file" in said.err
