"""Faster and slower, without a click and without another voice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imsphone.media.codecs.codec import Pcm
from imsphone.media.stretch import fade, is_pause, lengthen, shorten

RATES = pytest.mark.parametrize("clock_hz", [8000, 16000])


def tone(clock_hz: int, ms: int, hz: float = 150.0) -> Pcm:
    at = np.arange(clock_hz * ms // 1000) / clock_hz
    return (8000 * np.sin(2 * np.pi * hz * at) + 3000 * np.sin(2 * np.pi * 3 * hz * at)).astype(np.int16)


def steepest(pcm: Pcm) -> int:
    return int(np.abs(np.diff(pcm.astype(int))).max())


@RATES
def test_a_tone_loses_a_period_and_stays_a_tone(clock_hz: int) -> None:
    pcm = tone(clock_hz, 40)
    short = shorten(pcm, clock_hz, most=clock_hz)
    period = clock_hz / 150
    gone = pcm.size - short.size
    assert gone == pytest.approx(round(gone / period) * period, abs=1)
    assert gone > 0
    assert short[0] == pytest.approx(pcm[0], abs=400)
    assert short[-1] == pcm[-1]
    assert steepest(short) <= 1.1 * steepest(pcm)


@RATES
def test_a_tone_gains_a_period_and_stays_a_tone(clock_hz: int) -> None:
    pcm = tone(clock_hz, 80)
    middle = pcm.size // 2
    history, coming = pcm[:middle], pcm[middle:]
    longer = lengthen(history, coming, clock_hz)
    period = clock_hz / 150
    more = longer.size - coming.size
    assert more == pytest.approx(round(more / period) * period, abs=1)
    assert more > 0
    assert longer[-1] == coming[-1]
    assert steepest(np.concatenate((history, longer))) <= 1.1 * steepest(pcm)


def test_no_more_is_taken_than_allowed() -> None:
    pcm = np.zeros(240, np.int16)
    assert shorten(pcm, 8000, most=30).size == 210
    assert shorten(tone(8000, 40), 8000, most=30).size == 320, "a period of 53 samples does not fit"


def test_speech_without_likeness_is_left_alone() -> None:
    hiss = np.random.default_rng(1).normal(0, 3000, 600).astype(np.int16)
    assert shorten(hiss[:240], 8000, most=120).size == 240
    assert lengthen(hiss[:320], hiss[320:480], 8000).size == 160


def test_a_pause_is_quiet() -> None:
    assert is_pause(np.full(80, 60, np.int16))
    assert not is_pause(np.full(80, 600, np.int16))


@given(arrays(np.int16, st.integers(200, 400)), st.integers(-10, 200))
def test_any_sound_can_be_tried(pcm: Pcm, most: int) -> None:
    short = shorten(pcm, 8000, most)
    assert pcm.size - 120 <= short.size <= pcm.size
    assert short.size >= pcm.size - max(0, most)
    assert pcm.size <= lengthen(pcm, pcm[:80], 8000).size + pcm.size - 80 <= pcm.size + 120


def test_a_fade_goes_from_one_to_the_other() -> None:
    assert fade(np.full(3, 100, np.int16), np.full(3, 200, np.int16)).tolist() == [125, 150, 175]
