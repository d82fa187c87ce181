"""What a command says on standard output, to whoever may still be listening."""

from __future__ import annotations

import contextlib
import os
import sys

import click


def say(text: str) -> None:
    """Prints a line. A reader that had enough (`| head`) keeps nothing from being done to its end."""
    try:
        click.echo(text)
    except BrokenPipeError:
        hush()


def plain(text: str) -> str:
    """What others wrote, fit for a terminal: whatever is not to be seen (line ends, escape codes) is a dot."""
    return "".join(character if character.isprintable() else "·" for character in text)


def hush() -> None:
    """Nobody reads standard output any more: what is still written there goes nowhere."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
