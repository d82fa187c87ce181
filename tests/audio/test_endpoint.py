"""Sources and sinks at their own rates, seen at the codec's."""

from __future__ import annotations

import numpy as np
import pytest

from imsphone.audio.echo import Echo
from imsphone.audio.endpoint import Intake, Outlet


def tone(clock_hz: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return (9000 * np.sin(2 * np.pi * 500 * np.arange(clock_hz) / clock_hz)).astype(np.int16)


@pytest.mark.parametrize("clock_hz", [8000, 16000, 48000])
def test_a_source_of_any_rate_gives_10_ms_of_the_codecs(clock_hz: int) -> None:
    source = Echo(clock_hz)
    intake = Intake(source, 8000)
    heard = []
    for block in np.split(tone(clock_hz), 100):
        source.write(block)
        heard.append(intake.read())
    assert {pcm.size for pcm in heard} == {80}
    assert np.concatenate(heard)[800:].std() == pytest.approx(9000 / 2**0.5, rel=0.01)


@pytest.mark.parametrize("clock_hz", [8000, 16000, 48000])
def test_a_sink_of_any_rate_hears_it(clock_hz: int) -> None:
    sink = Echo(clock_hz)
    outlet = Outlet(sink, 8000)
    heard = []
    for block in np.split(tone(8000), 100):
        outlet.write(block)
        heard.append(sink.read(clock_hz // 100))
    assert np.concatenate(heard)[clock_hz // 10 :].std() == pytest.approx(9000 / 2**0.5, rel=0.01)
