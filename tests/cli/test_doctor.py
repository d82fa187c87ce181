"""The doctor finds what is wrong before a call does."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Run


def test_a_sound_profile_is_sound(run: Run, profiles: dict[str, Path]) -> None:
    said = run("doctor", profiles["alice"], "--json")
    assert said.code == 0, said.out + said.err
    verdicts = {finding["name"]: finding["verdict"] for finding in json.loads(said.out)}
    assert verdicts["P-CSCF"] == "good"
    assert verdicts["SIM"] == "good"


def test_a_p_cscf_that_does_not_answer_is_exit_code_3(run: Run, profiles: dict[str, Path], tmp_path: Path) -> None:
    text = profiles["alice"].read_text().splitlines()
    away = profiles["alice"].with_name("away.toml")
    away.write_text("\n".join(line for line in text if not line.startswith("pcscf")) + '\npcscf = "127.0.19.1:5060"\n')
    said = run("doctor", away)
    assert said.code == 3
    assert "✗ P-CSCF" in said.out
    assert "127.0.19.1" in said.out


def test_a_missing_key_is_found(run: Run, profiles: dict[str, Path]) -> None:
    (profiles["alice"].parent / "alice.k").unlink()
    said = run("doctor", profiles["alice"])
    assert said.code == 2
    assert "✗ SIM" in said.out
    assert "alice.k" in said.out


def test_without_a_profile_it_looks_at_the_machine(run: Run) -> None:
    said = run("doctor")
    assert said.code == 0
    assert "Python" in said.out
    assert "sound card" in said.out


def test_the_security_associations_are_looked_at_alone(run: Run, profiles: dict[str, Path]) -> None:
    said = run("doctor", profiles["alice"], "--sa", "--json")
    names = [finding["name"] for finding in json.loads(said.out)]
    assert names[0] == "ESP"
    assert "P-CSCF" not in names  # nothing was sent
    assert run("doctor", "nowhere.toml", "--sa").code == 2
