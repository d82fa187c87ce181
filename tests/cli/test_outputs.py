"""Where nothing can be written is found before anything rings, and the trial leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest
from click import BadParameter, UsageError

from imsphone.cli.outputs import TRACE_FILE, OutFile, OutFolder, expect_apart

from .conftest import Run


def test_a_file_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    old = tmp_path / "old.wav"
    old.write_bytes(b"kept")
    assert OutFile().convert(str(old), None, None) == old
    assert OutFile().convert(str(tmp_path / "new.wav"), None, None) == tmp_path / "new.wav"
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("old.wav", b"kept")]


@pytest.mark.parametrize("name", ["no/such/folder/a.jsonl", "a.txt", "folder.jsonl", "file.jsonl/a.jsonl"])
def test_a_file_that_cannot_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "file.jsonl").touch()
    with pytest.raises(BadParameter, match=Path(name).name):
        TRACE_FILE.convert(str(tmp_path / name), None, None)


def test_a_folder_is_tried_and_not_made(tmp_path: Path) -> None:
    assert OutFolder().convert(str(tmp_path / "new"), None, None) == tmp_path / "new"
    assert OutFolder().convert(str(tmp_path), None, None) == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadParameter, match="below"):
        OutFolder().convert(str(tmp_path / "file" / "below"), None, None)


def test_one_file_for_two_things_is_refused(tmp_path: Path) -> None:
    expect_apart(play=tmp_path / "a.wav", record=tmp_path / "b.wav", trace=None)
    with pytest.raises(UsageError, match="--play and --record"):
        expect_apart(play=tmp_path / "a.wav", record=tmp_path / "x" / ".." / "a.wav")


@pytest.mark.parametrize(
    "options",
    [
        ("call", "{alice}", "echo", "--play", "said.wav", "--record", "/no/such/folder/back.wav"),
        ("call", "{alice}", "echo", "--play", "said.wav", "--trace", "/no/such/folder/a.jsonl"),
        ("call", "{alice}", "echo", "--play", "said.wav", "--record", "said.wav"),
        ("register", "{alice}", "--trace", "/no/such/folder/a.pcapng"),
        ("lab", "--trace", "/no/such/folder/a.pcapng"),
        ("lab", "--profiles", "said.wav/profiles"),
        ("demo", "--out", "said.wav/demo"),
    ],
)
def test_every_command_says_so_in_one_sentence(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "said.wav").write_bytes(b"kept")
    said = run(*(option.format(alice=tmp_path / "none.toml") for option in options))
    assert said.code == 2
    assert said.is_one_sentence, said.err
    assert (tmp_path / "said.wav").read_bytes() == b"kept"
