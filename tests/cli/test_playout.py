"""`imsphone playout` replays what was recorded."""

from __future__ import annotations

import json
import struct
import wave
from pathlib import Path

import pytest

from imsphone.machine import Address, Flow
from imsphone.media.codecs.g711 import PCMU
from imsphone.rtp.packet import Packet
from imsphone.trace import Trace

from .conftest import Run

LOST = "40,800,lost"
PCAP_HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


@pytest.fixture
def calm(tmp_path: Path) -> str:
    """A trace of 6 s with one loss."""
    rows = [f"{k},{20 * k},{20 * k + 40 + k % 3}" for k in range(300)]
    rows[40] = LOST
    (tmp_path / "calm.csv").write_text("\n".join(["# made up", "seq,send_ms,arrival_ms", *rows]))
    return "calm.csv"


@pytest.fixture
def call(tmp_path: Path) -> str:
    """A capture with two streams of PCMU, 2 s and 1 s."""
    trace = Trace()
    ends = Address("192.0.2.1", 40000), Address("192.0.2.2", 50000)
    for k in range(150):
        ssrc, flow = (0xA11CE, Flow("UDP", *ends)) if k % 3 else (0xB0B, Flow("UDP", *reversed(ends)))
        count = k // 3 if ssrc == 0xB0B else k - k // 3 - 1
        packet = Packet(0, count, 160 * count, ssrc, PCMU.encode(PCMU.decode(b"\x20\xa0" * 80)))
        trace.add(1.8e9 + count / 50, "alice", "sent", flow, bytes(packet))
    (tmp_path / "call.pcapng").write_bytes(trace.pcapng())
    return "call.pcapng"


def test_one_trace_has_a_line_for_each_figure(run: Run, calm: str) -> None:
    said = run("playout", calm)
    assert said.code == 0, said.err
    lines = dict(line.strip().rsplit(maxsplit=1) for line in said.out.splitlines()[1:])
    assert lines["packets that never came"] == "1"
    assert float(lines["sound made up (%)"]) > 0
    assert 80 < float(lines["R (E-model, 120 ms on top)"]) < 91


def test_several_have_a_row_each_and_a_mean(run: Run, calm: str, call: str) -> None:
    said = run("playout", calm, call)
    assert said.code == 0, said.err
    assert [line.split()[0] for line in said.out.splitlines()] == ["mean", "calm", "call", "mean"]
    assert len({len(line) for line in said.out.splitlines()}) == 1


def test_it_writes_sound_logs_and_picture(run: Run, calm: str, tmp_path: Path) -> None:
    said = run("playout", calm, "-o", "heard.wav", "--log", "logs", "--plot", "out.png", "--between", 0, 2)
    assert said.code == 0, said.err
    with wave.open(str(tmp_path / "heard.wav")) as sound:
        assert sound.getframerate() == 16000
        assert 5.9 < sound.getnframes() / 16000 < 6.3
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert names == ["calm.1.3.log", "calm.11.3.log", "calm.16.3.log", "calm.6.3.log"]
    log = (tmp_path / "logs" / names[0]).read_text().splitlines()
    assert {line[0] for line in log} == set("PFCS")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_written_of_several_carries_their_names(run: Run, calm: str, call: str, tmp_path: Path) -> None:
    assert run("playout", calm, call, "-o", "heard.wav").code == 0
    assert {path.name for path in tmp_path.glob("*.wav")} == {"heard-calm.wav", "heard-call.wav"}
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / calm).write_text((tmp_path / calm).read_text())
    said = run("playout", calm, f"again/{calm}", "-o", "heard.wav")
    assert said.code == 2
    assert said.is_one_sentence


def test_a_capture_gives_its_own_sound(run: Run, call: str, tmp_path: Path) -> None:
    said = run("playout", call, "-o", "heard.wav", "--json")
    assert said.code == 0, said.err
    figures = json.loads(said.out)[call]
    assert figures["stream"].startswith("0x000A11CE 192.0.2.1:40000 → 192.0.2.2:50000, PCMU, 100 packets")
    assert figures["lost"] == 0
    with wave.open(str(tmp_path / "heard.wav")) as sound:
        assert sound.getframerate() == 8000
        assert any(sound.readframes(sound.getnframes()))
    other = json.loads(run("playout", call, "--ssrc", "0xB0B", "--json").out)[call]
    assert "50 packets" in other["stream"]


def test_a_fixed_delay_is_kept(run: Run, calm: str) -> None:
    figures = [
        json.loads(run("playout", calm, "--json", *options).out)[calm]
        for options in (["--mode", "fixed", "--delay", 150], ["--min", 150], ["--max", 30, "--offset", 120], [])
    ]
    assert [one["mean_ms"] for one in figures[:3]] == [pytest.approx(150, abs=20)] * 3
    assert figures[3]["mean_ms"] < 60


@pytest.mark.parametrize(
    ("name", "data"),
    {
        "missing.csv": None,
        "empty.csv": b"",
        "prose.csv": b"hello\n",
        "octets.csv": bytes(range(256)),
        "cut.pcap": PCAP_HEAD + b"\x01",
        "no-rtp.pcap": PCAP_HEAD,
    }.items(),
)
def test_what_cannot_be_replayed_is_one_sentence(name: str, data: bytes | None, run: Run, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    said = run("playout", name)
    assert said.code == 2
    assert said.is_one_sentence, said.err
    assert name in said.err


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--out", "nowhere/heard.wav"], 5),
        (["--log", "calm.csv/logs"], 2),
        (["--plot", "nowhere/out.png"], 2),
        (["--min", "900", "--max", "800"], 2),
        (["--mode", "fixed"], 2),
        (["--delay", "50"], 2),
        (["--ssrc", "alice"], 2),
        (["--between", "5", "1"], 2),
    ],
)
def test_what_cannot_be_done_is_said(options: list[str], code: int, run: Run, calm: str) -> None:
    said = run("playout", calm, *options)
    assert said.code == code
    assert not said.out
    assert "Traceback" not in said.err
    assert said.err.strip()
