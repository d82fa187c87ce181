"""A phone in a guest whose kernel knows ESP: the kernel's as its protection, and for comparison our own in its place.

    this host, in a network namespace                       guest (linux.uml)                      namespace "far" in it
    mirror.py, ESP of our own  ◀──── tap ────▶ phone: reflection.py, ESP by the kernel ◀── veth ──▶ mirror.py, kernel
    lab, P-CSCF with our own   ◀─────────────▶ two whole phones: phones.py             ◀──────────▶ lab, P-CSCF kernel

One start of the guest for everything; what its programs find they print, one line of JSON each, and the tests read it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from imsphone.ipsec.sa import SUITES
from tests.interop.esp.guest import HERE, Guest, missing

ROOT = HERE.parents[2]
LAB = (10, 20, 30, 40, 50, 53)
MIRRORS = {"10.93.0.2": "own", "fd93::2": "own", "10.94.0.2": "kernel", "fd94::2": "kernel"}
ALL_S = 200.0
FEW = (str(SUITES[0]), str(SUITES[5]))
GUEST = f"""\
cd {ROOT}
export PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1
PY={sys.executable} ESP=tests.interop.esp
ip link set eth0 up
ip netns add far
ip link add near type veth peer name far netns far
ip link set near up
ip -n far link set far up
ip -n far link set lo up
for last in 1 101 102; do
    ip addr add 10.93.0.$last/24 dev eth0; ip addr add fd93::$last/64 dev eth0 nodad
    ip addr add 10.94.0.$last/24 dev near; ip addr add fd94::$last/64 dev near nodad
done
for last in 2 {" ".join(map(str, LAB))}; do
    ip -n far addr add 10.94.0.$last/24 dev far; ip -n far addr add fd94::$last/64 dev far nodad
done
echo the guest is up
begin() {{ # LOG WORD COMMAND...: in the background, until it has said the word
    local log=$1 word=$2; shift 2
    "$@" >$log 2>&1 &
    begun=$!
    until grep -q "$word" $log; do sleep 0.1; done
}}
kept() {{ echo "FOUND [\\"$1\\", [$(ip xfrm state | grep -c ^src), $(ip xfrm policy | grep -c ^src)]]"; }}
begin /run/mirror "is up" ip netns exec far $PY -m $ESP.mirror kernel 10.94.0.2/10.94.0.1 fd94::2/fd94::1
begin /run/lab "is up" ip netns exec far $PY -m $ESP.lab kernel 10.94.0 fd94::
for way in kernel own; do
    $PY -m $ESP.reflection $way 10.93.0.1/10.93.0.2/own fd93::1/fd93::2/own \
        10.94.0.1/10.94.0.2/kernel fd94::1/fd94::2/kernel 2>&1
done
$PY -m $ESP.phones 10.93.0 udp {" ".join(map(str, SUITES))} 2>&1
$PY -m $ESP.phones 10.94.0 tcp {" ".join(FEW)} 2>&1
$PY -m $ESP.phones fd93:: udp {FEW[0]} 2>&1
$PY -m $ESP.phones fd94:: tcp {FEW[0]} 2>&1
kept "root, after"
begin /run/held holds $PY -m $ESP.reflection hold 10.93.0.1 10.93.0.2 2
kill -9 $begun
kept "root, killed"
sleep 3
kept "root, killed long since"
ip xfrm policy flush

# The ordinary user may read all files, wherever this repository and its Python lie, and nothing else.
$PY -c "from imsphone.net.privilege import main; main()" --user nobody --socket /run/sa 2>&1 &
until [ -S /run/sa ]; do sleep 0.1; done
USER="setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps +dac_read_search --ambient-caps +dac_read_search"
USER="$USER env IMSPHONE_SA=/run/sa"
begin /run/held holds $USER $PY -m $ESP.reflection hold 10.93.0.1 10.93.0.2 100
kept "user, holding"
kill -9 $begun
sleep 0.5
kept "user, killed"
$USER $PY -m $ESP.phones 10.93.0 udp {FEW[0]} 2>&1 | sed 's/FOUND \\["/&user /'
$USER $PY -m $ESP.phones 10.94.0 tcp {FEW[1]} 2>&1 | sed 's/FOUND \\["/&user /'
kept "user, after"
echo "that is all"
sleep 100
"""

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(2 * ALL_S),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the programs of the guest have found."""
    addresses = [address for last in (2, *LAB) for address in (f"10.93.0.{last}/24", f"fd93::{last}/64")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("xfrm")
        log = stack.enter_context((folder / "host.log").open("w"))
        guest = stack.enter_context(Guest(folder, GUEST, addresses))
        for program in (
            ("mirror", "own", "10.93.0.2/10.93.0.1", "fd93::2/fd93::1"),
            ("lab", "own", "10.93.0", "fd93::"),
        ):
            command = guest.beside(sys.executable, "-m", f"tests.interop.esp.{program[0]}", *program[1:])
            process = stack.enter_context(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            stack.callback(process.kill)
        end = time.monotonic() + ALL_S
        while "that is all" not in guest.said() and time.monotonic() < end:
            time.sleep(0.2)
        said = guest.said()
        lines = [line.removeprefix("FOUND ") for line in said.splitlines() if line.startswith("FOUND ")]
        found = dict(json.loads(line) for line in lines)
        yield found


every_way = pytest.mark.parametrize(("way", "first"), [("kernel", 0), ("own", 10)])


def back(word: str, transport: str, number: int, *, sharing: bool = False) -> str:
    """What the mirror is expected to send back in the set of this number, and between which ports."""
    ports = (6100 + number, 40000 + 2 * number) if transport == "TCP" else (5100 + number, 40001 + 2 * number)
    return f"{word[:20]} {len(word)} {transport} {ports[0]}-{ports[1] - 2 * sharing}"


@every_way
@pytest.mark.parametrize("mirror", MIRRORS)
@pytest.mark.parametrize("number", range(len(SUITES)), ids=map(str, SUITES))
def test_every_suite_there_and_back(found: dict[str, Any], way: str, first: int, mirror: str, number: int) -> None:
    transports = found[f"{way}: transports"] if MIRRORS[mirror] == "kernel" else ["UDP"]
    expected = [back("x" * length, one, first + number) for one in transports for length in (3, 500, 4000)]
    assert found[f"{way}: {SUITES[number]} {mirror}"] == expected
    # out of the client port, never the server port; in to the server port, and with TCP to the client port
    assert found[f"{way}: {SUITES[number]} {mirror}, counted"] == [True, False, "TCP" in transports, True]


def test_the_kernel_carries_tcp(found: dict[str, Any]) -> None:
    assert found["kernel: transports"] == ["UDP", "TCP"]


@every_way
def test_what_is_replayed_forged_or_in_the_clear_does_not_come_in(found: dict[str, Any], way: str, first: int) -> None:
    """SEC-09, SEC-10, SEC-11."""
    number = first + 6
    assert found[f"{way}: replay"] == [back("once", "UDP", number), back("replay", "UDP", number), "silence"]
    assert found[f"{way}: forge"] == [back("forge", "UDP", number), "silence", "silence"]
    assert found[f"{way}: plain"] == [back("plain", "UDP", number), "silence", "silence"]
    assert found[f"{way}: connect"] == back("not connected", "UDP", number)
    assert found[f"{way}: counted"] == [[0, 0, 0], [5, 1, 1]]
    assert found[f"{way}: wrong key"] == "silence"


@every_way
def test_nothing_leaves_a_protected_port_in_the_clear(found: dict[str, Any], way: str, first: int) -> None:
    """TS 33.203 7.4, as a packet socket beside it sees; also after the associations are gone, and with their end."""
    assert found[f"{way}: inside ESP"] is True
    clear, resets = found[f"{way}: in the clear"]
    assert clear == resets  # to the connection that a stranger wants: of our own, the kernel has nothing there
    assert way == "own" or not resets
    assert found[f"{way}: after"] == [40012 + 2 * first, True, "silence"]


@every_way
def test_the_old_set_and_the_new_one_work_side_by_side_until_the_old_one_goes(
    found: dict[str, Any], way: str, first: int
) -> None:
    """SEC-12, with one server port for both."""
    old, new = first + 8, first + 9
    for transport in found[f"{way}: transports"]:
        assert found[f"{way}: overlap {2000 + old} {transport}"] == back("both", transport, old)
        is_shared = transport == "UDP"
        assert found[f"{way}: overlap {2000 + new} {transport}"] == back("both", transport, new, sharing=is_shared)
        assert found[f"{way}: released {2000 + old} {transport}"] == "silence"
        assert found[f"{way}: released {2000 + new} {transport}"] == back("one", transport, new, sharing=is_shared)


def test_the_kernel_forgets_alone_when_the_lifetime_is_over(found: dict[str, Any]) -> None:
    """TS 24.229 5.1.1.5.1; a policy outlives its association, so that nothing slips out meanwhile."""
    assert found["kernel: two seconds, after one"] == [4, 4]
    assert found["kernel: two seconds, after more"] == [0, 0]
    assert found["kernel: closed"] == [0, 0]
    assert found["root, killed"] == [4, 16]
    assert found["root, killed long since"] == [0, 16]


def test_a_user_who_crashes_leaves_nothing(found: dict[str, Any]) -> None:
    assert found["user, holding"] == [4, 16]
    assert found["user, killed"] == [0, 0]


@pytest.mark.parametrize(
    ("who", "base", "transport", "suite"),
    [
        *(("", "10.93.0", "udp", str(suite)) for suite in SUITES),
        *(("", "10.94.0", "tcp", suite) for suite in FEW),
        ("", "fd93::", "udp", FEW[0]),
        ("", "fd94::", "tcp", FEW[0]),
        ("user ", "10.93.0", "udp", FEW[0]),
        ("user ", "10.94.0", "tcp", FEW[1]),
    ],
)
def test_a_whole_phone_registers_refreshes_calls_and_leaves(
    found: dict[str, Any], who: str, base: str, transport: str, suite: str
) -> None:
    said = found[f"{who}{base} {transport} {suite}"]
    assert "error" not in said, said["error"]
    assert said["alice registers"] == said["bob registers"] == said["alice refreshes"] == suite
    if suite == FEW[0] or who:
        assert said["alice calls the echo"] == said["alice calls bob"] == said["bob calls alice"] == "ended"
    assert said["passed"] is True
    assert said["alice deregisters"] is False
    assert said["transports"] == [transport.upper()]
    assert said["open"] == ["REGISTER"]  # the very first one


@pytest.mark.parametrize("who", ["root", "user"])
def test_phones_that_have_left_leave_nothing_in_the_kernel(found: dict[str, Any], who: str) -> None:
    assert found[f"{who}, after"] == [0, 0]
