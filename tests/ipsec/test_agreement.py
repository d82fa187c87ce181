"""The words of a security agreement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.ipsec.agreement import Proposal, proposals
from imsphone.ipsec.sa import SUITES, Ends, Suite
from imsphone.profile import SECURITY_SUITES

# TS 34.229-1 A.1.1 and A.1.2, in spirit; the last as Kamailio's ims_ipsec_pcscf prints it.
CLIENT = "ipsec-3gpp; alg=hmac-sha-1-96; spi-c=0000000500; spi-s=0000000501; port-c=40001; port-s=40002"
SERVER = "ipsec-3gpp; q=0.7; alg=hmac-md5-96; ealg=aes-cbc; spi-c=4098; spi-s=4099; port-c=5100; port-s=6100"
KAMAILIO = "ipsec-3gpp;prot=esp;mod=trans;spi-c=4096;spi-s=4097;port-c=5100;port-s=6100;alg=hmac-sha-1-96;ealg=null"

number = st.integers(1, (1 << 32) - 1)
port = st.integers(1, 65535)


def test_what_others_write_is_understood() -> None:
    assert Proposal.parse(CLIENT) == Proposal(Suite("hmac-sha-1-96", "null"), Ends(500, 501, 40001, 40002))
    assert Proposal.parse(SERVER) == Proposal(Suite("hmac-md5-96", "aes-cbc"), Ends(4098, 4099, 5100, 6100), 0.7)
    assert Proposal.parse(KAMAILIO) == Proposal(Suite("hmac-sha-1-96", "null"), Ends(4096, 4097, 5100, 6100))


@given(st.sampled_from(SUITES), number, number, port, port, st.sampled_from((1.0, 0.9, 0.1)))
def test_what_is_printed_is_read(suite: Suite, spi_c: int, spi_s: int, port_c: int, port_s: int, q: float) -> None:
    proposal = Proposal(suite, Ends(spi_c, spi_s, port_c, port_s), q)
    assert Proposal.parse(str(proposal)) == proposal
    assert ";ealg=" in str(proposal)


def test_the_preferred_comes_first_and_what_is_no_use_not_at_all() -> None:
    values = [
        "tls;q=1.0",
        SERVER,
        CLIENT.replace("port-s=40002", ""),
        SERVER.replace("q=0.7", "q=0.9").replace("md5", "sha-1"),
        KAMAILIO.replace("mod=trans", "mod=UDP-enc-tun"),
        SERVER.replace("4098", "4294967296"),
    ]
    assert [str(proposal.suite) for proposal in proposals(values)] == ["hmac-sha-1-96/aes-cbc", "hmac-md5-96/aes-cbc"]


@pytest.mark.parametrize("lack", ["spi-c=4096;", "spi-s=4097;", "port-c=5100;", "port-s=6100;"])
def test_nothing_may_be_missing(lack: str) -> None:
    with pytest.raises(ParseError):
        Proposal.parse(KAMAILIO.replace(lack, ""))


@given(st.lists(st.text(max_size=60) | st.builds(lambda text: f"ipsec-3gpp;{text}", st.text(max_size=60))))
def test_no_words_raise(values: list[str]) -> None:
    proposals(values)


def test_a_profile_knows_the_suites_by_the_same_names() -> None:
    assert tuple(str(suite) for suite in SUITES) == SECURITY_SUITES
