"""The demonstration as a newcomer runs it: it succeeds, shows what it did, and gives no secret away."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imsphone.audio.files import read_wav
from imsphone.testing.served import ServedLab
from imsphone.trace import Trace

from .conftest import Run


@pytest.mark.timeout(200)
def test_the_whole_phone_in_half_a_minute(run: Run, tmp_path: Path) -> None:
    said = run("demo", "--base", "127.0.16", "--out", "out")
    assert said.code == 0, said.err + said.out
    for part in ("PRACK", "RTP", "BYE", "MOS (E-model)", "PESQ", "✓ bob deregisters", "packets lost"):
        assert part in said.out, part
    assert "✗" not in said.out
    pcm, rate_hz = read_wav(tmp_path / "out" / "back.wav")
    assert pcm.size / rate_hz > 20
    assert np.abs(pcm).max() > 3000
    assert (tmp_path / "out" / "trace.pcapng").stat().st_size > 100_000
    trace = Trace.from_jsonl((tmp_path / "out" / "trace.jsonl").read_text())
    methods = [record.data.split(b" ")[0] for record in trace if record.who == "alice" and record.direction == "sent"]
    signalling = [method for method in methods if method.isalpha()]
    expected = [b"REGISTER", b"REGISTER", b"INVITE", b"PRACK", b"ACK", b"BYE", b"REGISTER", b"REGISTER"]
    assert signalling == expected
    assert {"SIP", "RTP", "RTCP", "DIAMETER"} <= {record.protocol for record in trace}


@pytest.mark.timeout(200)
def test_a_bad_link_gives_the_report_something_to_say(run: Run) -> None:
    said = run("demo", "--base", "127.0.17", "--loss", "3", "--jitter", "30", "--seed", "1", "--json")
    assert said.code == 0, said.err
    report = json.loads(said.out)
    media = report["media"]
    assert report["is_good"]
    assert media["lost"] > 10
    assert media["jitter_ms"] > 5
    assert media["concealed_percent"] > 1
    assert media["mos"] < 4.2
    assert report["pesq"] is None or report["pesq"] < 4.2


def test_an_address_that_is_taken_fails_in_a_sentence(run: Run, lab: ServedLab, tmp_path: Path) -> None:
    base = lab.network.addresses["p-cscf"].host.rpartition(".")[0]
    said = run("demo", "--base", base)
    assert list(tmp_path.iterdir()) == []  # nothing half-written
    assert said.code != 0
    assert "Traceback" not in said.err + said.out
    assert base in said.out


@pytest.mark.sound
@pytest.mark.timeout(200)
def test_it_speaks_with_a_sound_card(run: Run, tmp_path: Path, jack: dict[str, str]) -> None:
    said = run("demo", "--base", "127.0.18", "--out", "out", "--speak", environment=jack)
    if "no sound card works here" in said.err:
        pytest.skip("this PortAudio does not speak JACK; Debian's libportaudio2 does")
    assert said.code == 0, said.err + said.out
    assert "speak now" in said.err
    assert "PESQ" in said.out
    pcm, rate_hz = read_wav(tmp_path / "out" / "back.wav")
    assert pcm.size / rate_hz > 19


def test_it_says_in_one_sentence_what_it_cannot_do(run: Run, tmp_path: Path) -> None:
    for wrong in (["--base", "127.0"], ["--loss", "101"], ["--out", "/dev/null/x"], ["--far-end", "somebody"]):
        said = run("demo", *wrong)
        assert said.code == 2
        assert said.is_one_sentence, said.err
    assert list(tmp_path.iterdir()) == []
