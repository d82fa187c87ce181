"""What several commands need besides the phone: a trace in a file, the sound card."""

from __future__ import annotations

from pathlib import Path

from imsphone.audio.device import Card, sound_card
from imsphone.audio.endpoint import Audio
from imsphone.errors import ProfileError
from imsphone.trace import Trace


def save_trace(trace: Trace, path: Path) -> None:
    """Writes a trace as what its name ends in: .pcapng for Wireshark, .jsonl for everybody else."""
    if path.suffix == ".pcapng":
        path.write_bytes(trace.pcapng())
    elif path.suffix in (".jsonl", ".json"):
        path.write_text(trace.jsonl())
    else:
        raise ProfileError(f"{path.name}: a trace is written as .jsonl or .pcapng; name the file so.")


def card() -> Audio:
    """The default microphone and loudspeaker, tried once before anything rings. Raises AudioError without them."""
    Card().close()
    return sound_card()
