"""What IPsec towards the P-CSCF needs of this machine, looked at before anything is sent (`imsphone doctor --sa`).

ESP          a raw socket: this program's own, or from imsphone-sa
kernel       the other way: a kernel that knows ESP, and leave to set it up; our own or imsphone-sa's
taken        which of the two ways will be used (ipsec_by)
TCP          a TUN device for TCP inside ESP, likewise; without one UDP serves, unless the profile insists on TCP
route        an address of ours that reaches the P-CSCF, since the associations are bound to it
port         the own SIP port, where the profile names one
suites       what the profile lets us offer
"""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from imsphone.cli.doctor import Finding
from imsphone.errors import ImsPhoneError, NetworkError

if TYPE_CHECKING:
    from imsphone.profile import Profile

ANY_HOST = "127.0.0.1"  # enough to learn whether this user may at all


async def protection_findings(profile: Profile | None) -> list[Finding]:
    """One finding for each thing that IPsec needs; of the machine alone where there is no profile."""
    from imsphone.profile import Profile

    if profile is None:
        return _ways(ANY_HOST, Profile(security="ipsec"))
    route = await _route(profile)
    local = profile.local_host or (None if isinstance(route, Finding) else route)
    found = _ways(local or ANY_HOST, replace(profile, local_host=local, security="ipsec"))
    if isinstance(route, Finding):
        found.append(route)
    else:
        found.append(Finding("route", "good", f"the P-CSCF is reached from {route}"))
    if profile.local_port:
        found.append(_port(local or ANY_HOST, profile.local_port))
    found.append(_wish(profile))
    return found


def _ways(host: str, profile: Profile) -> list[Finding]:
    """Both, and which one is taken; what the other one lacks is no harm then."""
    from imsphone.net.choice import expect_kernel, way_of
    from imsphone.net.kernel import KernelEsp

    own = _capability(host)
    try:
        expect_kernel(profile)
        kernel = Finding("kernel", "good", "its ESP can be set up from here")
    except NetworkError as error:
        kernel = Finding("kernel", "bad", str(error))
    is_kernel = way_of(profile) is KernelEsp
    used, other = (kernel, own) if is_kernel else (own, kernel)
    if other.verdict == "bad":
        other = replace(other, verdict="limited")
    who = "the kernel makes ESP" if is_kernel else "imsphone makes ESP itself"
    taken = Finding("taken", used.verdict, f'{who} (ipsec_by = "{profile.ipsec_by}")')
    if is_kernel:
        tcp = Finding("TCP", "good", "the kernel's ESP carries it like UDP")
    else:
        tcp = _connections(host, insists=profile.transport == "TCP")
    return [used, other, taken, tcp]


def _capability(host: str) -> Finding:
    from imsphone.net.esp import raw_socket
    from imsphone.net.privilege import open_raw

    try:
        open_raw(host).close()
    except OSError:
        pass
    else:
        return Finding("ESP", "good", "this program may open raw sockets")
    try:
        raw_socket(host).close()
    except NetworkError as error:
        return Finding("ESP", "bad", str(error))
    return Finding("ESP", "good", "imsphone-sa gives raw sockets")


def _connections(host: str, *, insists: bool) -> Finding:
    """What TCP inside ESP would need."""
    from imsphone.net.privilege import ask_for_tun
    from imsphone.net.tun import close_tun, open_tun, refusal

    whose = "this program may open TUN devices"
    try:
        try:
            close_tun(open_tun(host))
        except PermissionError:
            close_tun(ask_for_tun(host))
            whose = "imsphone-sa gives TUN devices"
    except (NetworkError, OSError) as error:
        lack = str(error) if isinstance(error, NetworkError) else f"{host}: {refusal(error)}"
        return Finding("TCP", "bad", lack) if insists else Finding("TCP", "limited", f"{lack}; UDP serves in its place")
    return Finding("TCP", "good", whose)


async def _route(profile: Profile) -> str | Finding:
    """Our address towards the P-CSCF, or what is in the way."""
    from imsphone.ims.identity import Identity
    from imsphone.net.addresses import local_host
    from imsphone.net.resolver import Resolver

    host, port = profile.pcscf_endpoint or (Identity.of(profile).home_domain, None)
    resolver = Resolver((str(profile.dns_address),) if profile.dns_address else ())
    target = resolver.literal(host, port, "UDP")
    try:
        targets = (target,) if target else (await resolver.lookup(host, port, "UDP")).targets
    except (ImsPhoneError, OSError) as error:
        return Finding("route", "bad", str(error))
    for one in targets:
        if (local := local_host(one.host)) is not None:
            return local
    if not targets:
        return Finding("route", "bad", f"nothing in the DNS leads to {host}: name a P-CSCF in the profile (pcscf)")
    tried = ", ".join(one.host for one in targets)
    return Finding("route", "bad", f"no route leads to {tried}: is the network up that the P-CSCF is in?")


def _port(host: str, port: int) -> Finding:
    from imsphone.net.addresses import family_of

    with socket.socket(family_of(host) or socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding("port", "bad", f"{host}:{port} cannot be had ({error.strerror}): change local_port")
    return Finding("port", "good", f"{host}:{port} is free")


def _wish(profile: Profile) -> Finding:
    if profile.security == "none":
        sentence = 'the profile registers in the clear: security = "ipsec" asks for IPsec'
        return Finding("suites", "limited", sentence)
    return Finding("suites", "good", ", ".join(profile.security_suites))
