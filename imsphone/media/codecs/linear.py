"""L16: samples as they are, two octets each, the higher first (RFC 3551 4.5.11).

For trials and fast local networks, at any clock: the codec that adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imsphone.media.codecs.codec import Pcm


@dataclass(frozen=True, slots=True)
class Linear:
    """L16 at one clock, mono."""

    clock_hz: int
    name: str = "L16"
    frame_ms: int = 10

    def encode(self, pcm: Pcm) -> bytes:
        """Two octets for each sample."""
        return pcm.astype(">i2").tobytes()

    def decode(self, data: bytes) -> Pcm:
        """One sample for two octets; an odd one at the end is nothing."""
        return np.frombuffer(data, ">i2", count=len(data) // 2).astype(np.int16)

    def samples_in(self, data: bytes) -> int:
        """Half as many as octets."""
        return len(data) // 2
