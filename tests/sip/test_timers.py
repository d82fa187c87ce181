"""The values of RFC 3261 table 4 and TS 24.229 table 7.7.1."""

from __future__ import annotations

from imsphone.sip.timers import RFC_3261, TS_24_229


def test_rfc_3261_table_4() -> None:
    assert (RFC_3261.t1_s, RFC_3261.t2_s, RFC_3261.t4_s) == (0.5, 4.0, 5.0)
    assert RFC_3261.timeout_s == 32.0  # Timers B, F, H, J; L, M of RFC 6026
    assert RFC_3261.d_s >= 32.0


def test_ts_24_229_table_7_7_1_at_the_ue() -> None:
    assert (TS_24_229.t1_s, TS_24_229.t2_s, TS_24_229.t4_s) == (2.0, 16.0, 17.0)
    assert TS_24_229.timeout_s == 128.0
    assert TS_24_229.d_s >= 128.0


def test_nothing_lingers_over_a_reliable_transport() -> None:
    # RFC 3261 table 4: Timers D, I, J, K are 0 s over TCP
    assert RFC_3261.linger_s("TCP", RFC_3261.d_s) == 0.0
    assert RFC_3261.linger_s("UDP", RFC_3261.t4_s) == 5.0
