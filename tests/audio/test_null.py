"""Nothing to say, nobody to listen."""

from __future__ import annotations

import numpy as np

from imsphone.audio.null import silence


def test_silence_lasts_and_drop_takes_everything() -> None:
    source, sink = silence(8000)
    for _ in range(3):
        assert source.read(80).tolist() == [0] * 80
        sink.write(np.ones(80, np.int16))
    assert not source.has_ended
    assert sink.blocks_due == 1
    source.close()
    sink.close()
