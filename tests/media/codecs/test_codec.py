"""Finding a codec by what the SDP calls it."""

from __future__ import annotations

import pytest

from imsphone.errors import AudioError
from imsphone.media.codecs.codec import codec_named


@pytest.mark.parametrize("name", ["PCMA", "pcma", "PCMU", "PcmU"])
def test_names_are_case_insensitive(name: str) -> None:
    codec = codec_named(name)
    assert (codec.name, codec.clock_hz) == (name.upper(), 8000)


@pytest.mark.parametrize(("name", "clock_hz"), [("EVS", 16000), ("PCMA", 16000), ("", 8000)])
def test_a_missing_codec_is_named(name: str, clock_hz: int) -> None:
    with pytest.raises(AudioError, match=f"no codec for {name}/{clock_hz}"):
        codec_named(name, clock_hz)
