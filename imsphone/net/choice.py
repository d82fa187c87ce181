"""Which of the two ways protects a phone's messages on this machine: what the profile says, else what works here.

    ipsec_by = "own"      net.sealing   ESP made here: wants a raw socket, and for TCP a TUN device
    ipsec_by = "kernel"   net.kernel    the kernel's: wants a kernel that knows ESP, and CAP_NET_ADMIN
    ipsec_by = "auto"     the first of these two that this machine can; docs/decisions/esp.md says why in this order

Both privileges can be lent by `imsphone-sa`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing

from imsphone.errors import NetworkError
from imsphone.net.addresses import family_of
from imsphone.net.delegation import open_databases
from imsphone.net.esp import raw_socket
from imsphone.net.kernel import KernelEsp
from imsphone.net.protection import Outlets, Protection
from imsphone.net.sealing import Sealing
from imsphone.net.tun import close_tun
from imsphone.net.tunnel import tun_for
from imsphone.profile import Profile

ANY_HOST = "127.0.0.1"  # enough to learn whether this user may at all


def way_of(profile: Profile) -> Callable[[Outlets], Protection]:
    """What makes this phone's protection. Sends nothing and leaves nothing in the kernel."""
    is_open = profile.ipsec_by == "auto" and profile.security != "none"
    if profile.ipsec_by == "kernel" or (is_open and not _works(expect_own, profile) and _works(expect_kernel, profile)):
        return KernelEsp
    return Sealing


def expect_way(profile: Profile) -> None:
    """Raises NetworkError where no way that the profile allows works here, with the remedy."""
    (expect_kernel if way_of(profile) is KernelEsp else expect_own)(profile)


def expect_own(profile: Profile) -> None:
    """Raises NetworkError where this user can have no raw socket for ESP, or no TUN device where TCP is wanted."""
    host = profile.local_host or ANY_HOST
    raw_socket(host).close()
    if profile.transport == "TCP":
        close_tun(tun_for(host))


def expect_kernel(profile: Profile) -> None:
    """Raises NetworkError where the kernel knows no ESP, or this user may not set it up."""
    is_v6 = family_of(profile.local_host or ANY_HOST) == socket.AF_INET6
    with closing(open_databases()) as databases:
        databases.expect_esp(is_v6)


def _works(expect: Callable[[Profile], None], profile: Profile) -> bool:
    try:
        expect(profile)
    except NetworkError:
        return False
    return True
