"""Finding the pitch of a voice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imsphone.media.codecs.codec import Pcm
from imsphone.media.pitch import pitch_of


def pulses(period: int, n: int = 400) -> Pcm:
    """Something like a voice: a decaying pulse each period."""
    at = np.arange(n) % period
    return (9000 * np.exp(-at / 8) * np.cos(at / 2)).astype(np.int16)


@pytest.mark.parametrize("period", [25, 40, 80, 115])
def test_a_voice_repeats_after_its_period(period: int) -> None:
    pitch = pitch_of(pulses(period), 160, 20, 120)
    assert pitch.period % period == 0
    assert pitch.likeness > 0.95


def test_a_hiss_has_no_pitch() -> None:
    hiss = np.random.default_rng(1).normal(0, 2000, 400).astype(np.int16)
    assert pitch_of(hiss, 160, 20, 120).likeness < 0.5


@given(arrays(np.int16, 280), st.integers(1, 60), st.integers(60, 120))
def test_any_sound_has_an_answer_within_bounds(pcm: Pcm, shortest: int, longest: int) -> None:
    pitch = pitch_of(pcm, 160, shortest, longest)
    assert shortest <= pitch.period <= longest
    assert -1.001 <= pitch.likeness <= 1.0
