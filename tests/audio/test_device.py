"""The sound card: its ring by itself, and a whole card, which on a machine without one is jackd's dummy driver."""

from __future__ import annotations

import builtins
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.audio.device import Card, Ring, devices, sound_card
from imsphone.errors import AudioError


@given(
    st.lists(st.one_of(st.integers(0, 150).map(lambda n: ("write", n)), st.integers(0, 150).map(lambda n: ("read", n))))
)
def test_a_ring_gives_in_order_what_it_took(steps: list[tuple[str, int]]) -> None:
    ring = Ring(100)
    kept: list[int] = []
    number = 0
    for step, n in steps:
        if step == "write":
            pcm = (np.arange(number, number + n) % 30000 + 1).astype(np.int16)
            taken = ring.write(pcm)
            assert taken == min(n, 100 - len(kept))
            kept += pcm[:taken].tolist()
            number += n
        else:
            out = np.full(n, -1, np.int16)
            got = ring.read_into(out)
            assert got == min(n, len(kept))
            assert out.tolist() == kept[:got] + [0] * (n - got)
            del kept[:got]
        assert ring.fill == len(kept)


def test_what_is_skipped_is_gone() -> None:
    ring = Ring(100)
    ring.write(np.arange(50, dtype=np.int16))
    ring.skip(20)
    out = np.zeros(10, np.int16)
    ring.read_into(out)
    assert out.tolist() == list(range(20, 30))
    ring.skip(1000)
    assert ring.fill == 0


def test_without_portaudio_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AudioError, match="PortAudio is missing"):
        devices()
    with pytest.raises(AudioError, match="or use WAV files"):
        sound_card()(8000)


def test_a_card_that_is_not_there_is_one_sentence() -> None:
    pytest.importorskip("sounddevice", reason="needs PortAudio (libportaudio2)", exc_type=OSError)
    with pytest.raises(AudioError, match=r"no sound card works here .*; plug one in, or give WAV files") as raised:
        Card("no such card")
    assert "\n" not in str(raised.value)


# A whole card -------------------------------------------------------------------------------------------------------

TALK = """
import subprocess, sys, time
import numpy as np
from imsphone.audio.device import devices, sound_card

if "system" not in [device.name for device in devices() if device.inputs and device.outputs]:
    sys.exit(77)  # this PortAudio does not speak JACK
source, sink = sound_card("system", "system")(8000)
own = [port for port in subprocess.check_output(["jack_lsp"], text=True).split() if port.startswith("PortAudio")]
out, into = sorted(own, key=lambda port: ":in" in port)
subprocess.run(["jack_connect", out, into], check=True)
at, heard = np.arange(480) / 48000, []
start = time.monotonic()
for tick in range(300):
    for _ in range(sink.blocks_due):
        sink.write((8000 * np.sin(2 * np.pi * 500 * at)).astype(np.int16))  # 500 Hz: five periods in a block
    heard.append(source.read(480))
    time.sleep(max(0, start + (tick + 1) / 100 - time.monotonic()))
sink.close()
source.close()
pieces = np.concatenate(heard)[48000:].astype(float).reshape(-1, 9600)  # 200 ms each
power = np.abs(np.fft.rfft(pieces * np.hanning(9600))) ** 2
share = power[:, 98:103].sum(axis=1) / (power.sum(axis=1) + 1)  # 490 to 510 Hz
print(round(100 * np.median(share)), round(np.median(pieces.std(axis=1))))
"""


@pytest.mark.sound
def test_a_tone_played_is_a_tone_recorded(jack: dict[str, str]) -> None:
    """In a process of its own, because PortAudio looks for cards only once."""
    talk = subprocess.run([sys.executable, "-c", TALK], env=jack, capture_output=True, text=True, timeout=30)
    if talk.returncode == 77:
        pytest.skip("this PortAudio does not speak JACK; Debian's libportaudio2 does")
    assert talk.returncode == 0, talk.stderr
    # The middle of ten pieces, because a busy machine makes any card stumble now and then.
    share_percent, level = map(int, talk.stdout.split())
    assert share_percent > 95
    assert level == pytest.approx(8000 / 2**0.5, rel=0.1)
