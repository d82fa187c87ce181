"""The far end that says what it hears: sink and source in one, so that a call can be judged from one side.

    RTP ▶ playout ──write──▶ ▒▒ ──read──▶ encode ▶ RTP        what is played in one tick is sent in the same

It echoes after its own playout, as a person would who repeats every word, so loss and jitter of the way there are heard
on the way back.
"""

from __future__ import annotations

import numpy as np

from imsphone.media.codecs.codec import Pcm

LONGEST_MS = 100
"""Should nobody read, no more than this is kept."""


class Echo:
    """Both ends of one call's sound, tied together."""

    has_ended = False
    blocks_due = 1

    def __init__(self, clock_hz: int) -> None:
        self.clock_hz = clock_hz
        self._sound: Pcm = np.zeros(0, np.int16)

    def write(self, pcm: Pcm) -> None:
        """What was heard."""
        self._sound = np.concatenate((self._sound, pcm))[-self.clock_hz * LONGEST_MS // 1000 :]

    def read(self, n: int) -> Pcm:
        """The same, once; silence where nothing was heard yet."""
        pcm, self._sound = self._sound[:n], self._sound[n:]
        return pcm if pcm.size == n else np.concatenate((pcm, np.zeros(n - pcm.size, np.int16)))

    def close(self) -> None:
        """Nothing to let go."""


def echo(clock_hz: int) -> tuple[Echo, Echo]:
    """Both ends of a call that says what it hears."""
    both = Echo(clock_hz)
    return both, both
