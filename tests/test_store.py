"""What is kept: secrets that only the right reference and passphrase open, and sequence numbers that never go back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.errors
import pytest

from imsphone.errors import ProfileError, StateError
from imsphone.profile import Profile, Secret
from imsphone.store import SqnFile, Vault, home, keep_secret, open_isim, open_secret
from imsphone.usim.aka import AkaSuccess, SyncFailure, Vector
from imsphone.usim.isim import SqnMemory
from imsphone.usim.milenage import Milenage

K = "465b5ce8b199b49faa5f0a2ee238a6bc"
OP = "cdc202d5123e20f62b6d676ac72cb318"
OPC = "cd63cb71954a9f4e48a5994e37a02baf"
ALICE = "alice@ims.example"
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")


class DesktopKeyring(keyring.backend.KeyringBackend):
    """A desktop's keyring, as far as the keyring package is concerned."""

    priority = 5  # type: ignore[assignment]
    name = "Test Wallet"

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.is_locked:
            raise keyring.errors.KeyringLocked
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.is_locked:
            raise keyring.errors.KeyringLocked
        self.kept[service, username] = password


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home of its own and no desktop, whatever machine this is."""
    monkeypatch.setenv("IMSPHONE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("IMSPHONE_PASSPHRASE", raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def desktop() -> DesktopKeyring:
    backend = DesktopKeyring()
    keyring.set_keyring(backend)
    return backend


def private_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


# References ---------------------------------------------------------------------------------------------------------


def test_the_environment_holds_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALICE_K", K)
    assert open_secret("env:ALICE_K") == Secret(K.encode())
    with pytest.raises(ProfileError, match="the environment has no BOB_K"):
        open_secret("env:BOB_K")


def test_a_file_of_mine_alone_holds_a_secret(tmp_path: Path) -> None:
    path = private_file(tmp_path / "alice.k", f"{K}\r\n")
    assert open_secret(f"file:{path}") == Secret(K.encode())


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o601])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = private_file(tmp_path / "alice.k", K)
    path.chmod(mode)
    with pytest.raises(ProfileError, match=f"has mode {mode:04o}.*chmod 600 {path}") as refused:
        open_secret(f"file:{path}")
    assert K not in str(refused.value)


@pytest.mark.parametrize("reference", ["file:/nowhere/at/all", "file:~no-such-user-here/k", "file:/", K, "", "sms:x"])
def test_a_reference_to_nothing_gets_a_sentence(reference: str) -> None:
    with pytest.raises(ProfileError) as refused:
        open_secret(reference)
    assert K not in str(refused.value)


def test_an_unknown_name_says_how_to_put_it_away() -> None:
    with pytest.raises(ProfileError, match='put it away by "imsphone profile set-secret alice-k"'):
        open_secret("keyring:alice-k")


# The desktop's keyring ----------------------------------------------------------------------------------------------


def test_the_desktops_keyring_is_used_where_there_is_one(desktop: DesktopKeyring) -> None:
    assert "Test Wallet" in keep_secret("alice-k", Secret(K.encode()))
    assert desktop.kept == {("imsphone", "alice-k"): K}
    assert open_secret("keyring:alice-k") == Secret(K.encode())
    assert not home().exists()


def test_a_secret_kept_before_there_was_a_desktop_is_still_found() -> None:
    keep_secret("alice-k", Secret(K.encode()))
    keyring.set_keyring(DesktopKeyring())
    assert open_secret("keyring:alice-k") == Secret(K.encode())


def test_a_locked_keyring_gets_a_sentence(desktop: DesktopKeyring) -> None:
    desktop.is_locked = True
    for attempt in (lambda: keep_secret("alice-k", Secret(K.encode())), lambda: open_secret("keyring:alice-k")):
        with pytest.raises(ProfileError, match="the keyring of this desktop says no"):
            attempt()


@pytest.mark.parametrize(("name", "data"), [("a b", b"x"), ("../x", b"x"), ("", b"x"), ("x", b""), ("x", b"\xff")])
def test_what_cannot_be_kept_gets_a_sentence(name: str, data: bytes) -> None:
    with pytest.raises(ProfileError):
        keep_secret(name, Secret(data))
    assert not home().exists()


# The sealed file ----------------------------------------------------------------------------------------------------


def test_without_a_desktop_secrets_are_sealed() -> None:
    assert keep_secret("alice-k", Secret(K.encode())) == str(home() / "secrets.json")
    keep_secret("alice-opc", Secret(OPC.encode()))
    keep_secret("alice-k", Secret(OP.encode()))  # replaced
    assert open_secret("keyring:alice-k") == Secret(OP.encode())
    assert open_secret("keyring:alice-opc") == Secret(OPC.encode())
    for path in home().iterdir():
        assert not {K, OP, OPC} & set(path.read_text().split('"'))


@posix
def test_nobody_else_may_read_what_is_kept() -> None:
    keep_secret("alice-k", Secret(K.encode()))
    assert home().stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in home().iterdir()} == {0}
    (home() / "secrets.key").chmod(0o644)
    with pytest.raises(ProfileError, match="chmod 600"):
        open_secret("keyring:alice-k")


def test_a_passphrase_seals_without_a_key_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMSPHONE_PASSPHRASE", "correct horse")
    keep_secret("alice-k", Secret(K.encode()))
    assert not (home() / "secrets.key").exists()
    assert open_secret("keyring:alice-k") == Secret(K.encode())

    monkeypatch.setenv("IMSPHONE_PASSPHRASE", "wrong horse")
    with pytest.raises(ProfileError, match="the passphrase does not open") as refused:
        open_secret("keyring:alice-k")
    assert "horse" not in str(refused.value)
    with pytest.raises(ProfileError, match="the passphrase does not open"):
        keep_secret("bob-k", Secret(K.encode()))  # else two passphrases would share a file

    monkeypatch.delenv("IMSPHONE_PASSPHRASE")
    with pytest.raises(ProfileError, match="set IMSPHONE_PASSPHRASE, or start this on a terminal"):
        open_secret("keyring:alice-k")


def test_a_sealed_secret_does_not_answer_to_another_name() -> None:
    keep_secret("alice-k", Secret(K.encode()))
    path = home() / "secrets.json"
    content = json.loads(path.read_text())
    content["secrets"]["bob-k"] = content["secrets"]["alice-k"]
    path.write_text(json.dumps(content))
    with pytest.raises(ProfileError, match="put bob-k away again"):
        open_secret("keyring:bob-k")


def test_a_key_file_of_another_vault_is_noticed() -> None:
    keep_secret("alice-k", Secret(K.encode()))
    for text in ("00" * 32, "not hex", ""):
        (home() / "secrets.key").write_text(text)
        with pytest.raises(ProfileError, match=r"secrets.key is not the key of"):
            open_secret("keyring:alice-k")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "[" * 100_000, '{"opens": 1}', '{"opens": "file", "salt": "x", "check": "", "secrets": {}}'],
)
def test_a_damaged_vault_gets_a_sentence(content: str) -> None:
    home().mkdir()
    (home() / "secrets.json").write_text(content)
    for attempt in (lambda: open_secret("keyring:x"), lambda: keep_secret("x", Secret(b"y"))):
        with pytest.raises(ProfileError, match="is damaged"):
            attempt()
    assert (home() / "secrets.json").read_text() == content


@pytest.mark.parametrize("sealed", ["zz", "", "00", 7, ["00"]])
def test_a_damaged_secret_gets_a_sentence(sealed: object) -> None:
    keep_secret("alice-k", Secret(K.encode()))
    path = home() / "secrets.json"
    content = json.loads(path.read_text())
    content["secrets"]["alice-k"] = sealed
    path.write_text(json.dumps(content))
    with pytest.raises(ProfileError, match=r"is damaged|no such secret"):
        open_secret("keyring:alice-k")


def test_two_who_write_at_once_do_not_lose_a_secret() -> None:
    home().mkdir()
    with (home() / "secrets.json.lock").open("w") as other:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(StateError, match="try again"):
                Vault(home()).put("x", Secret(b"y"))


# Sequence numbers ---------------------------------------------------------------------------------------------------


def memory(seq: int) -> SqnMemory:
    return SqnMemory((seq, *[0] * 31))


def reread(impi: str = ALICE) -> SqnMemory:
    file = SqnFile(impi)
    file.close()
    return file.memory


def test_what_was_saved_is_there_after_a_restart() -> None:
    file = SqnFile(ALICE)
    assert file.memory == SqnMemory.fresh()
    file.save(memory(7))
    file.save(memory(8))
    file.close()
    assert reread() == memory(8)
    assert reread("bob@ims.example") == SqnMemory.fresh()
    assert {path.suffix for path in (home() / "sqn").iterdir()} == {".json", ".lock"}  # nothing half-written


def test_a_sim_is_in_one_phone_at_a_time() -> None:
    file = SqnFile(ALICE)
    with pytest.raises(StateError, match=f"the SIM of {ALICE} is in another phone"):
        SqnFile(ALICE)
    SqnFile("bob@ims.example").close()
    file.close()
    SqnFile(ALICE).close()
    with pytest.raises(StateError, match="taken out"):
        file.save(memory(1))


def test_a_phone_that_died_gives_its_sim_back() -> None:
    script = f"import os; from imsphone.store import SqnFile; file = SqnFile({ALICE!r}); os._exit(0)"
    subprocess.run([sys.executable, "-c", script], check=True)
    SqnFile(ALICE).close()


def test_another_process_finds_the_sim_taken() -> None:
    file = SqnFile(ALICE)
    script = f"from imsphone.store import SqnFile; SqnFile({ALICE!r})"
    other = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    file.close()
    assert "is in another phone" in other.stderr


@posix
def test_a_full_disk_leaves_the_old_memory_whole() -> None:
    script = f"""
import resource, signal
from imsphone.errors import ProfileError
from imsphone.store import SqnFile
from imsphone.usim.isim import SqnMemory
file = SqnFile({ALICE!r})
file.save(SqnMemory((7, *[0] * 31)))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    file.save(SqnMemory((8, *[0] * 31)))
except ProfileError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert "cannot be written: File too large" in said
    assert reread() == memory(7)
    assert {path.suffix for path in (home() / "sqn").iterdir()} == {".json", ".lock"}


@posix
def test_a_phone_killed_while_it_saves_leaves_a_whole_memory() -> None:
    script = f"""
from imsphone.store import SqnFile
from imsphone.usim.isim import SqnMemory
file = SqnFile({ALICE!r})
for seq in range(1, 1_000_000):
    file.save(SqnMemory((seq,) * 32))
    print(seq, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as phone:
        assert phone.stdout is not None
        for line in phone.stdout:
            if int(line) >= 20:
                break
        phone.kill()
        told = [int(line), *(int(rest) for rest in phone.stdout.read().split("\n") if rest)][-1]
    seqs = set(reread().seqs)
    assert seqs in ({told}, {told + 1})


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"seqs": 1}', '{"seqs": [-1]}', '{"seqs": [true]}', '{"seqs": ["1"]}', "\udcff"]
)
def test_a_damaged_memory_gets_a_sentence(content: str) -> None:
    SqnFile(ALICE).close()
    path = home() / "sqn" / f"{ALICE}.json"
    path.write_text(content, errors="surrogateescape")
    for _ in range(2):  # and the lock is not kept
        with pytest.raises(ProfileError, match="is damaged: delete it"):
            SqnFile(ALICE)


def test_a_memory_of_another_index_length_gets_a_sentence() -> None:
    with_five = SqnFile(ALICE)
    with_five.save(memory(1))
    with_five.close()
    with pytest.raises(ProfileError, match="another sqn_ind_bits than 6"):
        SqnFile(ALICE, ind_bits=6)


def test_a_home_that_cannot_be_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMSPHONE_HOME", str(private_file(tmp_path / "file", "") / "home"))
    with pytest.raises(ProfileError, match="cannot be written"):
        SqnFile(ALICE)
    with pytest.raises(ProfileError, match="cannot be written"):
        keep_secret("x", Secret(b"y"))


# The whole SIM ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("constant", [{"opc": "env:CONSTANT"}, {"op": "env:CONSTANT"}])
def test_a_profile_opens_a_sim_that_remembers(constant: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALICE_K", K)
    monkeypatch.setenv("CONSTANT", OP if "op" in constant else OPC)
    profile = Profile.parse({"imsi": "001010000000001", "k": "env:ALICE_K"} | constant)
    vector = Vector.make(Milenage(bytes.fromhex(K), bytes.fromhex(OPC)), 7 << 5, b"\x80\0", bytes(16))
    with open_isim(profile) as isim:
        assert isim.authenticate(vector.rand, vector.autn) == AkaSuccess(vector.xres, vector.ck, vector.ik)
        with pytest.raises(StateError, match="001010000000001@ims"):
            open_isim(profile)
    with open_isim(profile) as isim:
        assert isinstance(isim.authenticate(vector.rand, vector.autn), SyncFailure)


def test_a_short_key_is_counted_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALICE_K", K[:-1])
    monkeypatch.setenv("ALICE_OPC", OPC)
    profile = Profile(imsi="001010000000001", k="env:ALICE_K", opc="env:ALICE_OPC")
    with pytest.raises(ProfileError) as refused:
        open_isim(profile)
    assert str(refused.value) == "k has 31 hex digits; it should have 32"


def test_a_profile_without_a_key_opens_no_sim() -> None:
    with pytest.raises(ProfileError, match="k or opc is missing"):
        open_isim(Profile(imsi="001010000000001", k="env:ALICE_K"))
