"""Finding the pitch of a voice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imsphone.media.codecs.codec import Pcm
from imsphone.media.pitch import pitch_of


def pulses(period: int, n: int) -> Pcm:
    """Something like a voice: a decaying pulse each period."""
    at = np.arange(n) % period
    return (9000 * np.exp(-at / 8) * np.cos(at / 2)).astype(np.int16)


@pytest.mark.parametrize("times", [1, 2, 6])
@pytest.mark.parametrize("period", [25, 40, 80, 115])
def test_a_voice_repeats_after_its_period(period: int, times: int) -> None:
    found, likeness = pitch_of(pulses(period * times, 400 * times), 160 * times, 20 * times, 120 * times, 8000 * times)
    assert found % (period * times) == 0
    assert likeness > 0.95


def test_a_hiss_has_no_pitch() -> None:
    hiss = np.random.default_rng(1).normal(0, 2000, 400).astype(np.int16)
    assert pitch_of(hiss, 160, 20, 120, 8000)[1] < 0.5


@given(arrays(np.int16, 280), st.integers(8, 160), st.integers(1, 60), st.integers(60, 120))
def test_any_sound_has_an_answer_within_bounds(pcm: Pcm, window: int, shortest: int, longest: int) -> None:
    period, likeness = pitch_of(pcm, window, shortest, longest, 8000)
    assert shortest <= period <= longest
    assert -1.001 <= likeness <= 1.001


def test_too_little_sound_is_said() -> None:
    with pytest.raises(ValueError, match="samples are needed"):
        pitch_of(np.zeros(279, np.int16), 160, 20, 120, 8000)
