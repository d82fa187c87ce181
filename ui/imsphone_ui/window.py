"""One plain window: what state the phone is in, one field, Call and Hang up.

● Ready · alice@ims.example
[ Name, number or SIP address ]
Calling bob…
[    Call    ] [   Hang up   ]
"""

from __future__ import annotations

from html import escape
from typing import Any, Protocol

from PySide6.QtCore import Qt, SignalInstance
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from imsphone_ui.model import Model

_GREEN, _RED, _GREY = "#2e7d32", "#c62828", "#8a8a8a"
_BUTTON = (
    "QPushButton:enabled {{ background: {0}; color: white; border: none; border-radius: 4px; font-weight: bold; }}"
)


class Asked(Protocol):
    """What the window needs of an engine (`imsphone_ui.engine.Engine`)."""

    told: SignalInstance
    answered: SignalInstance
    failed: SignalInstance
    ended: SignalInstance

    def request(self, method: str, **params: str) -> None: ...

    def stop(self) -> None: ...


class PhoneWindow(QWidget):
    """Redraws from its model after each event. The green button answers while somebody calls."""

    def __init__(self, engine: Asked) -> None:
        super().__init__()
        self._engine = engine
        self._model = Model()
        self._target = ""
        self.setWindowTitle("imsphone")
        self.setMinimumSize(380, 190)
        self._status = QLabel()
        self._status.setAccessibleName("Registration")
        self._status.setWordWrap(True)
        self._field = QLineEdit()
        self._field.setPlaceholderText("Name, number or SIP address")
        self._field.setAccessibleName("Whom to call")
        self._field.returnPressed.connect(self._call_or_answer)
        self._call_text = QLabel()
        self._call_text.setTextFormat(Qt.TextFormat.PlainText)  # a caller's name is no place for tags
        self._call_text.setAccessibleName("Call")
        self._call_text.setWordWrap(True)
        self._call_text.setMinimumHeight(3 * self.fontMetrics().height())  # room for three lines, so that nothing jumps
        self._call_text.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._call_button = QPushButton("Call")
        self._call_button.clicked.connect(self._call_or_answer)
        self._end_button = QPushButton("Hang up")
        self._end_button.clicked.connect(self._end)
        for button, colour in ((self._call_button, _GREEN), (self._end_button, _RED)):
            button.setMinimumHeight(44)
            button.setStyleSheet(_BUTTON.format(colour))
        buttons = QHBoxLayout()
        buttons.addWidget(self._call_button)
        buttons.addWidget(self._end_button)
        column = QVBoxLayout(self)
        for widget in (self._status, self._field, self._call_text):
            column.addWidget(widget)
        column.addStretch()
        column.addLayout(buttons)
        engine.told.connect(self._on_told)
        engine.answered.connect(self._on_answered)
        engine.failed.connect(self._on_failed)
        engine.ended.connect(self._on_ended)
        self._redraw()
        self._field.setFocus()

    def _call_or_answer(self) -> None:
        if self._model.has_failed:
            self._engine.request("register")
        elif self._model.is_incoming and self._model.call is not None:
            self._engine.request("answer", call=self._model.call)
        elif self._model.can_call and (target := self._field.text().strip()):
            self._target = target
            self._engine.request("call", target=target)

    def _end(self) -> None:
        if self._model.call is not None:
            self._engine.request("reject" if self._model.is_incoming else "hangup", call=self._model.call)

    def _on_told(self, event: dict[str, Any]) -> None:
        self._model.apply(event)
        self._redraw()

    def _on_answered(self, method: str, result: dict[str, Any]) -> None:
        if method == "call":
            self._model.dialled(str(result.get("call")), self._target)
            self._redraw()

    def _on_failed(self, method: str, sentence: str) -> None:
        if method != "register":  # its failure comes as an event too
            self._model.failed(sentence)
            self._redraw()

    def _on_ended(self, sentence: str) -> None:
        self._model.engine_ended(sentence)
        self._redraw()

    def _redraw(self) -> None:
        model = self._model
        colour = _GREEN if model.is_registered else _RED if model.has_failed else _GREY
        who = f" · {model.impu}" if model.is_registered else ""
        self._status.setText(f'<span style="color: {colour}">●</span> {escape(model.status + who)}')
        self._call_text.setText(model.call_text)
        self._call_button.setText("Answer" if model.is_incoming else "Try again" if model.has_failed else "Call")
        self._call_button.setEnabled(model.is_incoming or model.can_call or model.has_failed)
        self._end_button.setText("Decline" if model.is_incoming else "Hang up")
        self._end_button.setEnabled(model.call is not None)

    def closeEvent(self, event: QCloseEvent) -> None:
        self._engine.stop()
        event.accept()
