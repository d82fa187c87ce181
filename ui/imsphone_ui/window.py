"""One plain window: what state the phone is in, one field, Call and Hang up."""

from __future__ import annotations

from typing import Any, Protocol

from PySide6.QtCore import SignalInstance
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from imsphone_ui.model import Model


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
        self.setMinimumWidth(340)
        self._status = QLabel()
        self._status.setAccessibleName("Registration")
        self._status.setWordWrap(True)
        self._field = QLineEdit()
        self._field.setPlaceholderText("Name, number or SIP address")
        self._field.setAccessibleName("Whom to call")
        self._field.returnPressed.connect(self._call_or_answer)
        self._call_text = QLabel()
        self._call_text.setAccessibleName("Call")
        self._call_text.setWordWrap(True)
        self._call_button = QPushButton("Call")
        self._call_button.clicked.connect(self._call_or_answer)
        self._end_button = QPushButton("Hang up")
        self._end_button.clicked.connect(self._end)
        for button in (self._call_button, self._end_button):
            button.setMinimumHeight(44)
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
        if self._model.is_incoming and self._model.call is not None:
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

    def _on_ended(self) -> None:
        self._model.engine_ended()
        self._redraw()

    def _redraw(self) -> None:
        model = self._model
        self._status.setText(model.status)
        self._call_text.setText(model.call_text)
        self._call_button.setText("Answer" if model.is_incoming else "Call")
        self._call_button.setEnabled(model.is_incoming or model.can_call)
        self._end_button.setText("Decline" if model.is_incoming else "Hang up")
        self._end_button.setEnabled(model.call is not None)

    def closeEvent(self, event: QCloseEvent) -> None:
        self._engine.stop()
        event.accept()
