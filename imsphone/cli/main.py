"""The command line. Each command is a file that is loaded when it is called, so that `--help` answers at once.

Exit codes: 0 done, 1 the network refused, 2 usage (also a bad profile), 3 nothing answered, 4 authentication failed,
5 sound.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
from typing import NoReturn

import click

from imsphone.cli.say import hush, say
from imsphone.errors import (
    AudioError,
    AuthenticationError,
    CardError,
    ImsPhoneError,
    NetworkError,
    ParseError,
    ProfileError,
    Rejected,
    StateError,
    TextTooLong,
)

# name → what `--help` says of it; the command itself is `command` in imsphone/cli/NAME.py.
_COMMANDS = {
    "demo": "Bring up a network, register two phones by IMS AKA, call, talk, and show it all.",
    "register": "Register with a network and say what it answered.",
    "call": "Call somebody: with the sound card, or with files.",
    "text": "Send a text, and show what comes back.",
    "lab": "Run the built-in IMS network until Ctrl-C.",
    "trace": "Draw the ladder of a recorded trace, or turn it into pcapng.",
    "playout": "Replay recorded arrivals or a capture through the playout buffer, and measure it.",
    "doctor": "Look at this machine and a profile: what would keep a call from working?",
    "card": "Show the card readers, and who a card says that its holder is.",
    "profile": "Show a profile and keep its secrets.",
    "engine": "Serve a phone to a window: JSON lines on standard input and output.",
}

_EXITS: tuple[tuple[type[BaseException], int], ...] = (
    (AudioError, 5),
    (AuthenticationError, 4),
    (CardError, 4),
    (NetworkError, 3),
    (TimeoutError, 3),
    (Rejected, 1),
    (ProfileError, 2),
    (StateError, 2),
    (TextTooLong, 2),
    (ParseError, 2),
    (click.UsageError, 2),
    (ImsPhoneError, 1),
)


class _Lazy(click.Group):
    """A group that knows the names of its commands, and imports one when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"imsphone.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="imsphone")
def cli() -> None:
    """imsphone: an IMS phone. It registers by IMS AKA, calls, and says what went wrong.

    Exit codes: 0 done, 1 the network refused, 2 usage, 3 nothing answered, 4 authentication failed, 5 sound.
    """


def exit_code(error: BaseException) -> int:
    """The exit code that an error stands for; 1 for one that is not listed."""
    return next((code for kind, code in _EXITS if isinstance(error, kind)), 1)


def fail(error: BaseException, *, as_json: bool) -> NoReturn:
    """Says an error in one sentence (or one JSON object) and leaves with its exit code."""
    sentence = _sentence(error)
    if as_json:
        status = {"status": error.status, "reason": error.reason} if isinstance(error, Rejected) else {}
        tried = {"tried": list(error.tried)} if isinstance(error, NetworkError) else {}
        say(json.dumps({"error": type(error).__name__, "sentence": sentence} | status | tried))
    else:
        say(f"imsphone: {sentence}", err=True)
    sys.exit(exit_code(error))


def _sentence(error: BaseException) -> str:
    """What went wrong, in a line; of a usage error also where to read on."""
    if not isinstance(error, click.ClickException):
        return str(error) or type(error).__name__
    said = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{said[:1].lower()}{said[1:]} ({context.command_path} --help says more)" if context else said


def main() -> None:
    """The entry point: errors that are ours come out as one sentence, never as a traceback."""
    as_json = "--json" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ↔ and ✓ is no reason to fail
    try:
        cli(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except (KeyboardInterrupt, click.exceptions.Abort):
        sys.exit(130)
    except BrokenPipeError:
        hush()
    except (ImsPhoneError, ParseError, OSError, click.ClickException) as error:  # OSError: a full disk, no more sockets
        fail(error, as_json=as_json)


if __name__ == "__main__":
    main()
