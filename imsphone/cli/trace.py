"""`imsphone trace FILE`: a recorded run, as a ladder or as pcapng."""

from __future__ import annotations

from pathlib import Path

import click

from imsphone.errors import ProfileError


@click.command("trace")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--pcapng", "out", type=click.Path(dir_okay=False, path_type=Path), help="Write the trace for Wireshark here."
)
@click.option("--node", "nodes", multiple=True, help="Show only this node's traffic (may be given several times).")
@click.option("--messages", is_flag=True, help="Print the messages in full below the ladder.")
def command(file: Path, out: Path | None, nodes: tuple[str, ...], messages: bool) -> None:
    """Draw the ladder of FILE, a trace.jsonl that imsphone wrote."""
    from imsphone.cli.show import save_trace
    from imsphone.ladder import draw
    from imsphone.trace import Trace

    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(
            f"{file}: cannot be read as a trace ({error}); name a .jsonl file that imsphone wrote."
        ) from None
    trace = Trace.from_jsonl(text)
    click.echo(draw(trace, nodes=nodes or None))
    if messages:
        for record in trace:
            if record.protocol == "SIP":
                click.echo(f"\n{record.at:.3f} {record.who} {record.direction} {record.flow}")
                click.echo(record.data.decode("utf-8", "replace"))
    if out is not None:
        save_trace(trace, out)
        click.echo(f"Wrote {out}.", err=True)
