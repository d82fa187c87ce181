"""What several commands need besides the phone: a trace in a file, the sound card."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TypedDict

from imsphone.audio.device import expect_sound_card, sound_card
from imsphone.audio.endpoint import Audio
from imsphone.errors import ImsPhoneError
from imsphone.trace import Trace


def save_trace(trace: Trace, path: Path) -> None:
    """Writes a trace as what its name ends in: .pcapng for Wireshark, else JSON lines. Raises ImsPhoneError."""
    data = trace.pcapng() if path.suffix == ".pcapng" else trace.jsonl().encode()
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ImsPhoneError(f"{path} cannot be written: {error.strerror}") from None


class Look(TypedDict):
    """How a ladder is drawn: its greatest width in columns, and whether in colour."""

    width: int
    colour: bool


def look() -> Look:
    """As suits standard output: a terminal's width and colours (unless NO_COLOR), else 120 columns in plain text."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    width = max(80, shutil.get_terminal_size().columns) if is_terminal else 120
    return Look(width=width, colour=is_terminal and not os.environ.get("NO_COLOR"))


def card() -> Audio:
    """The default microphone and loudspeaker, tried once before anything rings. Raises AudioError without them."""
    expect_sound_card()
    return sound_card()
