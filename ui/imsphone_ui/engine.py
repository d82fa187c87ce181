"""The phone's process, as the window sees it: a child that speaks JSON lines on its standard input and output."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QObject, QProcess, Signal

from imsphone.rpc.client import Answer, Client, Failed, Told

_PREFIX = "imsphone: "  # of a sentence with which a command leaves
GOODBYE_MS = 6000  # longer than the engine's own deregistration may take


class Engine(QObject):
    """Starts the engine for a profile; `told` carries events, `answered` and `failed` what became of a request.

    `ended` carries the sentence with which the engine left, where it had one.
    """

    told = Signal(dict)
    answered = Signal(str, dict)
    failed = Signal(str, str)
    ended = Signal(str)

    def __init__(self, profile: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = Client()
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._pass_on)
        self._process.finished.connect(self._end)
        self._last_word = ""
        self._process.setProgram(sys.executable)
        self._process.setArguments(["-m", "imsphone.cli.main", "engine", str(profile)])

    def start(self) -> None:
        """Starts the child."""
        self._process.start()

    def request(self, method: str, **params: str) -> None:
        """Asks; the answer comes by signal."""
        self._process.write((self._client.ask(method, **params) + "\n").encode())

    def stop(self) -> None:
        """Lets the engine deregister and waits for its end."""
        if self._process.state() == QProcess.ProcessState.NotRunning:
            return
        self._process.closeWriteChannel()
        if not self._process.waitForFinished(GOODBYE_MS):
            self._process.kill()
            self._process.waitForFinished(1000)

    def _pass_on(self) -> None:
        """What the engine says to people goes to whoever started us, and the last of it to the window."""
        text = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace")
        sys.stderr.write(text)
        lines = text.splitlines()
        self._last_word = lines[-1] if lines else self._last_word

    def _end(self, code: int, status: QProcess.ExitStatus) -> None:
        is_reasoned = code != 0 and status is QProcess.ExitStatus.NormalExit and self._last_word.startswith(_PREFIX)
        self.ended.emit(self._last_word.removeprefix(_PREFIX) if is_reasoned else "")

    def _read(self) -> None:
        while self._process.canReadLine():
            line = bytes(self._process.readLine().data()).decode("utf-8", "replace")
            match self._client.read(line):
                case Told(event):
                    self.told.emit(event)
                case Answer(_, method, result):
                    self.answered.emit(method, result)
                case Failed(_, method, _, sentence):
                    self.failed.emit(method, sentence)
