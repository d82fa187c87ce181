"""`imsphone engine PROFILE`: what the desktop window starts as its child."""

from __future__ import annotations

from pathlib import Path

import click

from imsphone.cli.run import run


@click.command("engine")
@click.argument("profile", type=click.Path(dir_okay=False, path_type=Path))
def command(profile: Path) -> None:
    """Serve the phone of PROFILE to a window: JSON-RPC 2.0, one object a line (see imsphone.rpc.schema)."""
    from imsphone.audio.null import silence
    from imsphone.cli.show import card
    from imsphone.errors import AudioError
    from imsphone.phone import Phone
    from imsphone.profile import Profile
    from imsphone.rpc.server import serve_stdio

    try:
        audio = card()
    except AudioError as error:
        click.echo(f"imsphone: {str(error).partition(';')[0]}; calls are silent", err=True)
        audio = silence
    run(serve_stdio(Phone(Profile.load(profile), audio=audio)))
