"""`imsphone trace FILE`: a recorded run, as a ladder with its security associations, or as pcapng."""

from __future__ import annotations

import json
from pathlib import Path

import click

from imsphone.cli.outputs import OutFile, expect_apart
from imsphone.cli.say import say


@click.command("trace")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--pcapng", "out", type=OutFile(".pcapng"), help="Write the trace for Wireshark here.")
@click.option("--node", "nodes", multiple=True, help="Show only this node's traffic (may be given several times).")
@click.option("--messages", is_flag=True, help="Print the messages in full below the ladder.")
@click.option("--json", "as_json", is_flag=True, help="In place of a picture, one JSON object per association.")
def command(file: Path, out: Path | None, nodes: tuple[str, ...], messages: bool, as_json: bool) -> None:
    """Draw the ladder of FILE, a trace.jsonl that imsphone wrote, and list its security associations."""
    from imsphone.cli.show import look, save_trace
    from imsphone.ladder import draw, rungs
    from imsphone.trace import Trace

    expect_apart(FILE=file, pcapng=out)
    try:
        trace = Trace.from_jsonl(file.read_text())
    except OSError as error:
        raise click.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="FILE") from None
    except ValueError:
        raise click.BadParameter(
            f"{file} is no trace; name a .jsonl file that imsphone wrote", param_hint="FILE"
        ) from None
    known = {name for rung in rungs(trace) for name in (rung.source, rung.target)}
    if unknown := sorted(set(nodes) - known):
        sentence = f"no {', '.join(unknown)} in {file}; there are {', '.join(sorted(known)) or 'none'}"
        raise click.BadParameter(sentence, param_hint="--node")
    if as_json:
        for one in trace.associations():
            say(json.dumps(one.as_json()))
    else:
        say(draw(trace, nodes or None, **look()))
        if associations := trace.association_table():
            say(f"\n{associations}")
    if messages:
        for record in trace:
            if record.protocol == "SIP":
                say(f"\n{record.at:.3f} {record.who} {record.direction} {record.flow}")
                say(record.data.decode("utf-8", "replace").replace("\r\n", "\n"))
    if out is not None:
        save_trace(trace, out)
        click.echo(f"Wrote {out}.", err=True)
