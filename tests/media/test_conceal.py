"""What is heard where nothing came."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imsphone.media.codecs.codec import Pcm
from imsphone.media.comfort import Comfort
from imsphone.media.conceal import HISTORY_MS, Concealment

AT = np.arange(16000) / 8000
TONE = (8000 * np.sin(2 * np.pi * 200 * AT)).astype(np.int16)
HISTORY = 8 * HISTORY_MS


def steepest(pcm: Pcm) -> int:
    return int(np.abs(np.diff(pcm.astype(int))).max())


def begun(history: Pcm) -> Concealment:
    concealment = Concealment(8000, Comfort(8000))
    concealment.begins(history)
    return concealment


def test_a_tone_goes_on() -> None:
    """One lost packet of 20 ms within a steady tone: what is made up is the tone."""
    made = begun(TONE[:HISTORY]).makes(160)
    true = TONE[HISTORY : HISTORY + 160].astype(float)
    assert np.corrcoef(made, true)[0, 1] > 0.98
    assert made.std() / true.std() == pytest.approx(1, abs=0.1)


def test_it_dies_away_and_stays_silent() -> None:
    concealment = begun(TONE[:HISTORY])
    levels = [int(np.abs(concealment.makes(80)).max()) for _ in range(14)]
    assert levels[0] > 7900
    assert all(later < earlier for earlier, later in pairwise(levels[2:11]))
    assert levels[11:] == [0, 0, 0]
    assert concealment.made == 14 * 80


@pytest.mark.parametrize("samples", [80, 160, 400, 1000])
def test_neither_end_clicks(samples: int) -> None:
    """Into and out of the gap the sound never moves faster than the tone itself (nor than the gap's end must)."""
    concealment = begun(TONE[: HISTORY + 1])
    made = concealment.makes(samples)
    end = HISTORY + 1 + samples
    after = concealment.merges(TONE[end : end + 160])
    assert not concealment.is_active
    assert steepest(np.concatenate((TONE[: HISTORY + 1], made, after))) <= 1.35 * steepest(TONE)
    assert after[-1] == TONE[end + 159]


def test_true_sound_comes_back_in_phase_where_it_may() -> None:
    """A quarter of a period off: what is left out puts it right."""
    concealment = begun(TONE[:HISTORY])
    concealment.makes(160)
    off = TONE[HISTORY + 160 - 10 :][:320]
    after = concealment.merges(off, most=40)
    assert off.size - after.size == 10


def test_a_hiss_does_not_become_a_tone() -> None:
    hiss = np.random.default_rng(2).normal(0, 2000, HISTORY).astype(np.int16)
    made = begun(hiss).makes(80).astype(float)
    spectrum = np.abs(np.fft.rfft(made)) ** 2
    assert spectrum.max() < 0.3 * spectrum.sum()


@given(
    arrays(np.int16, st.integers(HISTORY, HISTORY + 50)),
    st.lists(st.integers(0, 600), max_size=8),
    arrays(np.int16, st.integers(0, 200)),
    st.integers(-5, 300),
)
def test_any_history_has_a_continuation(history: Pcm, blocks: list[int], after: Pcm, most: int) -> None:
    concealment = begun(history)
    for n in blocks:
        assert concealment.makes(n).shape == (n,)
    assert after.size - max(0, most) <= concealment.merges(after, most).size <= after.size
