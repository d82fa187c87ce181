"""Our ESP against Linux's: a user-mode guest has the associations in its kernel and sends back what comes inside them.

    this host, in a network namespace                     guest (linux.uml)
    Shield, EspWire ── ESP over a tap device ───────────▶ xfrm ──▶ echo.py on 6100 + n
                    ◀──────────────────────────────────── xfrm ◀── from 5100 + n

The kernel here need not know ESP. Nothing of the host's own network is touched, and the guest cannot write to its disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imsphone.ipsec.sa import SUITES, Keys, Suite

HERE = Path(__file__).parent / "esp"
NAMESPACE = "imsphone-esp"
HOSTS = (("10.93.0.2", "10.93.0.1"), ("fd93::2", "fd93::1"))
CK, IK = bytes(range(16)), bytes(range(16, 32))
UP_S = 60.0

Question = Callable[..., int]


def _missing() -> str | None:
    if os.geteuid() != 0:
        return "a guest with a network of its own needs root"
    for program, package in (("linux.uml", "user-mode-linux"), ("ip", "iproute2"), ("modprobe", "kmod")):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin") is None:
            return f"{program} is missing: apt-get install {package}"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun for the guest's network"
    return None


pytestmark = [pytest.mark.interop, pytest.mark.skipif(_missing() is not None, reason=str(_missing()))]


def _transform(suite: Suite) -> str:
    """The algorithms of a state as `ip xfrm` wants them; RFC 4106 and 4543 keys end with their salt."""
    keys = Keys.of(suite, CK, IK)
    if suite.ealg == "aes-gcm":
        return f"aead 'rfc4106(gcm(aes))' 0x{(keys.encryption + keys.salt).hex()} 128"
    if suite.alg == "aes-gmac":
        return f"aead 'rfc4543(gcm(aes))' 0x{(keys.integrity + keys.salt).hex()} 128"
    name = "sha1" if suite.alg == "hmac-sha-1-96" else "md5"
    cipher = f"'cbc(aes)' 0x{keys.encryption.hex()}" if suite.ealg == "aes-cbc" else "'ecb(cipher_null)' ''"
    return f"auth-trunc 'hmac({name})' 0x{keys.integrity.hex()} 96 enc {cipher}"


def _setup() -> str:
    lines = ["set -e", "ip link set eth0 up", "ip addr add 10.93.0.1/24 dev eth0"]
    lines.append("ip -6 addr add fd93::1/64 dev eth0 nodad")
    for phone, guest in HOSTS:
        for number, suite in enumerate(SUITES):
            bits = 128 if ":" in phone else 32
            reqid = number + (100 if ":" in phone else 1)
            for source, target, spi, ports, direction in (
                (phone, guest, 5000 + number, (40000 + 2 * number, 6100 + number), "in"),
                (guest, phone, 3000 + number, (5100 + number, 40001 + 2 * number), "out"),
            ):
                lines.append(
                    f"ip xfrm state add src {source} dst {target} proto esp spi {spi} reqid {reqid} mode transport "
                    f"replay-window 32 {_transform(suite)}"
                )
                lines.append(
                    f"ip xfrm policy add src {source}/{bits} dst {target}/{bits} proto udp sport {ports[0]} "
                    f"dport {ports[1]} dir {direction} "
                    f"tmpl src {source} dst {target} proto esp reqid {reqid} mode transport"
                )
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Question]:
    """Asks our side, which runs beside the guest, and gives the number of right answers."""
    folder = tmp_path_factory.mktemp("esp")
    (folder / "setup.sh").write_text(_setup())
    shutil.copy(HERE / "echo.py", folder)
    shutil.copy(HERE / "init.sh", folder)
    (folder / "init.sh").chmod(0o755)
    folder.chmod(0o755)
    subprocess.run(["ip", "netns", "del", NAMESPACE], capture_output=True)
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    inside = ["ip", "netns", "exec", NAMESPACE]
    for command in (
        "ip link set lo up",
        "ip tuntap add dev tap0 mode tap",
        "ip addr add 10.93.0.2/24 dev tap0",
        "ip link set tap0 up",
        "ip -6 addr add fd93::2/64 dev tap0 nodad",
    ):
        subprocess.run([*inside, *command.split()], check=True)
    log = (folder / "guest.log").open("wb")
    guest = subprocess.Popen(
        [
            *(*inside, "linux.uml", "mem=160M", f"umid=esp{os.getpid()}", "rootfstype=hostfs", "rootflags=/", "ro"),
            *(f"init={folder}/init.sh", f"SA_DIR={folder}", f"SA_PYTHON={sys.executable}", "eth0=tuntap,tap0"),
            *("con=null", "con0=null,fd:1", "quiet"),
        ],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    phone = subprocess.Popen(
        [*inside, sys.executable, str(HERE / "phone.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert phone.stdin
    assert phone.stdout

    def asked(**question: object) -> int:
        assert phone.stdin
        assert phone.stdout
        phone.stdin.write(json.dumps(question) + "\n")
        phone.stdin.flush()
        return int(json.loads(phone.stdout.readline())["answers"])

    try:
        end = time.monotonic() + UP_S
        while b"the guest is up" not in (folder / "guest.log").read_bytes():
            assert guest.poll() is None, (folder / "guest.log").read_text(errors="replace")
            assert time.monotonic() < end, (folder / "guest.log").read_text(errors="replace")
            time.sleep(0.1)
        yield asked
    finally:
        phone.stdin.close()
        phone.wait(10)
        phone.stdout.close()
        os.killpg(guest.pid, 9)
        guest.wait(10)
        log.close()
        subprocess.run(["ip", "netns", "del", NAMESPACE], check=False)


every_suite = pytest.mark.parametrize(("number", "suite"), list(enumerate(map(str, SUITES))))
every_family = pytest.mark.parametrize(("host", "peer"), HOSTS)


@every_family
@every_suite
def test_the_kernel_opens_what_we_seal_and_we_open_what_it_seals(
    ask: Question, host: str, peer: str, number: int, suite: str
) -> None:
    for length in (1, 500, 1400, 4000):  # the last one in pieces
        assert ask(suite=suite, host=host, peer=peer, number=number, key="good", length=length) == 1


@every_suite
def test_the_kernel_answers_a_packet_once_however_often_it_comes(ask: Question, number: int, suite: str) -> None:
    host, peer = HOSTS[0]
    assert ask(suite=suite, host=host, peer=peer, number=number, key="good", length=100, again=True) == 1


@every_suite
def test_the_kernel_is_silent_to_another_key(ask: Question, number: int, suite: str) -> None:
    host, peer = HOSTS[0]
    assert ask(suite=suite, host=host, peer=peer, number=number, key="other", length=100) == 0
