import numpy as np
import numpy.typing as npt

from imsphone.media.comfort import Comfort

Pcm = npt.NDArray[np.int16]
HISTORY_MS: int

class Concealment:
    made: int
    is_active: bool
    def __init__(self, clock_hz: int, comfort: Comfort) -> None: ...
    def begins(self, history: Pcm) -> None: ...
    def makes(self, n: int) -> Pcm: ...
    def merges(self, pcm: Pcm, most: int = ...) -> Pcm: ...
