"""R, MOS and PESQ."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.audio.files import read_wav
from imsphone.errors import AudioError
from imsphone.media.codecs.codec import Pcm
from imsphone.media.quality import (
    Measured,
    delay_impairment,
    equipment_impairment,
    lag_of,
    mos_of,
    pesq_mean,
    rating,
)
from imsphone.media.resample import resample

SPEECH_16K, RATE_HZ = read_wav(Path(__file__).parents[2] / "assets" / "sounds" / "speech.wav")
SPEECH = resample(SPEECH_16K, RATE_HZ, 8000)


@pytest.mark.parametrize(
    # G.107 annex B, table B.1: R at the limits of the categories of satisfaction, and MOS
    ("r", "mos"),
    [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0), (-20, 1.0), (100, 4.5), (130, 4.5)],
)
def test_mos_by_the_table_of_g107(r: float, mos: float) -> None:
    assert mos_of(r) == pytest.approx(mos, abs=0.01)


def test_a_perfect_call() -> None:
    assert rating(0, 0) == pytest.approx(93.2)
    assert mos_of(rating(0, 0)) == pytest.approx(4.41, abs=0.01)  # G.107: MOS of all defaults


def test_delay_hurts_more_beyond_177_ms() -> None:
    assert delay_impairment(100.0) == pytest.approx(2.4)
    assert delay_impairment(277.3) == pytest.approx(0.024 * 277.3 + 11)


def test_loss_by_the_formula_of_g107() -> None:
    # G.107 (7-29) with Ie 0 and Bpl 25.1, worked by hand: 95 * 3 / (3 + 25.1), and in pairs 95 * 3 / (1.5 + 25.1)
    assert equipment_impairment(3.0) == pytest.approx(10.142, abs=0.001)
    assert equipment_impairment(3.0, burst_ratio=2.0) == pytest.approx(10.714, abs=0.001)


@given(st.floats(0, 2000), st.floats(0, 100), st.floats(1, 8))
def test_worse_is_never_better(delay_ms: float, loss: float, burst_ratio: float) -> None:
    r = rating(delay_ms, loss, burst_ratio)
    assert rating(delay_ms + 10, loss, burst_ratio) < r
    assert rating(delay_ms, loss + 1, burst_ratio) < r
    assert 1 <= mos_of(r) <= 4.5


def test_figures_that_are_not_known_are_not_said() -> None:
    figures = dict.fromkeys((f for f in Measured.__dataclass_fields__ if "remote" not in f and "trip" not in f), 1.2345)
    measured = Measured(**figures)  # type: ignore[arg-type]
    assert measured.as_json()["r"] == 1.23
    assert "round_trip_ms" not in measured.as_json()


# PESQ ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0, 37, 9000])
def test_the_same_sound_is_best_wherever_it_begins(shift: int) -> None:
    late = np.concatenate((np.zeros(shift, np.int16), SPEECH))
    assert lag_of(SPEECH, late) == shift
    assert pesq_mean(SPEECH, late, 8000) == pytest.approx(4.549, abs=0.001)  # P.862.1: the highest MOS-LQO


def test_only_the_piece_whose_beginning_is_missing_suffers() -> None:
    assert lag_of(SPEECH, SPEECH[9000:]) == -9000
    assert 3.5 < pesq_mean(SPEECH, SPEECH[9000:], 8000) < 4.5


def test_wide_band() -> None:
    assert pesq_mean(SPEECH_16K, SPEECH_16K, 16000) == pytest.approx(4.644, abs=0.001)  # P.862.2: the highest


def test_each_piece_finds_its_own_place() -> None:
    """A pause in the middle grew by 300 ms, as a playout buffer may make it: the second half is late, not bad."""
    quiet = 12 * 8000 + int(np.argmin(np.convolve(np.abs(SPEECH[12 * 8000 : 14 * 8000]).astype(float), np.ones(400))))
    stretched = np.concatenate((SPEECH[:quiet], np.zeros(2400, np.int16), SPEECH[quiet:]))
    assert pesq_mean(SPEECH, stretched, 8000) > 4.1


def test_noise_and_silence_are_worse() -> None:
    noise = np.random.default_rng(1).normal(0, 300, SPEECH.size)
    noisy = (SPEECH + noise).clip(-32768, 32767).astype(np.int16)
    half_gone = SPEECH.copy()
    half_gone[SPEECH.size // 2 :] = 0
    assert 1 < pesq_mean(SPEECH, half_gone, 8000) < 3.4
    assert 1 < pesq_mean(SPEECH, noisy, 8000) < 3.5
    assert pesq_mean(SPEECH, np.zeros(0, np.int16), 8000) == 1.0


@pytest.mark.parametrize("reference", [np.zeros(40000, np.int16), np.zeros(100, np.int16), np.zeros(0, np.int16)])
def test_nothing_to_judge(reference: Pcm) -> None:
    with pytest.raises(AudioError, match="no speech in the reference"):
        pesq_mean(reference, SPEECH, 8000)


def test_a_rate_that_pesq_does_not_know() -> None:
    with pytest.raises(AudioError, match="not 48000: resample first"):
        pesq_mean(SPEECH, SPEECH, 48000)


def test_without_pesq_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "pesq":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(AudioError, match=r"pip install \"imsphone\[quality\]\""):
        pesq_mean(SPEECH, SPEECH, 8000)
