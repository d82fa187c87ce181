"""Somebody installs the wheel and has no checkout: what he needs is in it, and found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(400)  # the media core is compiled, and a busy machine takes its time


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the contents of a wheel that was built from a copy of the tree."""
    tree, wheels, folder = (tmp_path_factory.mktemp(name) for name in ("tree", "wheels", "installed"))
    for name in ("pyproject.toml", "setup.py", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tree)
    for name in ("imsphone", "ui", "assets"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(tree)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True)
    (wheel,) = wheels.glob("*.whl")
    shutil.unpack_archive(wheel, folder, "zip")
    return folder


def run(installed: Path, code: str) -> str:
    """What this program prints, with the wheel's contents before everything else, far from the checkout."""
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=installed.parent, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_engine_is_the_wheels(installed: Path) -> None:
    assert run(installed, "import imsphone.machine as m; print(m.__file__)").startswith(str(installed))


def test_the_speech_and_the_networks_are_found(installed: Path) -> None:
    code = """
import importlib.resources, wave
assets = importlib.resources.files("imsphone.assets")
with (assets / "sounds" / "speech.wav").open("rb") as file, wave.open(file) as sound:
    print(sound.getframerate(), sound.getnchannels(), sound.getnframes() // sound.getframerate())
print((assets / "networks" / "ir92.toml").is_file(), str(assets))
"""
    sound, networks = run(installed, code).splitlines()
    assert sound == "16000 1 26"
    assert networks == f"True {installed / 'imsphone' / 'assets'}"


def test_they_are_found_in_the_checkout_too(tmp_path: Path) -> None:
    code = "import importlib.resources as r; print((r.files('imsphone.assets') / 'sounds' / 'speech.wav').is_file())"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True).strip() == "True"


def test_the_window_opens(installed: Path) -> None:
    pytest.importorskip("PySide6.QtWidgets", reason="the desktop window needs the extra 'ui'")
    code = """
from PySide6.QtWidgets import QApplication
import imsphone_ui.app, imsphone_ui.window
print(imsphone_ui.app.__file__)
"""
    assert run(installed, code).startswith(str(installed))


def test_what_has_no_place_in_a_wheel_is_not_in_it(installed: Path) -> None:
    assert sorted(path.name for path in installed.iterdir() if path.suffix != ".dist-info") == [
        "imsphone",
        "imsphone_ui",
    ]
