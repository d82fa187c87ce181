"""A phone whose SIM is a card: through pyscard, Debian's pcscd and the virtual reader of vsmartcard, against the lab.

pcscd runs for these tests alone, unless one with a virtual reader runs here already. The card behind it is ours.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from imsphone.cli.lab import write_profiles
from imsphone.errors import AuthenticationError, CardError
from imsphone.events import Challenged, Event
from imsphone.ims.identity import Identity
from imsphone.net.card import Card, readers
from imsphone.phone import Phone
from imsphone.profile import Profile, Secret
from imsphone.testing.served import ServedLab
from imsphone.testing.uicc import SoftUicc
from imsphone.testing.vpcd import Inserted
from imsphone.usim.aka import Algorithms, MacFailure, NoAnswer, Vector, open_auts
from imsphone.usim.isim import Isim, SqnMemory

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
VIRTUAL = "Virtual PCD"

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(importlib.util.find_spec("smartcard") is None, reason="needs pyscard (extra card)"),
    pytest.mark.skipif(not DRIVER.exists(), reason="needs the virtual reader (Debian: pcscd, vsmartcard-vpcd)"),
]


def has_virtual_reader() -> bool:
    with suppress(CardError):
        return any(VIRTUAL in one.name for one in readers())
    return False


def has_service() -> bool:
    with suppress(CardError):
        return bool(readers()) or True
    return False


def until(is_so: Any, seconds: float = 10.0) -> None:
    """Waits for the service, which looks at its readers now and then."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"{is_so.__name__} is still not so"
        time.sleep(0.02)


class Daemon:
    """A pcscd of our own."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def start(self) -> None:
        with open(self._log, "a") as log:
            self._process = subprocess.Popen(["pcscd", "--foreground"], stdout=log, stderr=log)
        until(has_virtual_reader)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture(scope="module", autouse=True)
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon | None]:
    if has_virtual_reader():
        yield None
        return
    if has_service():
        pytest.skip("the pcscd that runs here has no virtual reader: restart it")
    if os.geteuid() != 0 or shutil.which("pcscd") is None:
        pytest.skip("needs root to start pcscd, or a pcscd with a virtual reader that runs already")
    daemon = Daemon(tmp_path_factory.mktemp("pcscd") / "log")
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


class Slot:
    """The virtual reader, with one card at a time in it."""

    def __init__(self) -> None:
        self._inserted: Inserted | None = None

    @property
    def has_card(self) -> bool:
        return any(one.has_card for one in readers() if VIRTUAL in one.name)

    def insert(self, card: SoftUicc) -> SoftUicc:
        if self._inserted is not None:
            self._inserted.take_out()
        self._inserted = Inserted(card)
        self._inserted.__enter__()
        until(lambda: self.has_card)
        return card

    def take_out(self) -> None:
        if self._inserted is not None:
            self._inserted.take_out()
            self._inserted = None
        until(lambda: not self.has_card)


@pytest.fixture
def slot() -> Iterator[Slot]:
    slot = Slot()
    yield slot
    slot.take_out()


def card_of(lab: ServedLab, **more: Any) -> SoftUicc:
    """Alice's; its IMPUs begin with the one that the lab's profiles name, its P-CSCF is the lab's."""
    account = lab.network.accounts["alice"]
    who = {"home_domain": lab.network.realm, "pcscfs": [lab.network.addresses["p-cscf"].host]}
    return SoftUicc.of(account, **(who | more))


def phone(**said: Any) -> Phone:
    return Phone(Profile(**({"sim": f"card:{VIRTUAL}", "local_host": "127.0.0.1", "reg_event": False} | said)))


def count(phone: Phone, kind: type[Event]) -> list[Event]:
    told: list[Event] = []
    phone.on(lambda event: told.append(event) if isinstance(event, kind) else None)
    return told


@pytest.mark.parametrize("protocol", ["T=0", "T=1"])
async def test_the_isim_says_who_and_where_and_registers(lab: ServedLab, slot: Slot, protocol: str) -> None:
    slot.insert(card_of(lab, protocol=protocol))
    async with phone() as alice:
        registered = await alice.register()
        assert registered.impu == f"sip:alice@{lab.network.realm}"
        assert alice.profile.pcscf == lab.network.addresses["p-cscf"].host
        assert (await alice.register()).is_refresh


async def test_a_usim_alone_registers_with_what_follows_from_its_imsi(lab: ServedLab, slot: Slot) -> None:
    slot.insert(card_of(lab, has_isim=False, pcscfs=()))
    async with phone(pcscf=str(lab.network.addresses["p-cscf"])) as alice:
        registered = await alice.register()
        assert registered.impu == f"sip:alice@{lab.network.realm}"
        assert alice.profile.impi is None
        assert Identity.of(alice.profile).impi == lab.network.accounts["alice"].impi


async def test_a_card_ahead_of_the_network_brings_it_into_step(lab: ServedLab, slot: Slot) -> None:
    account = lab.network.accounts["alice"]
    keys = account.keys()
    assert keys is not None
    ahead = Isim(keys.algorithms(), SqnMemory((1 << 20,) * 32))
    network = lab.network
    slot.insert(SoftUicc(ahead, impi=account.impi, impus=account.impus, pcscfs=[network.addresses["p-cscf"].host]))
    async with phone() as alice:
        challenges = count(alice, Challenged)
        await alice.register()
        assert len(challenges) == 2  # the first one is answered by AUTS


async def test_a_card_with_another_key_finds_the_network_out(lab: ServedLab, slot: Slot) -> None:
    account = lab.network.accounts["alice"]
    slot.insert(SoftUicc(lab.isim("bob"), impi=account.impi, impus=account.impus))
    async with phone(pcscf=str(lab.network.addresses["p-cscf"])) as alice:
        with pytest.raises(AuthenticationError, match="MAC failure"):
            await alice.register()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: raw sockets for ESP")
async def test_its_ck_and_ik_are_the_keys_of_the_ipsec(lab: ServedLab, slot: Slot) -> None:
    slot.insert(card_of(lab))
    async with phone(security="ipsec", local_host="127.0.4.61") as alice:
        registered = await alice.register()
        assert registered.protection == "hmac-sha-1-96/aes-cbc"
        assert (await alice.register()).is_refresh


async def test_a_slow_card_holds_up_nothing_else(lab: ServedLab, slot: Slot) -> None:
    """The card answers once the event loop has gone on; a loop that is held up by it never would."""
    went_on = threading.Event()
    answers: list[bool] = []

    class Slow(SoftUicc):
        def answer(self, command: bytes) -> bytes:
            if command[1] == 0x88:
                answers.append(went_on.wait(10))
            return super().answer(command)

    account = lab.network.accounts["alice"]
    slot.insert(Slow.of(account, home_domain=lab.network.realm, pcscfs=[lab.network.addresses["p-cscf"].host]))
    async with phone() as alice:
        challenged = asyncio.ensure_future(alice.until(Challenged))
        registering = asyncio.ensure_future(alice.register())
        await challenged
        for _ in range(3):  # turns of the loop while the card thinks
            await asyncio.sleep(0)
        went_on.set()
        await registering
    assert answers[0]


# PIN ------------------------------------------------------------------------------------------------------------------


async def test_the_pin_of_the_profile_is_given_where_the_card_asks(
    lab: ServedLab, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = slot.insert(card_of(lab, pin="2468"))
    monkeypatch.setenv("CARD_PIN", "2468")
    async with phone(pin="env:CARD_PIN") as alice:
        await alice.register()
        card.power()  # a reset forgets it
        await alice.register()
    assert card.tries_left == 3
    assert "2468" not in alice.ladder()


async def test_a_wrong_pin_costs_one_try_however_often_the_phone_is_started(
    lab: ServedLab, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = slot.insert(card_of(lab, pin="2468"))
    with pytest.raises(CardError, match=r"wants its PIN \(3 tries are left\)"):
        await phone().__aenter__()
    monkeypatch.setenv("CARD_PIN", "1111")
    for words in ("does not take the PIN", "had a wrong PIN before", "had a wrong PIN before"):
        with pytest.raises(CardError, match=f"{words}.*2 tries are left"):
            await phone(pin="env:CARD_PIN").__aenter__()
        assert card.tries_left == 2
    with Card(VIRTUAL, Secret(b"2468"), may_retry=True):
        assert card.tries_left == 3


# Taken out ------------------------------------------------------------------------------------------------------------


async def test_a_card_taken_out_is_missed_and_taken_up_again(lab: ServedLab, slot: Slot) -> None:
    card = slot.insert(card_of(lab, pin="2468"))
    profile = Profile(sim=f"card:{VIRTUAL}", local_host="127.0.0.1", reg_event=False)
    reader = await asyncio.to_thread(Card, VIRTUAL, Secret(b"2468"))
    async with Phone(reader.complete(profile), isim=reader) as alice:
        await alice.register()
        await asyncio.to_thread(slot.take_out)
        with pytest.raises(AuthenticationError, match=r"taken out of Virtual PCD|no card is in"):
            await alice.register()
        card.power()
        await asyncio.to_thread(slot.insert, card)
        await alice.register()


async def test_another_card_in_its_place_gets_no_pin(lab: ServedLab, slot: Slot) -> None:
    slot.insert(card_of(lab, pin="2468"))
    with Card(VIRTUAL, Secret(b"2468")) as reader:
        slot.take_out()
        other = card_of(lab, pin="1357", iccid="8988211000000000022")
        slot.insert(other)
        refused = reader.authenticate(bytes(16), bytes(16))
        if "taken out" in str(refused):  # the first question only finds that the old one is gone
            refused = reader.authenticate(bytes(16), bytes(16))
        assert "another card" in str(refused)
    assert other.tries_left == 3


async def test_a_card_that_another_program_reset_is_asked_once_more(lab: ServedLab, slot: Slot) -> None:
    from smartcard import scard

    card = slot.insert(card_of(lab, pin="2468"))
    with Card(VIRTUAL, Secret(b"2468")) as reader:
        _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        both = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        _, handle, _ = scard.SCardConnect(context, reader.reader, scard.SCARD_SHARE_SHARED, both)
        assert scard.SCardDisconnect(handle, scard.SCARD_RESET_CARD) == scard.SCARD_S_SUCCESS
        scard.SCardReleaseContext(context)
        assert reader.authenticate(bytes(16), bytes(16)) == MacFailure()
    assert card.tries_left == 3


async def test_who_has_the_card_for_himself_is_waited_for_and_named(
    lab: ServedLab, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smartcard import scard

    slot.insert(card_of(lab))
    with Card(VIRTUAL) as reader:
        _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        both = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        _, handle, _ = scard.SCardConnect(context, reader.reader, scard.SCARD_SHARE_SHARED, both)
        assert scard.SCardBeginTransaction(handle) == scard.SCARD_S_SUCCESS
        monkeypatch.setattr("imsphone.net.card.PATIENCE_S", 0.1)
        assert "another program has the card" in str(reader.authenticate(bytes(16), bytes(16)))
        monkeypatch.undo()
        scard.SCardEndTransaction(handle, scard.SCARD_LEAVE_CARD)
        assert reader.authenticate(bytes(16), bytes(16)) == MacFailure()
        scard.SCardReleaseContext(context)


async def test_a_service_that_goes_and_comes_back(lab: ServedLab, slot: Slot, service: Daemon | None) -> None:
    if service is None:
        pytest.skip("this pcscd is not ours to stop")
    card = card_of(lab)
    slot.insert(card)
    with Card(VIRTUAL) as reader:
        service.stop()
        assert isinstance(reader.authenticate(bytes(16), bytes(16)), NoAnswer)
        assert "start pcscd" in str(reader.authenticate(bytes(16), bytes(16)))
        service.start()
        slot.insert(card)
        assert reader.authenticate(bytes(16), bytes(16)) == MacFailure()


def test_a_card_that_goes_in_the_middle_of_a_command_is_a_sentence(lab: ServedLab, slot: Slot) -> None:
    card = card_of(lab)
    slot.insert(card)
    with Card(VIRTUAL) as reader:
        answer = card.answer

        def vanish(command: bytes) -> bytes:
            if command[1] == 0x88:
                raise OSError("gone")
            return answer(command)

        card.answer = vanish  # type: ignore[method-assign]
        assert isinstance(reader.authenticate(bytes(16), bytes(16)), NoAnswer)


# A reader that others wrote ------------------------------------------------------------------------------------------


class Hlr(threading.Thread):
    """What hostapd asks for vectors, in its own words over a datagram socket."""

    def __init__(self, path: Path, algorithms: Algorithms, sqn: int) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._algorithms = algorithms
        self._sqn = sqn
        self.asked: list[str] = []

    def run(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(500)
            if not data:  # shut down
                return
            what, imsi, *more = data.decode().split()
            self.asked.append(f"{what} {imsi}")
            if what == "AKA-AUTS":
                auts, rand = map(bytes.fromhex, more)
                self._sqn = open_auts(self._algorithms, rand, auts) or 0
                continue
            self._sqn += 32
            one = Vector.make(self._algorithms, self._sqn, bytes(2), os.urandom(16))
            answer = " ".join(part.hex() for part in (one.rand, one.autn, one.ik, one.ck, one.xres))
            self._socket.sendto(f"AKA-RESP-AUTH {imsi} {answer}".encode(), sender)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self._socket.close()


@pytest.mark.skipif(
    shutil.which("eapol_test") is None or shutil.which("hostapd") is None, reason="needs eapoltest and hostapd"
)
@pytest.mark.parametrize("is_ahead", [False, True], ids=["in step", "ahead"])
def test_eap_aka(lab: ServedLab, slot: Slot, tmp_path: Path, is_ahead: bool) -> None:
    """wpa_supplicant reads the software card and proves itself by EAP-AKA to hostapd: neither shares a line with us."""
    account = lab.network.accounts["alice"]
    keys = account.keys()
    assert keys is not None
    memory = SqnMemory((1 << 20,) * 32) if is_ahead else None
    slot.insert(SoftUicc(Isim(keys.algorithms(), memory), imsi=account.imsi, pin="2468"))
    hlr = Hlr(tmp_path / "hlr", keys.algorithms(), 0)
    hlr.start()
    (tmp_path / "clients").write_text("127.0.0.0/8 secret\n")
    (tmp_path / "users").write_text("* AKA\n")
    (tmp_path / "hostapd").write_text(
        "driver=none\ninterface=lo\neap_server=1\nradius_server_auth_port=18120\n"
        f"radius_server_clients={tmp_path}/clients\neap_user_file={tmp_path}/users\neap_sim_db=unix:{tmp_path}/hlr\n"
    )
    (tmp_path / "usim").write_text('network={\nkey_mgmt=IEEE8021X\neap=AKA\npcsc=""\npin="2468"\n}\n')
    reader = next(one.name for one in readers() if one.has_card and VIRTUAL in one.name)
    with subprocess.Popen(["hostapd", tmp_path / "hostapd"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            while "AP-ENABLED" not in (line := server.stdout.readline()):
                assert line, "hostapd does not come up"
            command = [
                "eapol_test",
                "-c",
                tmp_path / "usim",
                "-a127.0.0.1",
                "-p18120",
                "-ssecret",
                "-t20",
                f"-R{reader}",
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        finally:
            server.terminate()
            hlr.close()
    assert done.stdout.rstrip().endswith("SUCCESS"), done.stdout[-2000:]
    assert hlr.asked == [
        f"AKA-REQ-AUTH {account.imsi}",
        *[f"AKA-AUTS {account.imsi}", f"AKA-REQ-AUTH {account.imsi}"] * is_ahead,
    ]


# The command line -----------------------------------------------------------------------------------------------------


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imsphone.cli.main", *map(str, arguments)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=60)


def test_it_is_shown_looked_at_and_registered_from_the_command_line(lab: ServedLab, slot: Slot, tmp_path: Path) -> None:
    card = slot.insert(card_of(lab, pin="2468"))
    shown = run("card", VIRTUAL, "--pin", "env:CARD_PIN", "--json", CARD_PIN="2468")
    said = json.loads(shown.stdout)["card"]
    account = lab.network.accounts["alice"]
    assert (said["application"], said["impi"], said["pin"]) == ("ISIM", account.impi, "given")
    profile = tmp_path / "card.toml"
    profile.write_text(f'sim = "card:{VIRTUAL}"\npin = "env:CARD_PIN"\nlocal_host = "127.0.0.1"\n')
    looked = run("doctor", profile, CARD_PIN="2468")
    assert f"is {account.impi}, its PIN is given; it names the P-CSCF" in looked.stdout
    assert "answers by UDP" in looked.stdout
    registered = run("register", profile, CARD_PIN="2468")
    assert registered.returncode == 0, registered.stderr
    assert f"Registered as sip:alice@{lab.network.realm}" in registered.stdout
    card.power()
    wrong = run("card", VIRTUAL, "--pin", "env:CARD_PIN", CARD_PIN="1111")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (4, 1)
    assert "2 tries are left" in wrong.stderr
    keys = account.keys()
    assert keys is not None
    everything = "".join(one.stdout + one.stderr for one in (shown, looked, registered, wrong))
    assert not any(secret in everything for secret in ("2468", "1111", keys.k.hex(), keys.constant.hex()))


def test_who_has_no_card_puts_the_sim_of_a_profile_into_the_virtual_reader(lab: ServedLab, tmp_path: Path) -> None:
    home = {"IMSPHONE_HOME": str(tmp_path / "home")}
    alice = write_profiles(lab.network, tmp_path)["alice"]
    card = tmp_path / "card.toml"
    card.write_text(f'sim = "card:{VIRTUAL}"\nlocal_host = "127.0.0.1"\n')
    command = [sys.executable, "-m", "imsphone.cli.main", "card", "--insert", str(alice)]
    with subprocess.Popen(command, env=os.environ | home, stdout=subprocess.PIPE, text=True) as inserted:
        assert inserted.stdout is not None
        assert "is in the virtual reader" in inserted.stdout.readline()
        until(lambda: Slot().has_card)
        registered = run("register", card, **home)
        assert registered.returncode == 0, registered.stderr
        inserted.send_signal(signal.SIGINT)
        assert inserted.wait(10) == 0
    until(lambda: not Slot().has_card)
    lost = run("register", card, **home)
    assert (lost.returncode, "no card is in" in lost.stderr) == (4, True)
