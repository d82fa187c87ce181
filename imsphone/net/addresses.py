"""Which of our addresses reaches whom.

A phone has many addresses and must name one of them in Via, Contact and SDP. The one that counts is the one the kernel
would write into the IP header, and the kernel tells: connect a UDP socket to the target (nothing is sent, only the
route is looked up) and ask for its own name.

    target 192.0.2.10 ──▶ routing table ──▶ wlan0 ──▶ source 192.0.2.77 ──▶ Via: SIP/2.0/UDP 192.0.2.77:5060
"""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from typing import Any

from imsphone.machine import Address

_DISCARD_PORT = 9  # any port does: no packet leaves


@lru_cache(maxsize=4096)
def family_of(host: str) -> socket.AddressFamily | None:
    """AF_INET or AF_INET6 of an IP literal (no brackets; a link-local one may carry its %zone), None of a name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return socket.AF_INET if version == 4 else socket.AF_INET6


def local_host(target: str) -> str | None:
    """The IP literal of ours from which the kernel would send to the literal `target`; None where no route leads.

    A link-local target (fe80::) needs its zone, as in `fe80::1%eth0`; so does the answer, and carries it.
    """
    family = family_of(target)
    if family is None:
        return None
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(to_socket(Address(target, _DISCARD_PORT)))
            return from_socket(probe.getsockname()).host
    except OSError:
        return None


def to_socket(address: Address) -> tuple[Any, ...]:
    """The address as `sendto` and `connect` take it: the zone of fe80::1%eth0 becomes the number of the interface.

    Raises OSError where there is no such interface.
    """
    host, _, zone = address.host.partition("%")
    if not zone:
        return address
    return host, address.port, 0, int(zone) if zone.isdigit() else socket.if_nametoindex(zone)


def from_socket(name: tuple[Any, ...]) -> Address:
    """The address that `recvfrom`, `accept` or `getsockname` gave, with its zone where it has one."""
    if len(name) == 4 and name[3]:
        return Address(f"{name[0]}%{socket.if_indextoname(name[3])}", name[1])
    return Address(name[0], name[1])


def parse_endpoint(text: str, default_port: int) -> Address:
    """`192.0.2.1`, `192.0.2.1:5053`, `2001:db8::1` or `[2001:db8::1]:5053` as an Address.

    Raises ValueError, with a sentence, where it is no IP literal or the port is none.
    """
    host, port = text.strip(), ""
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":")
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    number = int(port) if port.isascii() and port.isdigit() else default_port if not port else 0
    if family_of(host) is None or not 0 < number < 65536:
        raise ValueError(
            f"{text!r} is no address: write an IP address, or one with a port as in 192.0.2.1:{default_port}"
        )
    return Address(host, number)
