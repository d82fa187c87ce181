"""`imsphone-ui PROFILE`: the program."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtWidgets import QApplication

from imsphone.errors import ImsPhoneError
from imsphone.profile import Profile
from imsphone_ui.engine import Engine
from imsphone_ui.window import PhoneWindow


def main() -> None:
    """Opens the window for the profile named on the command line; says in a sentence what is wrong with it."""
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
    sys.exit(app.exec())


if __name__ == "__main__":
    main()
