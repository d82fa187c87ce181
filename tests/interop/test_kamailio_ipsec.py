"""Our phone and a core that others wrote, with associations that the Linux kernel keeps: nothing of IPsec is shared.

What Kamailio can: HMAC over AES-CBC or over nothing, by UDP and by TCP. There is one guest and one core for all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.interop.core.ipsec import IpsecCore, missing

SUITES = ("hmac-sha-1-96/null", "hmac-md5-96/null", "hmac-sha-1-96/aes-cbc")
LIVES = [*((suite, "UDP") for suite in SUITES), (SUITES[0], "TCP")]
RECOVERY_S = 15.0
# A phone that comes back from the same address within seconds gets the associations that it had: so others each time.
PHONES = [(101 + 2 * number, 102 + 2 * number) for number in range(len(LIVES) + 1)]

pytestmark = [pytest.mark.interop, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IpsecCore]:
    with IpsecCore(tmp_path_factory.mktemp("pcscf"), tuple(host for pair in PHONES for host in pair)) as core:
        yield core


@pytest.mark.parametrize(
    ("suite", "transport", "hosts"), [(*one, hosts) for one, hosts in zip(LIVES, PHONES, strict=False)]
)
def test_a_life_inside_esp(core: IpsecCore, suite: str, transport: str, hosts: tuple[int, int]) -> None:
    said = core.ask(do="live", suite=suite, hosts=hosts, profile={"transport": transport})
    assert said["alice asks by"] == [transport]  # this P-CSCF asks by UDP all the same, and we take both
    assert said["alice registers"] == said["bob registers"] == said["alice refreshes"] == suite
    assert said["alice is seen"]
    assert set(said["alice is seen"]) == {"active"}
    assert said["new associations"] == 4
    assert said["alice calls the echo"] == said["alice calls bob"] == said["bob calls alice"] == "ended"
    assert said["alice writes to bob"] == said["bob writes to alice"] == 200
    assert said["alice deregisters"] is False
    assert set(said["alice sent in the clear"]) == {"REGISTER"}  # a slow guest may hear it twice


def test_sec_13_a_p_cscf_that_lost_its_associations_is_noticed_and_registered_with_anew(
    core: IpsecCore, record_property: Callable[[str, object], None]
) -> None:
    """The last of all: nobody else's associations survive it."""
    said = core.ask(do="survive", suite=SUITES[0], hosts=PHONES[-1], restart=core.next_restart(), after_s=6)
    assert said["alice comes back"] == SUITES[0]
    assert said["bob calls alice"] == "ended"
    record_property("recovered_s", said["recovered_s"])
    print(f"registered again {said['recovered_s']} s after the P-CSCF lost its associations")
    assert said["recovered_s"] < RECOVERY_S
