from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from imsphone.media.arrival import Arrivals
from imsphone.media.bursts import Bursts
from imsphone.media.codecs.codec import Codec
from imsphone.media.counts import Counts
from imsphone.media.delay import Delays
from imsphone.rtp.packet import Packet

Pcm = npt.NDArray[np.int16]
PULL_MS: float

class Playout:
    clock_hz: int
    counts: Counts
    delays: Delays
    bursts: Bursts
    arrivals: Arrivals
    is_counting: bool
    minimum_ms: float
    maximum_ms: float
    offset_ms: float
    made: int
    def __init__(
        self,
        codecs: Mapping[int, Codec],
        *,
        is_counting: bool = ...,
        minimum_ms: float = ...,
        maximum_ms: float = ...,
        offset_ms: float = ...,
    ) -> None: ...
    def insert(self, packet: Packet, arrival_ns: int) -> None: ...
    def pull(self) -> Pcm: ...
    def pull_into(self, out: Pcm) -> None: ...
    @property
    def events(self) -> list[tuple[str, int]]: ...
    @property
    def position(self) -> int | None: ...
    @property
    def target_ms(self) -> float: ...
    @property
    def delay_ms(self) -> float: ...
    @property
    def fill_ms(self) -> float: ...
