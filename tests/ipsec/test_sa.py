"""Keys out of CK and IK, and which four ways a set of associations opens."""

from __future__ import annotations

import pickle

import pytest

from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys, Suite
from imsphone.machine import Address

CK, IK = bytes(range(16)), bytes(range(16, 32))


def test_keys_are_ck_and_ik_as_annex_i_of_33_203_says() -> None:
    assert Keys.of(Suite("hmac-md5-96", "null"), CK, IK) == Keys(IK, b"")
    assert Keys.of(Suite("hmac-sha-1-96", "aes-cbc"), CK, IK) == Keys(IK + bytes(4), CK)
    gcm, gmac = Keys.of(Suite("null", "aes-gcm"), CK, IK), Keys.of(Suite("aes-gmac", "null"), CK, IK)
    assert (gcm.encryption, gcm.integrity, len(gcm.salt)) == (CK, b"", 4)
    assert (gmac.integrity, gmac.encryption, len(gmac.salt)) == (IK, b"", 4)
    assert gcm.salt != gmac.salt


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_keys_show_themselves_to_nobody(suite: Suite) -> None:
    keys = Keys.of(suite, CK, IK)
    held = Associations(suite, "10.0.0.1", "10.0.0.2", Ends(256, 257, 40001, 40002), Ends(300, 301, 5100, 6100), keys)
    for shown in (repr(keys), repr(held)):
        assert repr(CK)[2:-1] not in shown
        assert repr(IK)[2:-1] not in shown
    with pytest.raises(TypeError):
        pickle.dumps(keys)


def test_what_goes_out_here_comes_in_there() -> None:
    suite, phone, pcscf = SUITES[0], Ends(256, 257, 40001, 40002), Ends(300, 301, 5100, 6100)
    keys = Keys.of(suite, CK, IK)
    ours = Associations(suite, "10.0.0.1", "10.0.0.2", phone, pcscf, keys)
    theirs = Associations(suite, "10.0.0.2", "10.0.0.1", pcscf, phone, keys)
    assert set(ours.outbound) == set(theirs.inbound)
    assert set(ours.inbound) == set(theirs.outbound)
    # TS 33.203 7.1: the SPI of the receiver, client port to server port
    assert (301, Address("10.0.0.1", 40001), Address("10.0.0.2", 6100)) in ours.outbound
    assert (257, Address("10.0.0.2", 5100), Address("10.0.0.1", 40002)) in ours.inbound
