"""`imsphone trace` reads what other commands wrote."""

from __future__ import annotations

from pathlib import Path

from .conftest import Run


def test_it_draws_and_converts(run: Run, profiles: dict[str, Path], tmp_path: Path) -> None:
    assert run("register", profiles["alice"], "--trace", "a.jsonl").code == 0
    said = run("trace", "a.jsonl", "--messages", "--pcapng", "a.pcapng")
    assert said.code == 0
    assert "├" in said.out
    assert "REGISTER sip:" in said.out
    assert (tmp_path / "a.pcapng").stat().st_size > 1000


def test_what_is_no_trace_is_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("hello\n")
    (tmp_path / "b.jsonl").write_bytes(bytes(range(256)))
    for name in ("a.jsonl", "b.jsonl", "missing.jsonl"):
        said = run("trace", name)
        assert said.code == 2, name
        assert said.is_one_sentence, said.err
