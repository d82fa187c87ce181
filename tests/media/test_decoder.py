"""Payloads to samples, compiled or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.media.codecs.codec import Codec, Pcm
from imsphone.media.codecs.g711 import PCMA, PCMU
from imsphone.media.codecs.linear import Linear
from imsphone.media.decoder import COMFORT_NOISE, Decoder


@dataclass
class Short:
    """A codec in Python that promises more than it gives."""

    name: str = "X-SHORT"
    clock_hz: int = 8000
    frame_ms: int = 10

    def encode(self, pcm: Pcm) -> bytes:
        return bytes(pcm.size)

    def decode(self, data: bytes) -> Pcm:
        return np.full(len(data) // 2, 7, np.int16)

    def samples_in(self, data: bytes) -> int:
        return len(data)


@pytest.mark.parametrize("codec", [PCMA, PCMU, Linear(8000)])
@given(payload=st.binary(max_size=400), begin=st.integers(0, 200))
def test_it_decodes_as_the_codec_does(codec: Codec, payload: bytes, begin: int) -> None:
    decoder = Decoder({96: codec})
    assert decoder.samples_of(96, payload) == codec.samples_in(payload)
    assert (decoder.decoded(96, payload, begin) == codec.decode(payload)[begin:]).all()


def test_a_codec_in_python_is_called_and_not_believed() -> None:
    assert Decoder({96: Short()}).decoded(96, bytes(8)).tolist() == [7] * 4 + [0] * 4


def test_what_nobody_agreed_on_is_no_sound() -> None:
    decoder = Decoder({8: PCMA})
    assert decoder.samples_of(9, bytes(160)) == 0
    assert decoder.samples_of(8, b"") == 0


def test_a_described_noise_lasts_ten_milliseconds() -> None:
    decoder = Decoder({8: PCMA})
    assert decoder.samples_of(COMFORT_NOISE, bytes([30])) == 80
    assert decoder.decoded(COMFORT_NOISE, bytes([30])).any()


def test_a_clock_that_cannot_be_played_is_said() -> None:
    with pytest.raises(ValueError, match="11025 Hz"):
        Decoder({8: Linear(11025)})
