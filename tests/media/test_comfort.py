"""The sound of nobody speaking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.media.codecs.codec import Pcm
from imsphone.media.comfort import Comfort

CHANCE = np.random.default_rng(5)


def noise(level: float, n: int = 80) -> Pcm:
    return CHANCE.normal(0, level, n).astype(np.int16)


def rms(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(pcm.astype(float) ** 2)))


def after_speech(background: float) -> Comfort:
    comfort = Comfort(8000)
    for k in range(300):
        comfort.heard(noise(background if k % 50 < 15 else 3000))
    return comfort


@pytest.mark.parametrize("background", [20.0, 100.0])
def test_the_noise_made_is_like_the_noise_heard(background: float) -> None:
    made = after_speech(background).made(8000)
    assert rms(made) == pytest.approx(background, rel=0.35)
    spectrum = np.abs(np.fft.rfft(made.astype(float)))[20:] ** 2
    assert spectrum.max() < 0.02 * spectrum.sum(), "and no tone"


def test_before_anything_quiet_was_heard_it_is_silent() -> None:
    assert not Comfort(8000).made(80).any()


def test_pauses_are_told_from_speech() -> None:
    comfort = after_speech(60)
    assert comfort.pauses_in(noise(60))
    assert comfort.pauses_in(np.zeros(80, np.int16))
    assert not comfort.pauses_in(noise(1000))
    assert not comfort.pauses_in(noise(3000))


@pytest.mark.parametrize("level", [30, 50, 70])
def test_a_described_noise_has_its_level(level: int) -> None:
    """RFC 3389 3.1: 0 dBov is a full-scale square wave."""
    comfort = Comfort(8000)
    comfort.described(bytes([level]))
    assert rms(comfort.made(16000)) == pytest.approx(32768 * 10 ** (-level / 20), rel=0.05)


def test_a_described_noise_has_its_colour() -> None:
    """One reflection coefficient makes a low-pass or a high-pass, and the level stays."""
    for byte, is_low in ((127 - 100, True), (127 + 100, False)):
        comfort = Comfort(8000)
        comfort.described(bytes([40, byte]))
        made = comfort.made(16000)
        power = np.abs(np.fft.rfft(made.astype(float))) ** 2
        assert (power[:4000].sum() > 4 * power[4000:].sum()) == is_low
        assert rms(made) == pytest.approx(328, rel=0.2)


@given(st.binary(max_size=40), st.integers(0, 500))
def test_any_description_gives_samples(payload: bytes, n: int) -> None:
    comfort = Comfort(8000)
    comfort.described(payload)
    assert comfort.made(n).shape == (n,)
