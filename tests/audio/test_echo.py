"""The far end that says what it hears."""

from __future__ import annotations

import numpy as np

from imsphone.audio.echo import LONGEST_MS, echo


def test_what_is_heard_is_said_at_once_and_once() -> None:
    source, sink = echo(8000)
    assert source.clock_hz == sink.clock_hz == 8000
    pcm = np.arange(160, dtype=np.int16)
    sink.write(pcm[:80])
    sink.write(pcm[80:])
    assert (source.read(80) == pcm[:80]).all()
    assert (source.read(80) == pcm[80:]).all()
    assert not source.read(80).any()


def test_half_a_block_is_filled_up_with_silence() -> None:
    source, sink = echo(16000)
    sink.write(np.full(100, 7, np.int16))
    assert source.read(160).tolist() == [7] * 100 + [0] * 60


def test_where_nobody_reads_only_the_latest_is_kept() -> None:
    source, sink = echo(8000)
    for k in range(1000):
        sink.write(np.full(80, k, np.int16))
    blocks = [int(source.read(80)[0]) for _ in range(LONGEST_MS // 10)]
    assert blocks == list(range(990, 1000))
    assert not source.read(80).any()
