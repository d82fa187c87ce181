"""The window and a real engine, two processes, against the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="the desktop window needs the extra 'ui'")

from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton

from imsphone.cli.lab import write_profiles
from imsphone.testing.served import ServedLab
from imsphone_ui.engine import Engine
from imsphone_ui.window import PhoneWindow


def test_a_person_calls_the_echo_and_hangs_up(
    qtbot: Any, lab: ServedLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMSPHONE_HOME", str(tmp_path / "home"))
    profile = Path(write_profiles(lab.network, tmp_path)["alice"])
    engine = Engine(profile)
    window = PhoneWindow(engine)
    qtbot.addWidget(window)
    engine.start()
    engine.request("register")
    window.show()

    def shows(name: str, text: str) -> Any:
        labels = window.findChildren(QLabel)
        return lambda: any(label.accessibleName() == name and text in label.text() for label in labels)

    def press(text: str) -> None:
        next(button for button in window.findChildren(QPushButton) if button.text() == text).click()

    try:
        qtbot.waitUntil(shows("Registration", "Ready"), timeout=20_000)
        window.findChild(QLineEdit).setText("echo")
        press("Call")
        qtbot.waitUntil(shows("Call", "In call"), timeout=20_000)
        press("Hang up")
        qtbot.waitUntil(shows("Call", "Call ended."), timeout=20_000)
    finally:
        window.close()
    last = [record for record in lab.trace if record.who == "p-cscf" and b"REGISTER" in record.data][-1]
    assert last.data.startswith(b"SIP/2.0 200")  # the engine deregistered before it ended


@pytest.mark.timeout(60)
def test_the_reason_why_it_cannot_start_reaches_the_window(qtbot: Any, tmp_path: Path) -> None:
    profile = tmp_path / "alice.toml"
    profile.write_text('imsi = "001010000000001"\nk = "file:none.k"\nopc = "file:none.opc"\n')
    engine = Engine(profile)
    with qtbot.waitSignal(engine.ended, timeout=30_000) as ended:
        engine.start()
    assert "none.k" in ended.args[0]
