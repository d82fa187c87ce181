"""Nothing to say and nobody to listen: a call without a microphone or without a loudspeaker."""

from __future__ import annotations

import numpy as np

from imsphone.media.codecs.codec import Pcm


class Silence:
    """A source that never says anything."""

    clock_hz = 8000
    has_ended = False

    def read(self, n: int) -> Pcm:
        """Zeroes."""
        return np.zeros(n, np.int16)

    def close(self) -> None:
        """Nothing to let go."""


class Drop:
    """A sink that hears nothing, at the pace of the call."""

    clock_hz = 8000
    blocks_due = 1

    def write(self, pcm: Pcm) -> None:
        """Gone."""

    def close(self) -> None:
        """Nothing to let go."""


def silence(clock_hz: int) -> tuple[Silence, Drop]:
    """Both ends of a call without sound of its own."""
    return Silence(), Drop()
