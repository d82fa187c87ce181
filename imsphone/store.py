"""What the phone keeps between runs: secrets, and what the SIM accepted so far.

A profile holds references; this is where they lead:

    env:VARIABLE    the environment: whoever may look at our process sees it; for CI
    file:PATH       a file with mode 0600, refused with any other
    keyring:NAME    the desktop's keyring; where there is none, `secrets.json`, sealed with AES-256-GCM

`secrets.json` opens with a passphrase (scrypt; from the terminal or IMSPHONE_PASSPHRASE), chosen when the first secret
is put in. Where nobody can be asked, or nobody wants to be, its key lies beside it in `secrets.key`, mode 0600.

What that is worth. Under a passphrase: a stolen disk or backup gives nothing but a guessing game at 32 MiB a guess.
With `secrets.key`: no more than the file mode, that is, against other users, and against a backup or a screenshot of
`secrets.json` alone; not against who reads the whole folder, and never against root or a debugger on the running
phone, whose memory holds the key in the clear. A real SIM is better than all of this.

The sequence numbers lie in `sqn/IMPI.json`. They are no secret, but they must not go backwards, so every write is
whole or not at all (a new file, synced, renamed over the old one), and a SIM is in one phone at a time: a lock says so.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from imsphone.errors import ProfileError, StateError
from imsphone.ims.identity import Identity
from imsphone.profile import SECRET_NAME, Profile, Secret
from imsphone.usim.hypotheses import explain
from imsphone.usim.isim import IND_BITS, Isim, SqnMemory
from imsphone.usim.keys import Keys

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_SERVICE = "imsphone"  # the name under which a desktop's keyring lists us
_SCRYPT_N = 1 << 15  # with r = 8: 32 MiB and about 70 ms a guess


def home() -> Path:
    """The folder of everything kept: IMSPHONE_HOME, else where the platform wants such things."""
    if told := os.environ.get("IMSPHONE_HOME"):
        return Path(told)
    from platformdirs import user_data_path  # 5 ms that a phone with files alone does not need

    return user_data_path("imsphone", appauthor=False)


# Secrets ------------------------------------------------------------------------------------------------------------


def open_secret(reference: str) -> Secret:
    """The secret behind a reference of a profile. Raises ProfileError: what is missing, and how to put it there."""
    scheme, _, name = reference.partition(":")
    if scheme == "env":
        if name not in os.environ:
            raise ProfileError(f"{reference}: the environment has no {name}")
        return Secret(os.environb[name.encode()] if os.supports_bytes_environ else os.environ[name].encode())
    if scheme == "file":
        return Secret(_read_private(Path(name)).rstrip(b"\r\n"))
    if scheme == "keyring":
        if secret := _from_desktop(name) or Vault(home()).get(name):
            return secret
        raise ProfileError(f'{reference}: there is no such secret; put it away by "imsphone profile set-secret {name}"')
    raise ProfileError('a secret is referred to by "keyring:NAME", "file:PATH" or "env:VARIABLE"')


def keep_secret(name: str, secret: Secret) -> str:
    """Put a secret where `keyring:NAME` finds it; gives back the place, for a human."""
    if not re.fullmatch(SECRET_NAME, name):
        raise ProfileError(f'the name "{name}" should be of letters, digits and any of _ . @ + -')
    if not secret.reveal():
        raise ProfileError(f"nothing was given for {name}")
    try:
        text = secret.reveal().decode()
    except UnicodeDecodeError:
        raise ProfileError(f"what was given for {name} is no UTF-8 text") from None
    if keyring := _desktop_keyring():
        with _desktop_refusals(name):
            keyring.set_password(_SERVICE, name, text)
        return f"the keyring of this desktop ({keyring.name})"
    vault = Vault(home())
    vault.put(name, secret)
    return str(vault.path)


def _desktop_keyring() -> KeyringBackend | None:
    import keyring  # 160 ms: only who asks for a keyring pays for it

    try:
        backend = keyring.get_keyring()
        return backend if backend.priority >= 1 else None  # below 1: nothing there, or nothing that keeps a secret
    except RuntimeError:
        return None


def _from_desktop(name: str) -> Secret | None:
    if keyring := _desktop_keyring():
        with _desktop_refusals(name):
            text = keyring.get_password(_SERVICE, name)
        return Secret(text.encode()) if text else None
    return None


@contextmanager
def _desktop_refusals(name: str) -> Iterator[None]:
    from keyring.errors import KeyringError

    try:
        yield
    except KeyringError as error:
        raise ProfileError(f"keyring:{name}: the keyring of this desktop says no ({type(error).__name__})") from None


class Vault:
    """`secrets.json` of a folder: named secrets, each sealed with its name, so that they cannot be swapped either."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "secrets.json"
        self._key_path = folder / "secrets.key"

    def get(self, name: str) -> Secret | None:
        """The secret of that name, or None. Raises ProfileError where the passphrase or the file is wrong."""
        if not self.path.exists():
            return None
        content, key = self._open()
        sealed = content["secrets"].get(name)
        return Secret(self._unseal(key, name, sealed)) if sealed else None

    def put(self, name: str, secret: Secret) -> None:
        """Keep or replace it."""
        with _Lock(self.path, f"{self.path} is being written by another imsphone; try again"):
            content, key = self._open() if self.path.exists() else self._new()
            content["secrets"][name] = self._seal(key, name, secret.reveal())
            _write_whole(self.path, json.dumps(content, indent=1).encode())

    def _open(self) -> tuple[dict[str, Any], bytes]:
        content = self._read()
        return content, self._key(content)

    def _new(self) -> tuple[dict[str, Any], bytes]:
        passphrase = os.environ.get("IMSPHONE_PASSPHRASE", "")
        if not passphrase and _can_ask():
            passphrase = self._agree_on_passphrase()
        salt = os.urandom(16)
        if passphrase:
            key = _stretch(passphrase, salt)
        else:
            key = os.urandom(32)
            _write_whole(self._key_path, key.hex().encode())
        opens = "passphrase" if passphrase else "file"
        return {"opens": opens, "salt": salt.hex(), "check": self._seal(key, "", b""), "secrets": {}}, key

    def _agree_on_passphrase(self) -> str:
        from getpass import getpass

        passphrase = getpass(f"New passphrase for {self.path} (empty: keep its key in a file): ")
        if passphrase and getpass("Once more: ") != passphrase:
            raise ProfileError("the two passphrases differ; nothing was kept")
        return passphrase

    def _key(self, content: dict[str, Any]) -> bytes:
        if content["opens"] == "file":
            wrong = f"{self._key_path} is not the key of {self.path}"
            text = _read_private(self._key_path)
            key = bytes.fromhex(text.decode()) if re.fullmatch(rb"[0-9a-f]{64}", text) else b""
        else:
            wrong = f"the passphrase does not open {self.path}"
            key = _stretch(self._ask_passphrase(), bytes.fromhex(content["salt"]))
        try:
            self._unseal(key, "", content["check"])
        except ProfileError:
            raise ProfileError(wrong) from None
        return key

    def _ask_passphrase(self) -> str:
        if passphrase := os.environ.get("IMSPHONE_PASSPHRASE"):
            return passphrase
        if not _can_ask():
            raise ProfileError(f"{self.path} is locked: set IMSPHONE_PASSPHRASE, or start this on a terminal")
        from getpass import getpass

        return getpass(f"Passphrase of {self.path}: ")

    def _read(self) -> dict[str, Any]:
        content = _read_json(self.path)
        fits = (
            content.get("opens") in ("passphrase", "file")
            and all(isinstance(content.get(name), str) for name in ("salt", "check"))
            and re.fullmatch(r"([0-9a-f]{2})+", content["salt"])
            and isinstance(content.get("secrets"), dict)
        )
        if not fits:
            raise ProfileError(f"{self.path} is damaged: delete it and put the secrets away again")
        return content

    def _seal(self, key: bytes, name: str, data: bytes) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(12)
        return (nonce + AESGCM(key).encrypt(nonce, data, name.encode())).hex()

    def _unseal(self, key: bytes, name: str, sealed: str) -> bytes:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            data = bytes.fromhex(sealed)
            return AESGCM(key).decrypt(data[:12], data[12:], name.encode())
        except (InvalidTag, ValueError, TypeError):
            raise ProfileError(f"{self.path} is damaged: put {name} away again") from None


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _stretch(passphrase: str, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=8, p=1).derive(passphrase.encode(errors="surrogateescape"))


# The SIM ------------------------------------------------------------------------------------------------------------


class StoredIsim(Isim):
    """A SIM whose memory is on disk. It is in this phone, and in no other, until `close`."""

    def __init__(self, keys: Keys, file: SqnFile, delta: int, limit: int | None) -> None:
        suspect = partial(explain, keys)
        super().__init__(keys.algorithms(), file.memory, file.save, suspect=suspect, delta=delta, limit=limit)
        self._file = file

    def close(self) -> None:
        """Take the SIM out; another phone may have it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_isim(profile: Profile) -> StoredIsim:
    """The SIM that a profile describes, its keys fetched and its memory on disk.

    Raises ProfileError for a key that is not there or is none, StateError where another phone has the SIM.
    """
    keys = Keys.of(profile, open_secret)
    file = SqnFile(Identity.of(profile).impi, profile.sqn_ind_bits)
    return StoredIsim(keys, file, profile.sqn_delta, profile.sqn_limit)


class SqnFile:
    """The memory of one SIM on disk, under a lock: `memory` is what it held, `save` keeps a new one for good.

    Raises StateError where another phone has it, ProfileError where the file is damaged.
    """

    def __init__(self, impi: str, ind_bits: int = IND_BITS) -> None:
        self.path = home() / "sqn" / f"{quote(impi, safe='@')}.json"
        self._lock = _Lock(self.path, f"the SIM of {impi} is in another phone: end the other imsphone first")
        try:
            self.memory = self._read(ind_bits) if self.path.exists() else SqnMemory.fresh(ind_bits)
        except ProfileError:
            self._lock.release()
            raise

    def save(self, memory: SqnMemory) -> None:
        """On disk when this returns. Raises ProfileError where the disk does not take it."""
        if self._lock.is_released:
            raise StateError(f"the SIM of {self.path.stem} was taken out of this phone")
        _write_whole(self.path, json.dumps({"seqs": memory.seqs}).encode())

    def close(self) -> None:
        """Let another phone have it."""
        self._lock.release()

    def _read(self, ind_bits: int) -> SqnMemory:
        seqs = _read_json(self.path).get("seqs")
        most = 1 << 48 - ind_bits
        if not isinstance(seqs, list) or any(type(seq) is not int or not 0 <= seq < most for seq in seqs):
            raise ProfileError(f"{self.path} is damaged: delete it, and the next registration resynchronises")
        if len(seqs) != 1 << ind_bits:
            raise ProfileError(f"{self.path} is of another sqn_ind_bits than {ind_bits}: delete it to start anew")
        return SqnMemory(tuple(seqs))


# Files --------------------------------------------------------------------------------------------------------------


def _read_private(path: Path) -> bytes:
    """A file that only its owner may read, or a sentence."""
    try:
        with path.expanduser().open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name != "nt" and mode & 0o077:
                raise ProfileError(f"{path} has mode {mode:04o}, so others may read it: chmod 600 {path}")
            return file.read()
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from None
    except RuntimeError:  # ~somebody
        raise ProfileError(f"{path}: nobody here has that home") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or a tower of brackets
        content = None
    return content if isinstance(content, dict) else {}


def _write_whole(path: Path, data: bytes) -> None:
    """`path` holds all of `data`, mode 0600, and keeps it through a power cut; or holds what it held before."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.stem[:100]}.", dir=path.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        if os.name != "nt":  # the rename is on disk only when the folder is
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise ProfileError(
            f"{path} cannot be written: {error.strerror}; IMSPHONE_HOME may name another folder"
        ) from None


class _Lock:
    """Nobody else has `path` until `release`, in this process or another; where somebody does, StateError(sentence).

    The lock dies with the process and with this object, whichever comes first.
    """

    def __init__(self, path: Path, sentence: str) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ProfileError(
                f"{path} cannot be written: {error.strerror}; IMSPHONE_HOME may name another folder"
            ) from None
        self._release = weakref.finalize(self, os.close, descriptor)
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.release()
            raise StateError(sentence) from None

    @property
    def is_released(self) -> bool:
        return not self._release.alive

    def release(self) -> None:
        self._release()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.release()
