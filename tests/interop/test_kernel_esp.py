"""Our ESP against Linux's: a user-mode guest has the associations in its kernel and sends back what comes inside them.

    this host, in a network namespace                     guest (linux.uml)
    Shield, EspWire ── ESP over a tap device ───────────▶ xfrm ──▶ echo.py on 6100 + n
                    ◀──────────────────────────────────── xfrm ◀── from 5100 + n
    Sealing ◀── TCP between 41000 + 2 n and 7100 + n ───▶ xfrm ◀─▶ stream.py, which calls back from 6100 + n

The kernel here need not know ESP. Nothing of the host's own network is touched, and the guest cannot write to its disk.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from imsphone.ipsec.sa import SUITES, Keys, Suite
from tests.interop.esp.guest import HERE, Guest, missing

HOSTS = (("10.93.0.2", "10.93.0.1"), ("fd93::2", "fd93::1"))
CK, IK = bytes(range(16)), bytes(range(16, 32))

Question = Callable[..., int]


pytestmark = [pytest.mark.interop, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


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


def _guest() -> str:
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
    lines += [
        line for phone, guest in HOSTS for number in range(len(SUITES)) for line in _connections(phone, guest, number)
    ]
    return "\n".join([*lines, f"{sys.executable} stream.py &", f"exec {sys.executable} echo.py", ""])


def _connections(phone: str, guest: str, number: int) -> list[str]:
    """The four associations that TCP needs, each with a policy that finds it by a number of its own."""
    lines, bits = [], 128 if ":" in phone else 32
    client, server = 41000 + 2 * number, 41001 + 2 * number
    for which, (source, target, spi, ports, direction) in enumerate(
        (
            (phone, guest, 15000 + number, (client, 7100 + number), "in"),
            (guest, phone, 12000 + number, (7100 + number, client), "out"),
            (guest, phone, 13000 + number, (6100 + number, server), "out"),
            (phone, guest, 14000 + number, (server, 6100 + number), "in"),
        )
    ):
        reqid = 1000 * (which + 1) + number + (100 if ":" in phone else 1)
        lines.append(
            f"ip xfrm state add src {source} dst {target} proto esp spi {spi} reqid {reqid} mode transport "
            f"replay-window 32 {_transform(SUITES[number])}"
        )
        lines.append(
            f"ip xfrm policy add src {source}/{bits} dst {target}/{bits} proto tcp sport {ports[0]} dport {ports[1]} "
            f"dir {direction} tmpl src {source} dst {target} proto esp reqid {reqid} mode transport"
        )
    return lines


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    folder = tmp_path_factory.mktemp("esp")
    for script in ("echo.py", "stream.py"):
        shutil.copy(HERE / script, folder)
    with Guest(folder, _guest(), ("10.93.0.2/24", "fd93::2/64")) as guest:
        yield guest


@pytest.fixture(scope="module")
def ask(guest: Guest) -> Iterator[Question]:
    """Asks our side, which runs beside the guest, and gives the number of right answers."""
    command = guest.beside(sys.executable, str(HERE / "phone.py"))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as phone:

        def asked(**question: object) -> int:
            assert phone.stdin
            assert phone.stdout
            phone.stdin.write(json.dumps(question) + "\n")
            phone.stdin.flush()
            return int(json.loads(phone.stdout.readline())["answers"])

        yield asked


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


@every_family
@every_suite
def test_connections_stand_between_our_device_and_its_tcp(
    guest: Guest, host: str, peer: str, number: int, suite: str
) -> None:
    command = guest.beside(sys.executable, str(HERE / "streams.py"), suite, host, peer, str(number))
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    there = [[7100 + number, 41000 + 2 * number], [6100 + number, 41001 + 2 * number]]
    assert json.loads(done.stdout) == {"ports": there, "refused": 0}
