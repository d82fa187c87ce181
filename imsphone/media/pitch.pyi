import numpy as np
import numpy.typing as npt

SHORTEST_MS: float
LONGEST_MS: float

def pitch_of(
    pcm: npt.NDArray[np.int16], window: int, shortest: int, longest: int, clock_hz: int
) -> tuple[int, float]: ...
