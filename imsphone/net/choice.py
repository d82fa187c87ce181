"""Which of the two ways protects a phone's messages on this machine: what the profile says, else what works here.

    ipsec_by = "own"      net.sealing   ESP made here: wants a raw socket
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
from imsphone.profile import Profile

ANY_HOST = "127.0.0.1"  # enough to learn whether this user may at all


def way_of(profile: Profile) -> Callable[[Outlets], Protection]:
    """What makes this phone's protection. Sends nothing and leaves nothing in the kernel."""
    if profile.ipsec_by == "auto" and profile.security != "none":
        try:
            expect_own(profile.local_host)
        except NetworkError:
            try:
                expect_kernel(profile.local_host)
            except NetworkError:
                return Sealing
            return KernelEsp
    return KernelEsp if profile.ipsec_by == "kernel" else Sealing


def expect_way(profile: Profile) -> None:
    """Raises NetworkError where neither way that the profile allows works here, with the remedy."""
    if profile.ipsec_by == "kernel" or way_of(profile) is KernelEsp:
        expect_kernel(profile.local_host)
    else:
        expect_own(profile.local_host)


def expect_own(host: str | None) -> None:
    """Raises NetworkError where this user can have no raw socket for ESP."""
    raw_socket(host or ANY_HOST).close()


def expect_kernel(host: str | None) -> None:
    """Raises NetworkError where the kernel knows no ESP, or this user may not set it up."""
    with closing(open_databases()) as databases:
        databases.expect_esp(is_v6=family_of(host or ANY_HOST) == socket.AF_INET6)
