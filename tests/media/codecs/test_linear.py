"""Samples as they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imsphone.media.codecs.codec import Pcm
from imsphone.media.codecs.linear import Linear


@given(arrays(np.int16, st.integers(0, 200)))
def test_what_goes_in_comes_out(pcm: Pcm) -> None:
    codec = Linear(16000)
    data = codec.encode(pcm)
    assert codec.samples_in(data) == pcm.size
    assert (codec.decode(data) == pcm).all()


def test_the_higher_octet_comes_first() -> None:
    assert Linear(8000).encode(np.array([0x1234, -2], np.int16)) == b"\x12\x34\xff\xfe"


@given(st.binary(max_size=50))
def test_any_octets_are_samples(data: bytes) -> None:
    assert Linear(8000).decode(data).size == Linear(8000).samples_in(data) == len(data) // 2
