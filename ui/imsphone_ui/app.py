"""`imsphone-ui PROFILE`: the program."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from imsphone.errors import ImsPhoneError
from imsphone.profile import Profile
from imsphone_ui.engine import Engine
from imsphone_ui.window import PhoneWindow

AWAKE_MS = 200


def main() -> None:
    """Opens the window for the profile named on the command line; says in a sentence what is wrong with it.

    Ctrl-C and SIGTERM close the window, so that the engine deregisters.
    """
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: imsphone-ui PROFILE.toml", file=sys.stderr)
        sys.exit(2)
    path = Path(sys.argv[1])
    try:
        Profile.load(path)  # here, so that a wrong file is named before a window opens
    except ImsPhoneError as error:
        print(f"imsphone-ui: {error}", file=sys.stderr)
        sys.exit(2)
    app = QApplication(sys.argv)
    engine = Engine(path)
    window = PhoneWindow(engine)
    engine.start()
    engine.request("register")
    window.show()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: window.close())
    awake = QTimer()  # Python hears a signal only between two of its own instructions, and Qt's loop has none
    awake.timeout.connect(lambda: None)
    awake.start(AWAKE_MS)
    sys.exit(app.exec())


if __name__ == "__main__":
    main()
