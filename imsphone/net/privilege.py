"""`imsphone-sa`: the one program with a privilege, which lends it to one user for ESP and for nothing else.

    imsphone (ordinary user)                       imsphone-sa --user NAME (CAP_NET_RAW, CAP_NET_ADMIN)
       connect ──────────────────────────────────▶ who is it? (SO_PEERCRED): NAME or root, else nothing
       "esp 192.0.2.7\\n" ─────────────────────────▶ an address of this host? socket, bind
       "tun 192.0.2.7\\n" ─────────────────────────▶ the same, then a TUN device for TCP (`imsphone.net.tun`)
       ◀──────────────── "ok\\n" + the descriptor    or "no: …\\n"          SCM_RIGHTS, unix(7)
       "sa\\n" ───────────────────────────────────▶ associations in the kernel: `imsphone.net.grant` (CAP_NET_ADMIN)

With the descriptors no key comes near it: packets are sealed and opened by the user's own process. What the user gets
is a raw socket bound to one address, and devices that hand IP packets to this host, 32 at most. Who has such a socket
can send whatever IP packet he likes, from any address (IP_HDRINCL asks for no privilege any more), and he can keep a
device (nor does TUNSETPERSIST); so they are given to the one user that is named and to nobody else, and the program is
started by who may decide that. The kernel's own ESP is for who has `ipsec_by = "kernel"`; then keys pass through here.
Without CAP_NET_ADMIN it gives the socket only: neither TCP nor the kernel's ESP is to be had.

    sudo imsphone-sa --user alice            or as a service with AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import re
import socket
import struct
import sys
import threading
from ipaddress import ip_address
from pathlib import Path

from imsphone.errors import NetworkError
from imsphone.machine import Address
from imsphone.net.addresses import family_of, to_socket
from imsphone.net.grant import GREETING, serve
from imsphone.net.tun import count_tuns, open_tun, refusal
from imsphone.net.xfrm import Xfrm

SOCKET_PATH = "/run/imsphone-sa.sock"
ENVIRONMENT = "IMSPHONE_SA"  # another path, for tests and for who may not write to /run

_ESP = 50
_REQUEST = re.compile(rb"(esp|tun) ([0-9a-fA-F.:]{2,45})\n")
_MOST_BYTES = 64
_PATIENCE_S = 2.0
_MOST_CLIENTS = 32
_MOST_TUNS = 32  # a phone has one for each of its addresses
_CREDENTIALS = struct.Struct("=iII")  # pid, uid, gid


def open_raw(host: str) -> socket.socket:
    """A raw socket for ESP bound to `host`. Raises OSError, PermissionError where this process may not."""
    family = family_of(host)
    if family is None:
        raise OSError(22, "no IP address")
    raw = socket.socket(family, socket.SOCK_RAW, _ESP)
    try:
        raw.bind(to_socket(Address(host, 0)))
    except OSError:
        raw.close()
        raise
    return raw


def ask_for_socket(host: str, path: str | None = None) -> socket.socket:
    """The same from `imsphone-sa`. Raises NetworkError with what to do."""
    return socket.socket(fileno=_ask("esp", host, path))


def ask_for_tun(host: str, path: str | None = None) -> int:
    """The descriptor of a TUN device from `imsphone-sa`. Raises NetworkError with what to do."""
    return _ask("tun", host, path)


def _ask(what: str, host: str, path: str | None) -> int:
    lack, privilege = ("send ESP", "CAP_NET_RAW") if what == "esp" else ("open a TUN device", "CAP_NET_ADMIN")
    path = path or os.environ.get(ENVIRONMENT, SOCKET_PATH)
    remedy = f"start `sudo imsphone-sa --user {user_name()}` beside it, or give this program {privilege}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE_S)
        try:
            connection.connect(path)
            connection.sendall(f"{what} {host}\n".encode())
            said, descriptors, _, _ = socket.recv_fds(connection, 256, 1)
        except OSError:
            raise NetworkError(f"this user may not {lack} (no {privilege}): {remedy}") from None
    if said == b"ok\n" and descriptors:
        return descriptors[0]
    for descriptor in descriptors:
        os.close(descriptor)
    why = said.decode("utf-8", "replace").removeprefix("no: ").strip() or "it says nothing"
    raise NetworkError(f"imsphone-sa at {path} may not {lack} either: {why}")


def main() -> None:
    """`imsphone-sa --user NAME`: serves until it is ended."""
    parser = argparse.ArgumentParser(
        prog="imsphone-sa", description="Opens sockets for ESP for one user, so that imsphone needs no privilege."
    )
    parser.add_argument("--user", required=True, help="the user who gets them")
    parser.add_argument("--socket", default=SOCKET_PATH, help=f"where to listen (default: {SOCKET_PATH})")
    options = parser.parse_args()
    try:
        uid = pwd.getpwnam(options.user).pw_uid
    except KeyError:
        sys.exit(f"imsphone-sa: there is no user {options.user}")
    try:
        open_raw("127.0.0.1").close()
    except PermissionError:
        sys.exit("imsphone-sa: it needs CAP_NET_RAW itself: start it by sudo, or as a service that has it")
    try:
        with contextlib.closing(Xfrm()) as kernel:
            kernel.expect_permission()
    except PermissionError:
        sys.stderr.write("imsphone-sa: without CAP_NET_ADMIN it gives sockets for ESP, but not the kernel's own ESP\n")
    except NetworkError as error:
        sys.stderr.write(f"imsphone-sa: {error}\n")
    try:
        listener = listen(options.socket, uid)
    except OSError as error:
        sys.exit(f"imsphone-sa: {options.socket}: {error.strerror}")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            serve_one(listener, uid)
    Path(options.socket).unlink(missing_ok=True)


def listen(path: str, uid: int) -> socket.socket:
    """The listener that this user can reach and others cannot."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    Path(path).unlink(missing_ok=True)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
    if os.geteuid() == 0:
        os.chown(path, uid, -1, follow_symlinks=False)  # in a folder of his he may have put a link there by now
    listener.listen(8)
    return listener


def serve_one(listener: socket.socket, uid: int) -> None:
    """One connection: a request, its answer, the end; or a client of the kernel's associations, who gets a thread.
    Whatever comes in, nothing is raised."""
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(_PATIENCE_S)
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            if _CREDENTIALS.unpack(peer)[1] not in (0, uid):
                return
            request = connection.recv(_MOST_BYTES)
            if request == GREETING and threading.active_count() < _MOST_CLIENTS:
                threading.Thread(target=serve, args=(connection.dup(),), daemon=True).start()
                return
            raw = _opened(request)
            if isinstance(raw, str):
                connection.sendall(f"no: {raw}\n".encode())
                return
            try:
                socket.send_fds(connection, [b"ok\n"], [raw])
            finally:
                os.close(raw)


def _opened(request: bytes) -> int | str:
    """The descriptor that is asked for, or why there is none."""
    found = _REQUEST.fullmatch(request)
    if found is None:
        return "ask as in: esp 192.0.2.7"
    host = found[2].decode()
    try:
        address = ip_address(host)
    except ValueError:
        return f"{host} is no IP address"
    if address.is_unspecified or address.is_multicast:
        return f"{host} is no address of one host"
    if found[1] == b"tun" and count_tuns() >= _MOST_TUNS:
        return f"there are {_MOST_TUNS} TUN devices for TCP inside ESP already: end other phones"
    try:
        return open_raw(host).detach() if found[1] == b"esp" else open_tun(host)
    except NetworkError as error:
        return str(error)
    except PermissionError:
        return f"it has no {'CAP_NET_RAW' if found[1] == b'esp' else 'CAP_NET_ADMIN'} itself"
    except OSError as error:
        return f"{host}: {error.strerror if found[1] == b'esp' else refusal(error)}"


def user_name() -> str:
    """Who runs this program, as `imsphone-sa --user` wants it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
