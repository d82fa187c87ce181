"""`imsphone playout` replays what was recorded."""

from __future__ import annotations

from pathlib import Path

from .conftest import Run


def test_it_prints_the_figures_of_each_trace(run: Run, tmp_path: Path) -> None:
    rows = "\n".join(f"{k},{20 * k},{20 * k + 40 + k % 3}" for k in range(300))
    (tmp_path / "calm.csv").write_text(f"# made up\nseq,send_ms,arrival_ms\n{rows}\n")
    said = run("playout", "calm.csv", "calm.csv")
    assert said.code == 0, said.err
    assert [line.split()[0] for line in said.out.splitlines()] == ["calm", "calm"]
