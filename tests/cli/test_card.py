"""`imsphone card` where there is no card; with one it is tried in tests/interop/test_pcsc.py."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from .conftest import Run

SPEECH = Path(__file__).parents[2] / "assets" / "sounds" / "speech.wav"
NO_SERVICE = {"PCSCLITE_CSOCK_NAME": "/nowhere/pcscd.comm"}


@pytest.fixture
def without_pyscard(tmp_path: Path) -> dict[str, str]:
    """An environment in which nobody has installed the extra."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "smartcard.py").write_text("raise ImportError('No module named smartcard')\n")
    return {"PYTHONPATH": str(tmp_path / "path")}


def test_without_the_extra_it_says_how_to_get_it(run: Run, without_pyscard: dict[str, str]) -> None:
    said = run("card", environment=without_pyscard)
    assert said.code == 4
    assert said.is_one_sentence
    assert 'pip install "imsphone[card]"' in said.err


def test_a_phone_whose_sim_is_a_card_says_the_same(run: Run, tmp_path: Path, without_pyscard: dict[str, str]) -> None:
    profile = tmp_path / "card.toml"
    profile.write_text('sim = "card:"\n')
    for command in (["register", profile], ["call", profile, "bob", "--play", SPEECH]):
        said = run(*command, environment=without_pyscard)
        assert (said.code, said.is_one_sentence) == (4, True), said.err
        assert "pyscard" in said.err


@pytest.mark.skipif(importlib.util.find_spec("smartcard") is None, reason="needs pyscard (extra card)")
def test_without_a_service_it_says_which_to_start(run: Run) -> None:
    said = run("card", "--json", environment=NO_SERVICE)
    assert said.code == 4
    assert "start pcscd" in json.loads(said.out)["sentence"]


def test_a_pin_is_never_on_the_command_line(run: Run) -> None:
    said = run("card", "--pin", "1234", environment=NO_SERVICE)
    assert said.code == 2
    assert "keyring:NAME" in said.err
    assert "1234" not in said.out + said.err


def test_the_doctor_finds_it_and_asks_no_p_cscf(run: Run, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text('sim = "card:"\n')
    said = run("doctor", "card.toml", environment=NO_SERVICE)
    assert said.code == 2
    assert "✗ SIM" in said.out
    assert "P-CSCF" not in said.out


def test_a_profile_with_a_card_is_shown_without_touching_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text('sim = "card:Alcor"\npin = "keyring:pin"\n')
    said = run("profile", "show", "card.toml", environment=NO_SERVICE)
    assert said.code == 0
    assert 'sim = "card:Alcor"' in said.out
    assert "the card says" in said.out


def test_only_a_sim_in_software_can_be_put_into_the_virtual_reader(run: Run, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text('sim = "card:"\n')
    said = run("card", "--insert", "card.toml")
    assert (said.code, said.is_one_sentence) == (2, True)
    assert "k or opc is missing" in said.err
