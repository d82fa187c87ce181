"""A TUN device through which the kernel's own TCP meets ESP of ours, and nothing else of this machine does.

    a socket at a protected port, bound to the device ──▶ kernel's TCP ──▶ IP packet ──▶ the device's descriptor
                                                      ◀──────────────── ◀──────────────

A socket that is bound to a device (SO_BINDTODEVICE) has its packets go there whatever the routes say, and hears nothing
from elsewhere. So there is no mark and no rule for ports: what is not bound to it does not see it. IPv6 looks for a
route all the same: a default route in a table of the device's own, and a rule that sends only who is bound to the
device there. All but that rule goes with the descriptor, also after a crash; a rule that stayed names a device that is
gone, and makes room for that of the next one of this name. The host takes no router advertisement from the device: by
one of these who has the descriptor would draw the IPv6 of every program of this host into it.

It needs CAP_NET_ADMIN. Who has none gets the descriptor from `imsphone-sa` (`imsphone.net.privilege`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from ipaddress import ip_address
from pathlib import Path

from imsphone.errors import NetworkError
from imsphone.machine import Address
from imsphone.net.addresses import family_of, to_socket

PATH = "/dev/net/tun"
MTU_BYTES = 1280  # IPv6's least, so that a segment inside ESP (57 octets more at most) is not cut on any usual path

# <linux/if_tun.h>, <linux/sockios.h>, <linux/if.h>
_TUNSETIFF, _TUNGETIFF = 0x400454CA, 0x800454D2
_IFF_TUN_BARE = 0x0001 | 0x1000  # whole IP packets and nothing before them
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFMTU, _UP = 0x8913, 0x8914, 0x8922, 1
_REQUEST = struct.Struct("=16sh22x")
_REQUEST_MTU = struct.Struct("=16si20x")
_PREFIX = "ims"
_NAMES = f"{_PREFIX}%d".encode()
_NOBODY = "192.0.0.8"  # RFC 7600: the address of who has none

# <linux/rtnetlink.h>, <linux/fib_rules.h>
_NEWADDR, _NEWROUTE, _NEWRULE, _DELRULE = 20, 24, 32, 33
_FIRST_TABLE = 332030
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_IFA_ADDRESS, _IFA_LOCAL, _OF_THE_HOST = 1, 2, 254
_OIF, _TABLE, _RULE_TABLE, _RULE_OIF_NAME = 4, 15, 15, 17
_REQUEST_ACK, _NEW = 0x005, 0x600  # NLM_F_REQUEST | ACK; EXCL | CREATE
_STATIC, _TO_TABLE, _UNICAST = 4, 1, 1


def open_tun(host: str) -> int:
    """The descriptor of a new device for TCP from and to `host`, one of this machine's addresses.

    Raises PermissionError where this process may not, NetworkError with the remedy where the machine cannot, OSError.
    """
    address = ip_address(host)
    with socket.socket(family_of(host) or socket.AF_INET, socket.SOCK_DGRAM) as control:
        control.bind(to_socket(Address(host, 0)))
        try:
            tun = os.open(PATH, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            remedy = "`modprobe tun`, or give the container that device"
            raise NetworkError(f"this machine has no {PATH} for TCP inside ESP: {remedy}") from None
        try:
            fcntl.ioctl(tun, _TUNSETIFF, _REQUEST.pack(_NAMES, _IFF_TUN_BARE))
            name = name_of(tun)
            fcntl.ioctl(control, _SIOCSIFMTU, _REQUEST_MTU.pack(name.encode(), MTU_BYTES))
            _trust_no_router(name)
            flags = _REQUEST.unpack(fcntl.ioctl(control, _SIOCGIFFLAGS, _REQUEST.pack(name.encode(), 0)))[1]
            fcntl.ioctl(control, _SIOCSIFFLAGS, _REQUEST.pack(name.encode(), flags | _UP))
            if address.version == 6:
                _add_route(name)
            else:
                _let_in(name, is_loopback=address.is_loopback)
        except BaseException:
            os.close(tun)
            raise
    return tun


def name_of(tun: int) -> str:
    """What the device of this descriptor is called."""
    name: bytes = _REQUEST.unpack(fcntl.ioctl(tun, _TUNGETIFF, bytes(_REQUEST.size)))[0]
    return name.rstrip(b"\0").decode()


def count_tuns() -> int:
    """How many such devices this machine has, whoever has their descriptors."""
    return sum(name.startswith(_PREFIX) for _, name in socket.if_nameindex())


def close_tun(tun: int) -> None:
    """The device goes with its descriptor, and the rule that leads to it, where this process may remove that."""
    try:
        name = name_of(tun)
    except OSError:  # somebody took the device away
        name = ""
    os.close(tun)
    if name:
        _remove_rule(name)


def _trust_no_router(name: str) -> None:
    """RFC 4861 6.3.4: an advertisement makes a default router of who sends it, with addresses and routes to that."""
    folder = Path("/proc/sys/net/ipv6/conf") / name
    if not folder.exists() or (folder / "disable_ipv6").read_text().strip() == "1":
        return  # no IPv6 there
    try:
        (folder / "accept_ra").write_text("0")
    except OSError:
        if (folder / "accept_ra").read_text().strip() != "0":
            raise NetworkError(f"{folder}/accept_ra has to be 0 for TCP inside ESP, and cannot be written") from None


def _let_in(name: str, *, is_loopback: bool) -> None:
    """IPv4 asks of what comes in whether the way back is the same, which it never is here. It is to ask only whether
    there is one, and does so on a device with an address. That a P-CSCF may be at this very host, on loopback even, it
    has to be told too.
    """
    address, index = ip_address(_NOBODY).packed, socket.if_nametoindex(name)
    head = _ADDRESS.pack(socket.AF_INET, 32, 0, _OF_THE_HOST, index)
    _tell(_NEWADDR, _NEW, head + _attribute(_IFA_LOCAL, address) + _attribute(_IFA_ADDRESS, address))
    folder = Path("/proc/sys/net/ipv4/conf")
    wanted = {"rp_filter": "2", "accept_local": "1"} | ({"route_localnet": "1"} if is_loopback else {})
    for key, value in wanted.items():
        path = folder / name / key
        try:
            path.write_text(value)
        except OSError:
            in_force = max((folder / which / key).read_text() for which in ("all", name))
            if is_loopback or (key == "rp_filter" and in_force.strip() == "1"):
                raise NetworkError(f"{path} has to be {value} for TCP inside ESP, and cannot be written") from None


# IPv6: a table of the device's own, and a rule that leads to it -------------------------------------------------------


def _add_route(name: str) -> None:
    route = _ROUTE.pack(socket.AF_INET6, 0, 0, 0, 0, _STATIC, 0, _UNICAST, 0)
    index, table = struct.pack("=I", socket.if_nametoindex(name)), struct.pack("=I", _table(name))
    _tell(_NEWROUTE, _NEW, route + _attribute(_OIF, index) + _attribute(_TABLE, table))
    _remove_rule(name)  # of a device that was called so and whose program crashed
    _tell(_NEWRULE, _NEW, _rule(name))


def _remove_rule(name: str) -> None:
    with contextlib.suppress(OSError):
        _tell(_DELRULE, 0, _rule(name))


def _rule(name: str) -> bytes:
    rule = _ROUTE.pack(socket.AF_INET6, 0, 0, 0, 0, 0, 0, _TO_TABLE, 0)
    table = struct.pack("=I", _table(name))
    return rule + _attribute(_RULE_TABLE, table) + _attribute(_RULE_OIF_NAME, name.encode() + b"\0")


def _table(name: str) -> int:
    return _FIRST_TABLE + int(name.removeprefix(_PREFIX))


def _attribute(kind: int, data: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(data), kind) + data + bytes(-len(data) % 4)


def _tell(kind: int, flags: int, body: bytes) -> None:
    """One order to the kernel. Raises OSError where it refuses."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_ACK | flags, 1, 0) + body)
        (negative,) = struct.unpack_from("=i", netlink.recv(4096), _HEADER.size)
        if negative:
            raise OSError(-negative, os.strerror(-negative))


def refusal(error: OSError) -> str:
    """Why there is no device, and what to do."""
    if error.errno == errno.EADDRNOTAVAIL:
        return "this is no address of this host"
    return f"no TUN device for TCP inside ESP: {os.strerror(error.errno or 0)}"
