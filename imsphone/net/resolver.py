"""From a name to targets: which transport, host and port to try, in which order (RFC 3263).

    literal, or name with port ─────────────────────────────▶ AAAA, A
    name ──▶ NAPTR ──▶ SIP+D2U, SIP+D2T by order, preference ┐
               └ none ──▶ _sip._udp, _sip._tcp ──────────────┴──▶ SRV ──▶ by priority, by lot of weight ──▶ AAAA, A
                                                                   └ none ──▶ UDP 5060 ──▶ AAAA, A

A P-CSCF known by its name is found the same way (TS 24.229 9.2.1). For TLS, and for it alone, it is SIPS+D2T,
_sips._tcp and port 5061: who wants it takes nothing less, and who does not want it may have no certificates to check.

The questions leave from this process's own sockets, one datagram each and by TCP where the answer was cut, so that
they stand in the trace like everything else. The whole lookup has one budget of seconds; what is known when it runs
out is the answer, with the list of what was asked.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver

from imsphone.machine import Address, Flow, Transport
from imsphone.net.addresses import family_of, from_socket, parse_endpoint, to_socket

SIP_PORT = 5060
SIPS_PORT = 5061
MOST_TARGETS = 16
_DNS_PORT = 53
_EDNS_BYTES = 1232
# The services of NAPTR, where SRV is without one, and their transport.
_SERVICES: dict[str, tuple[str, Transport]] = {"SIP+D2U": ("_sip._udp", "UDP"), "SIP+D2T": ("_sip._tcp", "TCP")}
_SECURE: dict[str, tuple[str, Transport]] = {"SIPS+D2T": ("_sips._tcp", "TLS")}
_HOSTS = Path("/etc/hosts")

Wiretap = Callable[[Literal["sent", "received"], Flow, bytes], None]


class Target(NamedTuple):
    """Where to send: `host` is an IP literal."""

    transport: Transport
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Resolution:
    """`targets`, best first, and what was asked ("NAPTR ims.example: none"), for the sentence of a failure."""

    targets: tuple[Target, ...]
    tried: tuple[str, ...] = ()


class Resolver:
    """Asks `servers` ("127.0.10.53:5053"; empty: those of the system, and its hosts file first).

    `timeout_s` bounds the whole of one lookup, `attempt_s` one datagram's answer. `lot(n)` draws from 0..n for the
    weights of SRV. Raises ValueError where a server is no address.
    """

    def __init__(
        self,
        servers: Iterable[str] = (),
        *,
        timeout_s: float = 4.0,
        attempt_s: float = 1.0,
        lot: Callable[[int], int] = lambda most: random.randint(0, most),
        hosts: Path = _HOSTS,
    ) -> None:
        self._servers = tuple(parse_endpoint(server, _DNS_PORT) for server in servers)
        self._is_system = not self._servers
        self._timeout_s = timeout_s
        self._attempt_s = attempt_s
        self._lot = lot
        self._hosts = hosts

    def literal(self, host: str, port: int | None = None, transport: Transport | None = None) -> Target | None:
        """The target that an IP literal is by itself, None where `host` is a name (RFC 3263 4.1, 4.2)."""
        if family_of(host := host.removeprefix("[").removesuffix("]")) is None:
            return None
        return Target(transport or "UDP", host, port or _port(transport))

    async def lookup(
        self, host: str, port: int | None = None, transport: Transport | None = None, wiretap: Wiretap | None = None
    ) -> Resolution:
        """Resolves `host`; never raises, whatever the servers say. `wiretap` sees every DNS packet."""
        if target := self.literal(host, port, transport):
            return Resolution((target,))
        search = _Search(self._servers or _system_servers(), self._attempt_s, self._lot, wiretap)
        if self._is_system:
            search.hosts = _read_hosts(self._hosts)
        try:
            async with asyncio.timeout(self._timeout_s):
                await search.run(host.rstrip("."), port, transport)
        except TimeoutError:
            search.tried.append(f"stopped after {self._timeout_s:g} s")
        return Resolution(tuple(dict.fromkeys(search.targets))[:MOST_TARGETS], tuple(search.tried))


class _Search:
    """One lookup under way: `targets` and `tried` grow as it goes."""

    def __init__(
        self, servers: tuple[Address, ...], attempt_s: float, lot: Callable[[int], int], wiretap: Wiretap | None
    ) -> None:
        self.targets: list[Target] = []
        self.tried: list[str] = []
        self.hosts: dict[str, list[str]] = {}
        self._servers = servers
        self._attempt_s = attempt_s
        self._lot = lot
        self._wiretap = wiretap

    async def run(self, host: str, port: int | None, transport: Transport | None) -> None:
        if not self._servers and not self.hosts:
            self.tried.append("no DNS server is configured")
        elif port or host.lower() in self.hosts:  # RFC 3263 4.2: with a port the name is a host's
            await self._add_addresses(host, port or _port(transport), transport or "UDP")
        elif transport == "TLS":
            await self._choose_transport(host, _SECURE, "TLS")
        elif transport:
            if not await self._add_services(f"_sip._{transport.lower()}.{host}", transport):
                await self._add_addresses(host, SIP_PORT, transport)
        else:
            await self._choose_transport(host, _SERVICES, "UDP")

    async def _choose_transport(
        self, host: str, services: dict[str, tuple[str, Transport]], otherwise: Transport
    ) -> None:
        """RFC 3263 4.1."""
        pointers = [
            (record.order, record.preference, services[service][1], record.replacement.to_text(omit_final_dot=True))
            for record in await self._ask(host, "NAPTR")
            if (service := record.service.decode("ascii", "replace").upper()) in services
            and record.flags.lower() == b"s"
        ]
        if pointers:
            ways = [(name, transport) for _, _, transport, name in sorted(pointers)]
            otherwise = ways[0][1]
        else:
            ways = [(f"{prefix}.{host}", transport) for prefix, transport in services.values()]
        found = [await self._add_services(name, transport) for name, transport in ways]
        if not any(found):  # 4.2: the host itself, by the transport that was determined
            await self._add_addresses(host, _port(otherwise), otherwise)

    async def _add_services(self, name: str, transport: Transport) -> bool:
        """True where there are SRV records, also if they say "not here" by naming the root (RFC 2782)."""
        records = await self._ask(name, "SRV")
        for record in in_order(records, self._lot)[:MOST_TARGETS]:
            if record.port and (target := record.target.to_text(omit_final_dot=True)) not in ("", "@", "."):
                await self._add_addresses(target, record.port, transport)
        return bool(records)

    async def _add_addresses(self, host: str, port: int, transport: Transport) -> None:
        known = self.hosts.get(host.lower())
        if known is None:
            six, four = await asyncio.gather(self._ask(host, "AAAA"), self._ask(host, "A"))
            known = self.hosts[host.lower()] = [record.address for record in (*six, *four)]
        self.targets += [Target(transport, address, port) for address in known]

    async def _ask(self, name: str, kind: str) -> list[Any]:
        """The records of that kind, through any CNAMEs; empty where there are none or nobody says."""
        if len(self.targets) >= MOST_TARGETS:
            return []
        said = "no DNS server answers"
        for server in self._servers[:3] * 2:
            try:
                query = dns.message.make_query(name, kind, use_edns=0, payload=_EDNS_BYTES)
                response = await self._exchange(query, server)
                found = response.resolve_chaining().answer
                said = "none" if response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) else ""
                said = said or dns.rcode.to_text(response.rcode())
            except TimeoutError:
                continue
            except OSError as error:
                said = f"{server}: {error.strerror or error}"
                continue
            except (ValueError, dns.exception.DNSException) as error:
                said = str(error) or type(error).__name__
                continue
            if found is not None:
                records = [record for record in found if record.rdtype == dns.rdatatype.from_text(kind)]
                self.tried.append(f"{kind} {name}: {len(records)}")
                return records
            if said == "none":
                break
        self.tried.append(f"{kind} {name}: {said}")
        return []

    async def _exchange(self, query: dns.message.QueryMessage, server: Address) -> dns.message.QueryMessage:
        response = await asyncio.wait_for(self._by_datagram(query, server), self._attempt_s)
        if response.flags & dns.flags.TC:
            response = await asyncio.wait_for(self._by_stream(query, server), self._attempt_s)
        return response

    async def _by_datagram(self, query: dns.message.QueryMessage, server: Address) -> dns.message.QueryMessage:
        loop = asyncio.get_running_loop()
        with socket.socket(family_of(server.host) or socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect(to_socket(server))  # so that only this server is heard, and ICMP too
            flow = Flow("UDP", from_socket(sock.getsockname()), server)
            await loop.sock_sendall(sock, self._sent(flow, query.to_wire()))
            while True:
                data = await loop.sock_recv(sock, 65535)
                if response := self._response(flow, data, query):
                    return response

    async def _by_stream(self, query: dns.message.QueryMessage, server: Address) -> dns.message.QueryMessage:
        reader, writer = await asyncio.open_connection(*server)
        try:
            flow = Flow("TCP", from_socket(writer.get_extra_info("sockname")), server)
            wire = self._sent(flow, query.to_wire())
            writer.write(struct.pack("!H", len(wire)) + wire)
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            response = self._response(flow, await reader.readexactly(length), query)
        except EOFError as error:
            raise OSError("the answer was cut, and so was the connection") from error
        finally:
            writer.close()
        if response is None:
            raise OSError("an answer to another question")
        return response

    def _sent(self, flow: Flow, wire: bytes) -> bytes:
        if self._wiretap:
            self._wiretap("sent", flow, wire)
        return wire

    def _response(self, flow: Flow, data: bytes, query: dns.message.QueryMessage) -> dns.message.QueryMessage | None:
        """What `data` says, None where it is no answer to this question: a forgery or noise, to be waited past."""
        if self._wiretap:
            self._wiretap("received", flow, data)
        try:
            response = dns.message.from_wire(data, ignore_trailing=True, raise_on_truncation=False)
        except (dns.exception.DNSException, ValueError):
            return None
        return response if isinstance(response, dns.message.QueryMessage) and query.is_response(response) else None


def in_order(records: Iterable[Any], lot: Callable[[int], int]) -> list[Any]:
    """SRV records by priority, and within one priority by lot, weight being the chance (RFC 2782)."""
    ordered: list[Any] = []
    # Weight 0 stands first, so that it is drawn only where the lot is 0 too.
    left = sorted(records, key=lambda record: (record.priority, record.weight, record.target, record.port))
    while left:
        rivals = [record for record in left if record.priority == left[0].priority]
        drawn = lot(sum(record.weight for record in rivals))
        for record in rivals:
            drawn -= record.weight
            if drawn <= 0:
                break
        ordered.append(record)
        left = [other for other in left if other is not record]
    return ordered


def _port(transport: Transport | None) -> int:
    return SIPS_PORT if transport == "TLS" else SIP_PORT


def _system_servers() -> tuple[Address, ...]:
    try:
        resolver = dns.resolver.Resolver()
    except (dns.exception.DNSException, OSError):
        return ()
    return tuple(Address(str(server), resolver.port) for server in resolver.nameservers if family_of(str(server)))


def _read_hosts(path: Path) -> dict[str, list[str]]:
    """name → addresses of a hosts file, IPv6 first as from the DNS."""
    known: dict[str, list[str]] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return known
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        if family_of(address) is not None:
            for name in names:
                known.setdefault(name.lower(), []).append(address)
    return {name: sorted(dict.fromkeys(found), key=lambda host: ":" not in host) for name, found in known.items()}
