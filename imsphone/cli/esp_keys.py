"""`imsphone register --esp-keys FILE`: the only file that keys of IPsec are ever written to, and only when it is named.

It is the file `esp_sa` of Wireshark's folder of preferences. Nobody but the user may read it, from its first octet on.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from imsphone.ipsec.sa import Associations

_WARNING = (
    "Warning: {path} gets the keys of this phone's IPsec; who has it can read and forge what they protected. Wireshark "
    "takes it as the file esp_sa of its configuration folder. Delete it when you are done."
)


class KeyFile:
    """An open file that takes the keys of each set of associations, once. Raises click.BadParameter."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _refused(f"{path} cannot be written: {error.strerror}; name another file") from None
        self._file = os.fdopen(opened, "w", encoding="ascii")
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            self._file.close()
            raise _refused(f"{path} is no ordinary file; name another one for the keys")
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            self._file.close()
            raise _refused(f"{path} is open to others, and keys would be in it: chmod 600 it, or name another file")
        self._file.truncate()
        self._has_keys = False
        click.echo(_WARNING.format(path=path), err=True)

    def add(self, associations: Associations) -> None:
        """Writes the keys of a set; what goes wrong is said, and costs no registration."""
        from imsphone.ipsec.esp_sa import knows, lines

        if knows(associations.suite):
            self._has_keys = True
        else:
            click.echo(f"Wireshark cannot look inside {associations.suite}: {self._path} has no keys of it.", err=True)
        try:
            self._file.writelines(lines(associations))
            self._file.flush()
        except OSError as error:
            click.echo(f"{self._path} cannot be written: {error.strerror}", err=True)

    def close(self) -> None:
        """No more keys; says so where none came."""
        if not self._has_keys:
            click.echo(f"{self._path} has no keys: no IPsec that Wireshark knows came up.", err=True)
        self._file.close()


def _refused(sentence: str) -> click.BadParameter:
    return click.BadParameter(sentence, param_hint="--esp-keys")
