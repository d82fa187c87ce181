"""Another sampling rate, the same sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import AudioError
from imsphone.media.codecs.codec import Pcm
from imsphone.media.resample import Resampler, resample

RATES = [8000, 16000, 48000]
PAIRS = [(a, b) for a in RATES for b in RATES]


def tone(clock_hz: int, hz: float, seconds: float = 0.5) -> Pcm:
    return (12000 * np.sin(2 * np.pi * hz * np.arange(int(clock_hz * seconds)) / clock_hz)).astype(np.int16)


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
@pytest.mark.parametrize("hz", [200, 1000, 3000])
def test_a_tone_is_the_same_tone(from_hz: int, to_hz: int, hz: int) -> None:
    result, wanted = resample(tone(from_hz, hz), from_hz, to_hz), tone(to_hz, hz)
    assert result.size == wanted.size
    inner = slice(to_hz // 50, -to_hz // 50)
    assert np.abs(result[inner].astype(int) - wanted[inner]).max() < 40  # -50 dB


@pytest.mark.parametrize("from_hz", [16000, 48000])
@pytest.mark.parametrize("hz", [4600, 5500, 7500])
def test_what_does_not_fit_is_gone_and_not_folded(from_hz: int, hz: int) -> None:
    result = resample(tone(from_hz, hz), from_hz, 8000)
    assert np.abs(result[200:-200]).max() < 12000 / 300


@given(
    st.sampled_from([*PAIRS, (44100, 8000)]),
    st.lists(st.integers(0, 700), max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_how_the_stream_is_cut_makes_no_difference(rates: tuple[int, int], sizes: list[int], seed: int) -> None:
    pcm = np.random.default_rng(seed).integers(-20000, 20000, sum(sizes)).astype(np.int16)
    whole, cut = Resampler(*rates), Resampler(*rates)
    pieces = np.split(pcm, np.cumsum(sizes)[:-1]) if sizes else []
    result = np.concatenate([np.zeros(0, np.int16), *(cut.feed(piece) for piece in pieces)])
    assert np.abs(result.astype(int) - whole.feed(pcm)).max(initial=0) <= 1  # the order of additions rounds differently


@pytest.mark.parametrize(("from_hz", "to_hz"), [*PAIRS, (44100, 8000)])
def test_ten_milliseconds_stay_ten_milliseconds(from_hz: int, to_hz: int) -> None:
    stream = Resampler(from_hz, to_hz)
    assert {stream.feed(np.zeros(from_hz // 100, np.int16)).size for _ in range(50)} == {to_hz // 100}


def test_the_loudest_sound_does_not_turn_over() -> None:
    loud = np.where(np.arange(8000) // 20 % 2, 32767, -32768).astype(np.int16)
    result = resample(loud, 8000, 48000)
    wanted = np.repeat(loud, 6)
    assert (np.sign(result[600:-600:6]) == np.sign(wanted[600:-600:6])).mean() > 0.94


def test_rates_without_a_small_ratio_are_refused() -> None:
    with pytest.raises(AudioError, match="8,000, 16,000 or 48,000 Hz"):
        Resampler(44101, 8000)
