"""When to register again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.ims.timing import backoff_s, refresh_after_s
from imsphone.machine import Ids


@pytest.mark.parametrize(("granted_s", "after_s"), [(3600, 3000), (1201, 601), (1200, 600), (600, 300), (1, 0.5)])
def test_a_refresh_comes_in_time(granted_s: int, after_s: float) -> None:
    assert refresh_after_s(granted_s) == after_s


@given(st.integers(1, 1000), st.binary(max_size=8))
def test_the_pause_doubles_up_to_half_an_hour_and_is_not_the_same_for_all(failures: int, seed: bytes) -> None:
    longest_s = min(1800.0, 30.0 * 2.0 ** min(failures, 20))
    assert longest_s / 2 <= backoff_s(failures, Ids(seed)) <= longest_s
