"""The program is there once the package is installed, also far away from the checkout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import threading
import zipfile
from pathlib import Path

import pytest

from imsphone.cli.lab import write_profiles
from imsphone.testing.served import ServedLab

ROOT = Path(__file__).parents[2]

pytest.importorskip("PySide6.QtWidgets", reason="the desktop window needs the extra 'ui'")


def run_app(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imsphone_ui.app", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def test_without_a_profile_it_says_how_it_is_used(tmp_path: Path) -> None:
    done = run_app(cwd=tmp_path)
    assert done.returncode == 2
    assert "PROFILE.toml" in done.stderr


def test_a_wrong_profile_is_one_sentence_and_no_window(tmp_path: Path) -> None:
    done = run_app("none.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "none.toml" in done.stderr


def test_the_wheel_holds_the_window_and_it_opens_outside_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, text=True, timeout=110)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        "import imsphone_ui.window, imsphone_ui.model, imsphone, sys\n"
        "from PySide6.QtWidgets import QApplication\n"
        "from importlib.resources import files\n"
        f"assert imsphone_ui.window.__file__.startswith({str(site)!r}), imsphone_ui.window.__file__\n"
        "assert (files('imsphone.assets') / 'sounds' / 'speech.wav').is_file()\n"
        "QApplication([])\n"
        "from imsphone_ui.engine import Engine\n"
        "from pathlib import Path\n"
        "imsphone_ui.window.PhoneWindow(Engine(Path('x.toml'))).show()\n"
        "print('shown')\n"
    )
    packages = sysconfig.get_path("purelib")
    environment = os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{packages}"}
    # -S leaves out the editable install's hook, so that what is imported can only come from the wheel.
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "shown", done.stderr


def test_a_signal_closes_the_window_and_the_engine_deregisters(lab: ServedLab, tmp_path: Path) -> None:
    profile = write_profiles(lab.network, tmp_path)["alice"]
    command = [sys.executable, "-W", "error", "-m", "imsphone_ui.app", profile]
    environment = os.environ | {"IMSPHONE_HOME": str(tmp_path / "home")}
    seen = threading.Event()
    lab.trace.listen(lambda record: seen.set() if record.data.startswith(b"SIP/2.0 200") else None)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as window:
        try:
            assert seen.wait(30)  # it is registered
            window.send_signal(signal.SIGTERM)
            assert window.wait(20) == 0
        finally:
            window.kill()
        assert window.stderr is not None
        assert "Traceback" not in window.stderr.read()
    removed = [record for record in lab.trace if record.data.startswith(b"REGISTER") and b"Expires: 0\r" in record.data]
    assert removed
