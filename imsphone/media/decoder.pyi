from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from imsphone.media.codecs.codec import Codec

COMFORT_NOISE: int

class Decoder:
    clock_hz: int
    def __init__(self, codecs: Mapping[int, Codec]) -> None: ...
    def samples_of(self, payload_type: int, payload: bytes) -> int: ...
    def decoded(self, payload_type: int, payload: bytes, begin: int = ...) -> npt.NDArray[np.int16]: ...
