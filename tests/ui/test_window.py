"""The window as a person uses it: read, type, press Enter, press a button. The engine's lines are recorded ones."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="the desktop window needs the extra 'ui'")

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton

from imsphone_ui.window import PhoneWindow


class Recorded(QObject):
    """Stands at the other end of the line: keeps what is asked, says what a test gives it."""

    told = Signal(dict)
    answered = Signal(str, dict)
    failed = Signal(str, str)
    ended = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.is_stopped = False

    def request(self, method: str, **params: str) -> None:
        self.asked.append((method, params))

    def stop(self) -> None:
        self.is_stopped = True


@pytest.fixture
def shown(qapp: QApplication) -> Any:
    engine = Recorded()
    window = PhoneWindow(engine)
    window.show()
    yield engine, window
    window.close()


def button(window: PhoneWindow, text: str) -> QPushButton:
    return next(b for b in window.findChildren(QPushButton) if b.text() == text)


def text_of(window: PhoneWindow, name: str) -> str:
    """As it is read: without tags and without the dot in front."""
    text = next(label for label in window.findChildren(QLabel) if label.accessibleName() == name).text()
    return re.sub(r"<[^>]*>", "", text).removeprefix("● ")


REGISTERED = {"event": "Registered", "at": 0.0, "impu": "sip:a@x", "impus": ["sip:a@x"], "expires_s": 600}


def test_nothing_can_be_called_before_the_phone_is_registered(shown: Any) -> None:
    _, window = shown
    assert text_of(window, "Registration") == "Connecting…"
    assert not button(window, "Call").isEnabled()
    assert not button(window, "Hang up").isEnabled()


def test_typing_a_name_and_enter_calls_and_hang_up_ends_it(shown: Any) -> None:
    engine, window = shown
    engine.told.emit(REGISTERED)
    field = window.findChild(QLineEdit)
    QTest.keyClicks(field, "bob")
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert engine.asked == [("call", {"target": "bob"})]
    engine.answered.emit("call", {"call": "k"})
    assert text_of(window, "Call") == "Calling bob…"
    assert not button(window, "Call").isEnabled()
    button(window, "Hang up").click()
    assert engine.asked[-1] == ("hangup", {"call": "k"})


def test_an_empty_field_calls_nobody(shown: Any) -> None:
    engine, window = shown
    engine.told.emit(REGISTERED)
    button(window, "Call").click()
    assert engine.asked == []


def test_somebody_calls_and_can_be_answered_or_declined(shown: Any) -> None:
    engine, window = shown
    engine.told.emit(REGISTERED)
    engine.told.emit({"event": "CallIncoming", "at": 1.0, "call": "k", "remote": "sip:bob@x", "display_name": "Bob"})
    assert text_of(window, "Call") == "Bob is calling"
    button(window, "Decline").click()
    button(window, "Answer").click()
    assert engine.asked == [("reject", {"call": "k"}), ("answer", {"call": "k"})]


def test_an_address_that_cannot_be_called_is_said_and_stays_to_be_mended(shown: Any) -> None:
    engine, window = shown
    engine.told.emit(REGISTERED)
    QTest.keyClicks(window.findChild(QLineEdit), "b@@b")
    button(window, "Call").click()
    engine.failed.emit("call", "b@@b is no address")
    assert text_of(window, "Call") == "b@@b is no address"
    assert window.findChild(QLineEdit).text() == "b@@b"


def test_an_engine_that_ends_is_said(shown: Any) -> None:
    engine, window = shown
    engine.told.emit(REGISTERED)
    engine.ended.emit("")
    assert "stopped" in text_of(window, "Registration")
    assert not button(window, "Call").isEnabled()


def test_closing_the_window_lets_the_engine_deregister(shown: Any) -> None:
    engine, window = shown
    window.close()
    assert engine.is_stopped


def test_who_we_are_is_shown_once_the_network_has_said_so(shown: Any) -> None:
    engine, window = shown
    engine.told.emit(REGISTERED)
    assert text_of(window, "Registration") == "Ready · a@x"


def test_a_phone_that_was_not_let_in_can_try_again(shown: Any) -> None:
    engine, window = shown
    engine.told.emit({"event": "RegistrationFailed", "cause": "timeout", "is_final": True})
    assert text_of(window, "Registration") == "No network."
    button(window, "Try again").click()
    assert engine.asked == [("register", {})]
    engine.told.emit({"event": "Registering", "at": 2.0, "impu": "sip:a@x"})
    assert not button(window, "Call").isEnabled()


def test_why_the_engine_ended_is_said(shown: Any) -> None:
    engine, window = shown
    engine.ended.emit("k has 4 hex digits; it should have 32")
    assert "it should have 32" in text_of(window, "Registration")


def test_a_callers_name_is_text_and_no_markup(shown: Any) -> None:
    engine, window = shown
    engine.told.emit(REGISTERED)
    engine.told.emit({"event": "CallIncoming", "call": "k", "remote": "sip:b@x", "display_name": "<b>Bob</b>"})
    label = next(label for label in window.findChildren(QLabel) if label.accessibleName() == "Call")
    assert label.textFormat() == Qt.TextFormat.PlainText
    assert label.text() == "<b>Bob</b> is calling"
