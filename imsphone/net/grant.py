"""What `imsphone-sa` lets one client have in the kernel, each request checked (`imsphone.net.delegation`).

    {"do": "add", "number": 0, "lifetime_s": 240, "suite", "hosts", "ends", "keys"}
        ─▶ one of our addresses? one peer, not this host? SPIs, ports, keys in range? new? free? ─▶ databases
    {"do": "prolong", "number": 0, "lifetime_s": 600}, counted, remove ─▶ only what this connection added
    the end of the connection, also by a crash ─▶ all that it added is removed

Keys go into the kernel, stay in memory as long as their set, for the kernel wants them again to prolong it, and go
nowhere else. What a user can do here is to demand ESP in transport mode between one peer and ports of this host that
are not root's and that no other program has at the time. Should `imsphone-sa` itself end, what stands stays till its
lifetime is over, for without it the user's program would speak in the clear.
"""

from __future__ import annotations

import json
import socket
from ipaddress import ip_address
from typing import Any

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import LEAST_SPI, SUITES, Associations, Ends, Keys
from imsphone.machine import Address
from imsphone.net.addresses import family_of
from imsphone.net.databases import Databases, KernelDatabases, expect_distance

GREETING = b"sa\n"
MOST_BYTES = 2048  # of a request
_MOST_SETS = 16
_LONGEST_S = 1 << 33  # a registration may ask for 2 ** 32 - 1
_FIRST_USER_PORT = 1024
_SUITES = {str(suite): suite for suite in SUITES}


def serve(connection: socket.socket) -> None:
    """One client from its greeting to its end; then nothing of it is left in the kernel."""
    with connection:
        try:
            databases = KernelDatabases()
        except PermissionError:
            connection.sendall(b"no: it has no CAP_NET_ADMIN itself: start it by sudo, or as a service that has it\n")
            return
        except NetworkError as error:
            connection.sendall(f"no: {error}\n".encode())
            return
        grant = Grant(databases)
        try:
            connection.settimeout(None)
            connection.sendall(b"ok\n")
            with connection.makefile("rb") as lines:
                while (line := lines.readline(MOST_BYTES)).endswith(b"\n"):
                    connection.sendall(grant.answer(line))
        except OSError:
            pass  # it crashed
        finally:
            databases.close()


class Grant:
    """What one client has in the kernel, and the answers to what it asks. Whatever it asks, nothing is raised."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._sets: dict[int, Associations] = {}

    def answer(self, line: bytes) -> bytes:
        """One line for one line."""
        try:
            return json.dumps(self._done(json.loads(line))).encode() + b"\n"
        except NetworkError as error:
            return json.dumps({"no": str(error)}).encode() + b"\n"
        except (ValueError, TypeError, KeyError, RecursionError):
            return b'{"no": "this is no request that imsphone-sa knows"}\n'

    def _done(self, request: dict[str, Any]) -> dict[str, Any]:
        do, number = request["do"], _whole(request["number"], 0, 1 << 31)
        if do == "add":
            if number in self._sets or len(self._sets) >= _MOST_SETS:
                raise NetworkError(f"{_MOST_SETS} sets of associations are the most, each with a number of its own")
            wanted = _checked(request)
            in_use = {local for one in self._sets.values() for local in (one.own_client, one.own_server)}
            _expect_free({wanted.own_client, wanted.own_server} - in_use)
            self._databases.add(wanted, _whole(request["lifetime_s"], 1, _LONGEST_S))
            self._sets[number] = wanted
            return {}
        if do == "expect":
            self._databases.expect_esp(bool(request["is_v6"]))
            return {}
        held = self._sets[number]
        if do == "prolong":
            self._databases.prolong(held, _whole(request["lifetime_s"], 1, _LONGEST_S))
        elif do == "remove":
            self._databases.remove(self._sets.pop(number))
        elif do == "counted":
            return {"counted": [[one, *numbers] for one, *numbers in self._databases.counted(held)]}
        else:
            raise ValueError(do)
        return {}


def _checked(request: dict[str, Any]) -> Associations:
    """What is to be added. Raises NetworkError, ValueError, TypeError or KeyError where that is not for this user."""
    suite = _SUITES[request["suite"]]
    hosts = [_host(host) for host in request["hosts"]]
    own_host, peer_host = hosts
    if family_of(own_host) != family_of(peer_host):
        raise NetworkError(f"{own_host} and {peer_host} are of two kinds")
    own_numbers, peer_numbers = request["ends"]
    own, peer = _ends(_FIRST_USER_PORT, *own_numbers), _ends(1, *peer_numbers)
    keys = Keys(*(bytes.fromhex(key) for key in request["keys"]))
    fitting = Keys.of(suite, bytes(16), bytes(16))
    if [len(key) for key in _parts(keys)] != [len(key) for key in _parts(fitting)]:
        raise NetworkError(f"these are no keys for {suite}")
    wanted = Associations(suite, own_host, peer_host, own, peer, keys)
    _expect_ours(own_host)
    expect_distance(wanted)
    return wanted


def _ends(least_port: int, spi_c: Any, spi_s: Any, port_c: Any, port_s: Any) -> Ends:
    spis = (_whole(spi, LEAST_SPI, (1 << 32) - 1) for spi in (spi_c, spi_s))
    ports = (_whole(port, least_port, 65535) for port in (port_c, port_s))
    ends = Ends(*spis, *ports)
    if ends.spi_c == ends.spi_s or ends.port_c == ends.port_s:
        raise NetworkError("two SPIs or two ports of one side are the same")
    return ends


def _parts(keys: Keys) -> tuple[bytes, bytes, bytes]:
    return keys.integrity, keys.encryption, keys.salt


def _host(text: str) -> str:
    address = ip_address(text) if isinstance(text, str) and "%" not in text else None
    if address is None or address.is_unspecified or address.is_multicast or address.is_loopback:
        raise NetworkError("no address of one host that ESP reaches")
    return str(address)


def _expect_ours(host: str) -> None:
    with socket.socket(family_of(host) or socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            raise NetworkError(f"{host} is no address of this host") from None


def _expect_free(ends: set[Address]) -> None:
    """The sockets come after the associations; who is at a port already is somebody else, and would be cut off."""
    for end in ends:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(family_of(end.host) or socket.AF_INET, kind) as probe:
                if kind == socket.SOCK_STREAM:  # of a connection that has ended, only the waiting may be left
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(end)
                except OSError:
                    raise NetworkError(f"port {end.port} of {end.host} is taken by another program") from None


def _whole(number: Any, least: int, most: int) -> int:
    """Lifetimes come with a fraction; it is cut."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not least <= number <= most:
        raise NetworkError(f"a number is not from {least} to {most}")
    return int(number)
