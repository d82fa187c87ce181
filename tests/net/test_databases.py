"""What can be seen of the kernel's databases without a kernel that knows ESP.

With one: tests/interop/test_kernel_protection.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys
from imsphone.net.databases import KernelDatabases, expect_distance

KEYS = Keys.of(SUITES[0], bytes(16), bytes(16))


def between(own: str, peer: str) -> Associations:
    return Associations(SUITES[0], own, peer, Ends(1256, 1257, 40201, 40202), Ends(1300, 1301, 5101, 6101), KEYS)


@pytest.fixture
def databases() -> Iterator[KernelDatabases]:
    try:
        kernel = KernelDatabases()
    except PermissionError:
        pytest.skip("asks the kernel, which wants CAP_NET_ADMIN: run this as root")
    except NetworkError as error:
        pytest.skip(str(error))
    try:
        kernel.expect_esp(is_v6=False)
    except NetworkError:
        yield kernel
    else:
        pytest.skip("this kernel knows ESP: the interop tests say more")
    kernel.close()


def test_what_fails_half_way_leaves_nothing(databases: KernelDatabases) -> None:
    """Its policies were there already: were they still, the second attempt would stumble over them."""
    for _ in range(2):
        with pytest.raises(NetworkError, match="the kernel of this machine knows no ESP"):
            databases.add(between("198.51.100.1", "198.51.100.2"), 5.0)


def test_what_was_never_added_is_not_prolonged_or_removed(databases: KernelDatabases) -> None:
    databases.prolong(between("198.51.100.1", "198.51.100.2"), 5.0)
    databases.remove(between("198.51.100.1", "198.51.100.2"))
    assert {one.packets for one in databases.counted(between("198.51.100.1", "198.51.100.2"))} == {0}


@pytest.mark.parametrize(("own", "peer"), [("127.0.0.1", "127.0.0.2"), ("::1", "::1")])
def test_within_one_host_the_kernel_protects_nothing(own: str, peer: str) -> None:
    with pytest.raises(NetworkError, match=r'very host, .*ipsec_by = "own"'):
        expect_distance(between(own, peer))
