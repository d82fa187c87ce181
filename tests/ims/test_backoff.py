"""RFC 5626 4.5, figure by figure."""

from __future__ import annotations

import pytest

from imsphone.ims.backoff import WITH_OTHERS_S, Schedule, pause_s, quick_pause_s, refresh_after_s
from imsphone.machine import Ids


@pytest.mark.parametrize(("failures", "bound_s"), [(1, 60), (2, 120), (3, 240), (6, 1800), (7, 1800), (10_000, 1800)])
def test_it_doubles_to_half_an_hour_and_the_lot_takes_half_of_it_at_least(failures: int, bound_s: float) -> None:
    ids = Ids(b"backoff")
    drawn = [pause_s(failures, ids) for _ in range(200)]
    assert bound_s / 2 <= min(drawn) < bound_s * 0.6
    assert bound_s * 0.9 < max(drawn) <= bound_s


@pytest.mark.parametrize(("granted_s", "after_s"), [(120, 60), (1200, 600), (1201, 601), (1800, 1200), (1, 0.5)])
def test_a_refresh_is_early_enough_to_fail_once(granted_s: int, after_s: float) -> None:
    assert refresh_after_s(granted_s) == after_s


@pytest.mark.parametrize(("failures", "bound_s"), [(1, 2), (2, 4), (3, 8), (4, 8), (8, 8), (9, 60), (10, 120)])
def test_a_restart_is_waited_for_in_seconds_and_not_for_ever(failures: int, bound_s: float) -> None:
    ids = Ids(b"quick")
    drawn = [quick_pause_s(failures, ids) for _ in range(100)]
    assert bound_s / 2 <= min(drawn) <= max(drawn) <= bound_s


def test_a_flow_that_broke_beside_another_has_no_hurry() -> None:
    """RFC 5626 4.5: 90 s in place of 30."""
    schedule = Schedule(Ids(b"flows"))
    schedule.pause(1000.0)
    assert schedule.next_at is not None
    assert 45 <= schedule.next_at - 1000.0 <= 90
    schedule.rest(None, 2000.0, is_quick=False, base_s=WITH_OTHERS_S)
    assert schedule.next_at is not None
    assert 90 <= schedule.next_at - 2000.0 <= 180


def test_a_schedule_counts_failures_apart_and_forgets_them_with_a_grant() -> None:
    schedule = Schedule(Ids(b"schedule"))
    schedule.grant(3600, 0.0)
    assert (schedule.next_at, schedule.end_at) == (3000.0, 3600.0)
    assert not schedule.is_due(2999.9)
    assert schedule.is_due(3000.0)
    schedule.put_off(400, 3000.0)
    assert schedule.next_at == schedule.not_before == 3400.0
    assert schedule.has_ended(3600.0)
    for bound_s in (60, 120, 240):
        schedule.rest(None, 4000.0, is_quick=False)
        assert schedule.next_at is not None
        assert bound_s / 2 <= schedule.next_at - 4000.0 <= bound_s
    schedule.grant(120, 5000.0)
    schedule.rest(None, 5000.0, is_quick=True)
    assert schedule.next_at is not None
    assert schedule.next_at - 5000.0 <= 2
    schedule.stop()
    assert not schedule.is_due(10_000.0)
