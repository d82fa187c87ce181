"""Faster and slower, without a click and without another voice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imsphone.media.codecs.codec import Pcm
from imsphone.media.pitch import pitch_of
from imsphone.media.stretch import lengthened, shortened

RATES = pytest.mark.parametrize("clock_hz", [8000, 16000, 48000])


def tone(clock_hz: int, ms: int, hz: float = 150.0) -> Pcm:
    at = np.arange(clock_hz * ms // 1000) / clock_hz
    return (8000 * np.sin(2 * np.pi * hz * at) + 3000 * np.sin(2 * np.pi * 3 * hz * at)).astype(np.int16)


def steepest(pcm: Pcm) -> int:
    return int(np.abs(np.diff(pcm.astype(int))).max())


@RATES
def test_a_tone_loses_a_period_and_stays_a_tone(clock_hz: int) -> None:
    pcm = tone(clock_hz, 40)
    short = shortened(pcm, clock_hz, clock_hz // 60)
    period = clock_hz / 150
    gone = pcm.size - short.size
    assert gone == pytest.approx(round(gone / period) * period, abs=clock_hz / 8000)
    assert gone > 0
    assert short[-1] == pcm[-1]
    assert steepest(short) <= 1.1 * steepest(pcm)


@RATES
def test_a_tone_gains_a_period_and_stays_a_tone(clock_hz: int) -> None:
    pcm = tone(clock_hz, 80)
    middle = pcm.size // 2
    history, coming = pcm[:middle], pcm[middle:]
    longer = lengthened(history, coming, clock_hz, clock_hz // 60)
    period = clock_hz / 150
    more = longer.size - coming.size
    assert more == pytest.approx(round(more / period) * period, abs=clock_hz / 8000)
    assert more > 0
    assert longer[-1] == coming[-1]
    assert steepest(np.concatenate((history, longer))) <= 1.1 * steepest(pcm)


@RATES
@pytest.mark.parametrize("hz", [80.0, 130.0, 220.0])
def test_pitch_and_level_stay(clock_hz: int, hz: float) -> None:
    """A voice slowed down and hurried again and again has the pitch (by autocorrelation) and the level that it had."""
    pcm = tone(clock_hz, 400, hz)
    window, longest = clock_hz // 50, clock_hz * 15 // 1000
    slow, fast = pcm, pcm
    for at_ms in range(50, 300, 50):
        at = clock_hz * at_ms // 1000
        slow = np.concatenate((slow[:at], lengthened(slow[:at], slow[at:], clock_hz, longest)))
        fast = np.concatenate((fast[:at], shortened(fast[at:], clock_hz, longest)))
    assert slow.size > pcm.size > fast.size
    for changed in (slow, fast):
        assert pitch_of(changed[: -clock_hz // 20], window, clock_hz // 300, longest, clock_hz)[0] == pytest.approx(
            pitch_of(pcm, window, clock_hz // 300, longest, clock_hz)[0], abs=clock_hz / 8000
        )
        assert changed.std() == pytest.approx(pcm.std(), rel=0.03)


def test_no_more_is_taken_than_allowed() -> None:
    pcm = np.zeros(240, np.int16)
    assert 210 <= shortened(pcm, 8000, 30, is_pause=True).size < 220
    assert shortened(tone(8000, 40), 8000, 30).size == 320, "a period of 53 samples does not fit"


def test_a_rough_voice_is_left_alone_unless_sound_is_about_to_run_out() -> None:
    rough = tone(8000, 75) // 4 + np.random.default_rng(1).normal(0, 1500, 600).astype(np.int16)
    assert shortened(rough[300:540], 8000, 120).size == 240
    assert lengthened(rough[:320], rough[320:480], 8000, 120).size == 160
    assert lengthened(rough[:320], rough[320:480], 8000, 120, is_urgent=True).size > 160


@given(arrays(np.int16, st.integers(0, 400)), st.integers(-10, 200), st.booleans(), st.booleans())
def test_any_sound_can_be_tried(pcm: Pcm, most: int, is_pause: bool, is_urgent: bool) -> None:
    short = shortened(pcm, 8000, most, is_pause)
    assert pcm.size - max(0, min(most, 120)) <= short.size <= pcm.size
    longer = lengthened(
        np.resize(pcm, 200) if pcm.size else np.zeros(200, np.int16), pcm, 8000, most, is_pause, is_urgent
    )
    assert pcm.size <= longer.size <= pcm.size + max(0, min(most, 120))
