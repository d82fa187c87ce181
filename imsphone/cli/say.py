"""What a command says, to whoever may still be listening; what the network said in it cannot command the terminal."""

from __future__ import annotations

import contextlib
import os
import re
import sys

import click

# All but line ends, tabulators and the colours of a ladder; a reason phrase may hold anything.
_CONTROL = re.compile(r"\x1b(?!\[[\d;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")


def say(text: str, *, err: bool = False) -> None:
    """Prints a line, its control characters as dots; with `err` on standard error.

    A reader that had enough (`| head`) keeps nothing from being done to its end.
    """
    try:
        click.echo(_CONTROL.sub("·", text), err=err)
    except BrokenPipeError:
        hush()


def plain(text: str) -> str:
    """What others wrote, fit for a terminal: whatever is not to be seen (line ends, escape codes) is a dot."""
    return "".join(character if character.isprintable() else "·" for character in text)


def hush() -> None:
    """Nobody reads standard output any more: what is still written there goes nowhere."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
