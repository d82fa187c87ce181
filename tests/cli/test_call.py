"""`imsphone call` with files for a sound card."""

from __future__ import annotations

import json
from pathlib import Path

from imsphone.audio.files import WavSink, read_wav

from .conftest import Run


def wav(path: Path, seconds: float = 0.5) -> Path:
    import numpy as np

    sink = WavSink(path, 8000)
    t = np.arange(int(8000 * seconds)) / 8000
    sink.write((8000 * np.sin(2 * np.pi * 600 * t)).astype(np.int16))
    sink.close()
    return path


def test_a_file_is_said_and_the_echo_recorded(run: Run, profiles: dict[str, Path], tmp_path: Path) -> None:
    said = run("call", profiles["alice"], "echo", "--play", wav(tmp_path / "said.wav"), "--record", "back.wav")
    assert said.code == 0, said.err
    assert "Answered, PCMA." in said.out
    assert "packets sent" in said.out
    pcm, _ = read_wav(tmp_path / "back.wav")
    assert abs(pcm).max() > 4000


def test_busy_is_a_refusal_with_its_status(run: Run, profiles: dict[str, Path], tmp_path: Path) -> None:
    said = run("call", profiles["alice"], "busy", "--play", wav(tmp_path / "said.wav"), "--json")
    assert said.code == 1
    objects = [json.loads(line) for line in said.out.splitlines()]
    assert objects[-1]["status"] == 486
    assert [o["event"] for o in objects if o.get("event") == "CallEnded"]


def test_nobody_answering_is_exit_code_3(run: Run, profiles: dict[str, Path], tmp_path: Path) -> None:
    said = run("call", profiles["alice"], "silent", "--play", wav(tmp_path / "said.wav"), "--ring-timeout", "0.5")
    assert said.code == 3
    assert "Traceback" not in said.err


def test_a_file_of_the_wrong_kind_is_refused_before_anything_rings(
    run: Run, profiles: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "song.wav").write_bytes(b"ID3 this is an mp3")
    said = run("call", profiles["alice"], "echo", "--play", "song.wav")
    assert said.code == 5
    assert said.is_one_sentence
    assert "song.wav" in said.err


def test_without_a_sound_card_it_says_to_use_files(run: Run, profiles: dict[str, Path]) -> None:
    said = run("call", profiles["alice"], "echo", "--seconds", "1")
    if said.code == 0:  # a machine with a sound card
        assert "Answered" in said.out
        return
    assert said.code == 5
    assert said.is_one_sentence
    assert "--play" in said.err


def test_an_address_that_cannot_be_called_is_usage(run: Run, profiles: dict[str, Path], tmp_path: Path) -> None:
    said = run("call", profiles["alice"], "b@@b", "--play", wav(tmp_path / "said.wav"))
    assert said.code == 2
    assert said.is_one_sentence
