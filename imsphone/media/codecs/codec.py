"""A codec turns blocks of samples into payloads and back.

    pcm (int16, mono) ──encode──▶ payload ──RTP──▶ payload ──decode──▶ pcm (int16, mono)

`samples_in` tells how long a payload sounds without decoding it: the playout buffer plans with it. A payload comes from
the peer, so `decode` never raises: what cannot be decoded is an empty block.

The table below is what this phone can really run; SDP offers nothing else.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from imsphone.errors import AudioError

Pcm = npt.NDArray[np.int16]
"""Samples of one channel: a one-dimensional int16 array."""


class Codec(Protocol):
    """What every codec here can do; `name` and `clock_hz` are those of the SDP's rtpmap."""

    @property
    def name(self) -> str:
        """The encoding name, "PCMA"."""

    @property
    def clock_hz(self) -> int:
        """Samples a second, and RTP clock."""

    @property
    def frame_ms(self) -> int:
        """The shortest block that can be encoded; blocks are multiples of it."""

    def encode(self, pcm: Pcm) -> bytes:
        """The payload of a block of whole frames."""

    def decode(self, data: bytes) -> Pcm:
        """The samples of a payload; empty where it makes no sense."""

    def samples_in(self, data: bytes) -> int:
        """How many samples `decode` would give."""


def codec_named(name: str, clock_hz: int = 8000) -> Codec:
    """The codec of an rtpmap, `name` in any case (RFC 8866 6.6: encoding names are case-insensitive).

    Raises AudioError where this phone has none.
    """
    from imsphone.media.codecs.g711 import PCMA, PCMU  # g711 builds on the types above

    for codec in (PCMA, PCMU):
        if (codec.name, codec.clock_hz) == (name.upper(), clock_hz):
            return codec
    raise AudioError(f"no codec for {name}/{clock_hz}; this phone speaks PCMA/8000 and PCMU/8000")
