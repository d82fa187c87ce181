"""Figures against those of a judge that others wrote, and against what can be counted by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from imsphone.cli.recording import Recording, recording
from imsphone.cli.score import Log, Score, mean_of, score
from imsphone.errors import StateError
from imsphone.machine import Address, Flow
from imsphone.media.playout import Playout
from imsphone.media.replay import Run, replay
from imsphone.rtp.packet import Packet
from imsphone.trace import Trace

SHARED = Path(__file__).parents[3] / "shared" / "playout"


def trace(path: Path, delays: list[float | None]) -> Recording:
    rows = (f"{k},{20 * k},{'lost' if wait is None else 20 * k + 30 + wait}" for k, wait in enumerate(delays))
    path.write_text("\n".join(rows))
    return recording(path)


def capture(path: Path, *packets: tuple[float, Packet]) -> Path:
    trace = Trace()
    flow = Flow("UDP", Address("192.0.2.1", 40000), Address("192.0.2.2", 50000))
    for at_ms, packet in packets:
        trace.add(1.8e9 + at_ms / 1000, "alice", "sent", flow, bytes(packet))
    path.write_bytes(trace.pcapng())
    return path


def replayed(one: Recording, **options: float) -> Run:
    return replay(Playout(one.codecs, **options), one.arrivals, 1.3)


def test_a_fixed_delay_is_the_delay(tmp_path: Path) -> None:
    one = trace(tmp_path / "a.csv", [0.0] * 300)
    figures = score(one, replayed(one, minimum_ms=80, maximum_ms=80))
    assert 70 <= figures.mean_ms <= 95
    assert (figures.concealed_percent, figures.lost, figures.late, figures.jlr_percent) == (0, 0, 0, 0)


def test_losses_are_made_up_and_are_not_jitter(tmp_path: Path) -> None:
    one = trace(tmp_path / "a.csv", [None if k % 20 == 10 else 0.0 for k in range(400)])
    figures = score(one, replayed(one))
    assert figures.lost == 20
    assert figures.concealed_percent == pytest.approx(5, abs=1.5)
    assert figures.jlr_percent < 0.5


def test_waiting_is_jitter(tmp_path: Path) -> None:
    one = trace(tmp_path / "a.csv", [max(0.0, 400.0 - 20 * (k - 100)) if k >= 100 else 0.0 for k in range(300)])
    figures = score(one, replayed(one))
    assert figures.lost == 0
    assert figures.jlr_percent > 3
    assert figures.mos < 4.3


def test_nothing_heard_is_said(tmp_path: Path) -> None:
    one = trace(tmp_path / "a.csv", [0.0] * 5)
    with pytest.raises(StateError, match="nothing of a was heard"):
        score(one, replayed(one, minimum_ms=900))


def test_means_are_of_each_figure(tmp_path: Path) -> None:
    one = trace(tmp_path / "a.csv", [0.0] * 100)
    low, high = (score(one, replayed(one, minimum_ms=ms, maximum_ms=ms)) for ms in (40, 120))
    assert mean_of([low, high]).mean_ms == pytest.approx((low.mean_ms + high.mean_ms) / 2)
    assert set(low.as_json()) == set(Score.__slots__)


def test_silence_of_the_sender_is_no_delay(tmp_path: Path) -> None:
    voice = Packet(8, 0, 0, 7, b"\xd5" * 160)
    packets = [(20.0 * k, voice._replace(sequence=k, timestamp=160 * k)) for k in range(100)]
    packets += [(2000.0, Packet(13, 100, 16000, 7, b"\x3c"))]
    packets += [
        (5000 + at_ms, p._replace(sequence=101 + p.sequence, timestamp=40000 + p.timestamp))
        for at_ms, p in packets[:100]
    ]
    one = recording(capture(tmp_path / "a.pcapng", *packets))
    figures = score(one, replay(Playout(one.codecs), one.arrivals))
    assert one.silent.tolist() == [100]
    assert figures.mean_ms < 60  # and not the 3 s of silence
    assert figures.concealed_percent < 1


def test_a_log_without_lines_of_a_kind() -> None:
    log = Log(["P,0.000,0,0", "S,pull_ms,10", "S,inserted_ms,0", "S,removed_ms,0"])
    assert (log.at_ms.size, log.frame.size, log.made_ms.size) == (1, 0, 0)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared traces are not here")
@pytest.mark.parametrize("name", ["m5_spikes_2fpp", "s_ge_loss_reorder", "s_drift_plus"])
def test_figures_agree_with_the_shared_judge(name: str, tmp_path: Path) -> None:
    file, log = SHARED / "traces" / f"{name}.csv", tmp_path / "a.log"
    one = recording(file)
    run = replayed(one)
    log.write_text("\n".join(run.log))
    command = [sys.executable, SHARED / "score.py", "--one", file, log]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    theirs = dict(zip(said[::2], map(float, said[1::2]), strict=True))
    ours = score(one, run)
    assert theirs == {
        "mean_ms": pytest.approx(ours.mean_ms, abs=0.02),
        "p95_ms": pytest.approx(ours.p95_ms, abs=0.02),
        "conceal_pct": pytest.approx(ours.concealed_percent, abs=0.01),
        "jlr_pct": pytest.approx(ours.jlr_percent, abs=0.01),
        "stretch_pct": pytest.approx(ours.stretched_percent, abs=0.01),
        "R": pytest.approx(ours.r, abs=0.01),
    }
