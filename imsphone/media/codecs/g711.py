"""G.711: one octet a sample, finer near zero, by table.

Both laws cut the range of a sample into eight segments, each twice as wide as the one before, and each segment into
sixteen steps. An octet is sign, segment, step:

      S | s s s | q q q q          A-law: even bits inverted, so that idle is not all zeroes
     ±  segment   step             µ-law: all bits inverted

Encoding finds the step that holds the sample (the *decision values* of the Recommendation), decoding returns the middle
of the step. Both are one table lookup here: 256 samples one way, 65,536 octets the other. Source: ITU-T G.711 (11/88)
tables 1a to 2b, the A-law on 13 bits and the µ-law on 14 bits, left-aligned in 16 as in ITU-T G.191's reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from imsphone.media.codecs.codec import Pcm

Octets = npt.NDArray[np.uint8]

_MAGNITUDE = np.arange(128, dtype=np.int32)
_SEGMENT, _STEP = _MAGNITUDE >> 4, _MAGNITUDE & 15


def _a_law_steps() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Lower decision value and output of each of the 128 magnitudes of the A-law (tables 1a and 1b), on 16 bits."""
    is_linear = _SEGMENT == 0  # segments 0 and 1 share their width: the law is straight near zero
    lower = np.where(is_linear, 2 * _STEP, (16 + _STEP) << _SEGMENT)
    half_width = np.where(is_linear, 1, (1 << _SEGMENT) >> 1)
    return lower << 3, (lower + half_width) << 3


def _mu_law_steps() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Lower decision value and output of each of the 128 magnitudes of the µ-law (tables 2a and 2b), on 16 bits."""
    lower = ((2 * _STEP + 32) << _SEGMENT) - 33
    output = ((2 * _STEP + 33) << _SEGMENT) - 33
    return np.maximum(lower, 0) << 2, output << 2


def _tables(
    lower: npt.NDArray[np.int32], output: npt.NDArray[np.int32], positive: int, negative: int, steps: int
) -> tuple[Pcm, Octets]:
    """Decoder of 256 octets and encoder of 65,536 samples (indexed by the sample's bits).

    An octet is sign mask (`positive` or `negative`) exclusive-or'ed with the magnitude under the mask `steps`.
    """
    magnitudes = np.arange(128) ^ steps
    decoder = np.zeros(256, np.int16)
    decoder[positive | magnitudes] = output
    decoder[negative | magnitudes] = -output
    samples = np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int32)
    # A negative sample counts by its one's complement, as G.191 does: -1 and 0 are each the nearest to zero.
    magnitude = np.searchsorted(lower, np.where(samples < 0, ~samples, samples), side="right") - 1
    encoder = (np.where(samples < 0, negative, positive) | (magnitude ^ steps)).astype(np.uint8)
    return decoder, encoder


@dataclass(frozen=True, slots=True)
class G711:
    """One of the two laws."""

    name: str
    silence: int
    """The octet of a sample of +0."""
    _decoder: Pcm = field(repr=False)
    _encoder: Octets = field(repr=False)
    clock_hz: int = 8000
    frame_ms: int = 10

    def encode(self, pcm: Pcm) -> bytes:
        """One octet for each sample."""
        return self._encoder[pcm.view(np.uint16)].tobytes()

    def decode(self, data: bytes) -> Pcm:
        """One sample for each octet; there is no wrong octet."""
        return self._decoder[np.frombuffer(data, np.uint8)]

    def samples_in(self, data: bytes) -> int:
        """As many as octets."""
        return len(data)


PCMA = G711("PCMA", 0xD5, *_tables(*_a_law_steps(), positive=0x80, negative=0x00, steps=0x55))
PCMU = G711("PCMU", 0xFF, *_tables(*_mu_law_steps(), positive=0x80, negative=0x00, steps=0x7F))
