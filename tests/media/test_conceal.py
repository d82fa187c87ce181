"""What is heard where nothing came."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imsphone.media.codecs.codec import Pcm
from imsphone.media.conceal import Concealment

AT = np.arange(8000) / 8000
TONE = (8000 * np.sin(2 * np.pi * 200 * AT)).astype(np.int16)


def steepest(pcm: Pcm) -> int:
    return int(np.abs(np.diff(pcm.astype(int))).max())


def test_a_tone_goes_on() -> None:
    """One lost packet of 20 ms within a steady tone: what is made up is the tone, a little quieter at its end."""
    made = Concealment(TONE[:320], 8000).make(160)
    true = TONE[320:480].astype(float)
    assert np.corrcoef(made, true)[0, 1] > 0.98
    assert np.abs(made[:80] - true[:80]).max() < 200, "the first 10 ms keep the level"
    assert 0.7 < made[120:].std() / true[120:].std() < 0.95


def test_it_dies_away_and_stays_silent() -> None:
    concealment = Concealment(TONE[:320], 8000)
    levels = [int(np.abs(concealment.make(80)).max()) for _ in range(8)]
    assert levels[0] > 7900
    assert all(later < earlier for earlier, later in pairwise(levels[:6]))
    assert levels[6:] == [0, 0]
    assert concealment.made == 640


@pytest.mark.parametrize("samples", [80, 160, 400, 1000])
def test_neither_end_clicks(samples: int) -> None:
    """Into and out of the gap the sound never moves faster than the tone itself (nor than the gap's end must)."""
    concealment = Concealment(TONE[:321], 8000)
    made = concealment.make(samples)
    after = concealment.merge(TONE[321 + samples : 481 + samples])
    assert steepest(np.concatenate((TONE[:321], made, after))) <= 1.35 * steepest(TONE)
    assert after[-1] == TONE[480 + samples]


def test_a_hiss_does_not_become_a_tone() -> None:
    hiss = np.random.default_rng(2).normal(0, 2000, 320).astype(np.int16)
    made = Concealment(hiss, 8000).make(80).astype(float)
    spectrum = np.abs(np.fft.rfft(made)) ** 2
    assert spectrum.max() < 0.3 * spectrum.sum()


@given(arrays(np.int16, st.integers(320, 500)), st.lists(st.integers(1, 200), max_size=8), arrays(np.int16, 160))
def test_any_history_has_a_continuation(history: Pcm, blocks: list[int], after: Pcm) -> None:
    concealment = Concealment(history, 8000)
    for n in blocks:
        assert concealment.make(n).shape == (n,)
    assert concealment.merge(after).shape == (160,)
