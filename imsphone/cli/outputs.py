"""Files and folders that a command will write to, tried before anything rings; nothing of them is left by the trial."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


class OutFile(click.Path):
    """The name of a file that can be written and, with `suffixes`, ends in one of them. Gives a Path.

    A usage error says what is wrong. An existing file keeps its content until the command writes.
    """

    def __init__(self, *suffixes: str) -> None:
        super().__init__(dir_okay=False, path_type=Path)
        self._suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if self._suffixes and path.suffix not in self._suffixes:
            self.fail(f"{path} should end in {' or '.join(self._suffixes)}, which says what is written", param, ctx)
        try:
            _try(path)
        except OSError as error:
            self.fail(f"{path} cannot be written: {error.strerror}; name another file", param, ctx)
        return path


class OutFolder(click.Path):
    """The name of a folder that files can be made in, there or not. Gives a Path."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        try:
            was_there = path.exists()
            path.mkdir(parents=True, exist_ok=True)
            _try(path / ".imsphone-trial")
            if not was_there:
                path.rmdir()
        except OSError as error:
            self.fail(f"nothing can be written to {path}: {error.strerror}; name another folder", param, ctx)
        return path


TRACE_FILE = OutFile(".jsonl", ".pcapng")


def expect_apart(**paths: Path | None) -> None:
    """Raises UsageError where two options name the same file: one would destroy what the other reads or writes."""
    seen: dict[Path, str] = {}
    for name, path in paths.items():
        if path is not None and (other := seen.setdefault(path.resolve(), name)) is not name:
            raise click.UsageError(f"--{other} and --{name} are the same file, {path}; name another for one of them")


def _try(path: Path) -> None:
    """Raises OSError where `path` cannot be written."""
    was_there = path.exists()
    with path.open("ab"):
        pass
    if not was_there:
        path.unlink()
