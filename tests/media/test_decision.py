"""When to play faster or slower."""

from __future__ import annotations

from imsphone.media.decision import Pace


def test_within_the_band_nothing_is_done() -> None:
    pace = Pace()
    for delay_ms in (45.5, 50.0, 52.0):
        assert pace.wanted_ms(delay_ms, 50.0, 60.0, False, False) == 0


def test_outside_it_the_delay_is_led_back() -> None:
    pace = Pace()
    assert pace.wanted_ms(58.0, 50.0, 60.0, False, False) == -8, "no more than the excess"
    assert pace.wanted_ms(150.0, 50.0, 160.0, False, False) == -15, "nor than a period"
    assert pace.wanted_ms(40.0, 50.0, 60.0, False, False) > 0


def test_an_overdue_packet_slows_down_when_sound_runs_out() -> None:
    pace = Pace()
    assert pace.wanted_ms(50.0, 50.0, 15.0, True, False) > 0
    assert pace.wanted_ms(50.0, 50.0, 60.0, True, False) == 0, "while there is plenty it may still come"
    assert pace.wanted_ms(135.0, 50.0, 15.0, True, False) <= 0, "a stall that cannot be bridged"


def test_a_fifth_of_the_time_and_no_more() -> None:
    pace = Pace()
    changed = 0.0
    for _ in range(1000):
        wanted = -pace.wanted_ms(500.0, 50.0, 100.0, False, False)
        if wanted:
            pace.done(min(wanted, 7.0))
            changed += min(wanted, 7.0)
        pace.pulled()
    assert 0.17 * 10000 <= changed <= 0.205 * 10000


def test_a_pause_may_run_ahead_of_it() -> None:
    pace = Pace()
    changed = 0.0
    while wanted := -pace.wanted_ms(500.0, 50.0, 100.0, False, True):
        pace.done(wanted)
        changed += wanted
    assert 50 <= changed <= 60
    assert pace.wanted_ms(500.0, 50.0, 100.0, False, False) == 0
