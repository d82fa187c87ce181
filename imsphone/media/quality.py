"""What a call sounds like, as a number.

The E-model (ITU-T G.107) adds up what annoys, on one scale from 0 to 100, and turns the rest into the mean opinion of
listeners (1 bad ... 5 excellent):

    R = 93.2 - Id(delay) - Ie,eff(loss)        MOS = 1 + 0.035 R + 7e-6 R (R - 60) (100 - R)

93.2 is everything else at its default. It needs no recording, so it serves while the call goes on. PESQ (ITU-T P.862)
compares what came back with what was sent, so it serves afterwards, and judges the sound itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from imsphone.errors import AudioError
from imsphone.media.codecs.codec import Pcm

Figures = npt.NDArray[np.float64]

BEST_R = 93.2
BPL_G711 = 25.1
"""Robustness against loss of G.711 with concealment (ITU-T G.113 appendix I); its Ie is 0."""
PIECE_S = 8
"""P.862 is made for recordings of about this length."""


def delay_impairment(delay_ms: float | Figures) -> Figures:
    """Id of a one-way delay from mouth to ear without echo: nothing much up to 177 ms, then five times as steep.

    The usual simplification of G.107 7.4 (Cole and Rosenbluth, "Voice over IP performance monitoring", 2001).
    """
    delay = np.asarray(delay_ms, np.float64)
    return np.asarray(0.024 * delay + 0.11 * np.maximum(0.0, delay - 177.3))


def equipment_impairment(loss_percent: float | Figures, burst_ratio: float = 1.0) -> Figures:
    """Ie,eff of G.711 at that loss (G.107 7.5); `burst_ratio` 1: losses come independently, 2: in pairs."""
    loss = np.asarray(loss_percent, np.float64)
    return np.asarray(95.0 * loss / (loss / burst_ratio + BPL_G711))


def rating(delay_ms: float, loss_percent: float, burst_ratio: float = 1.0) -> float:
    """R of a call with that one-way delay and that share of sound made up."""
    return float(BEST_R - delay_impairment(delay_ms) - equipment_impairment(loss_percent, burst_ratio))


def mos_of(r: float) -> float:
    """The mean opinion score that goes with R (G.107 annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of one call's voice, both directions, from its beginning."""

    sent: int
    """Packets sent."""
    received: int
    """Packets received, duplicates included."""
    lost: int
    """Packets that never came."""
    late: int
    """Packets that came too late to be heard."""
    duplicated: int
    """Packets that came once more."""
    jitter_ms: float
    """Interarrival jitter of RFC 3550 6.4.1."""
    playout_mean_ms: float
    """How long sound waited, above the fastest packet ..."""
    playout_p95_ms: float
    """... and what 95 % of it did not exceed."""
    target_ms: float
    """How long it should wait just now."""
    fill_ms: float
    """Sound that waits just now."""
    concealed_percent: float
    """Sound made up, of all sound played."""
    r: float
    mos: float
    round_trip_ms: float | None = None
    """From RTCP (RFC 3550 6.4.1); None while the peer has not reported."""
    remote_lost_percent: float | None = None
    """What of ours did not reach the peer, by its last report."""

    def as_json(self) -> dict[str, float]:
        """The figures that are known, rounded to what they are worth."""
        figures = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: round(value, 2) for name, value in figures if value is not None}


# PESQ ---------------------------------------------------------------------------------------------------------------


def pesq_mean(reference: Pcm, degraded: Pcm, clock_hz: int) -> float:
    """Mean PESQ (MOS-LQO) over pieces of about 8 s, each aligned by itself: narrow band at 8 kHz, wide band at 16 kHz.

    `degraded` may be longer or shorter and begin anywhere; what is missing of it counts as silence. Pieces are cut
    where the reference is quiet, and those without speech are left out. Raises AudioError where there is nothing to
    judge, or nothing to judge it with.
    """
    try:
        from pesq import BufferTooShortError, NoUtterancesError, pesq
    except ImportError:
        raise AudioError('PESQ is not installed: pip install "imsphone[quality]"') from None
    if clock_hz not in (8000, 16000):
        raise AudioError(f"PESQ judges 8,000 or 16,000 Hz, not {clock_hz}: resample first")
    if degraded.size == 0:
        degraded = np.zeros(1, np.int16)
    mode = "nb" if clock_hz == 8000 else "wb"
    shift = lag_of(reference, degraded)
    around = clock_hz // 2
    scores = []
    for begin, end in _pieces(reference, clock_hz):
        piece = reference[begin:end]
        if not piece.any():
            continue
        near = _cut(degraded, begin + shift - around, end + shift + around)
        answer = _cut(near, own := lag_of(piece, near), own + piece.size)
        try:
            scores.append(float(pesq(clock_hz, piece, answer, mode)) if answer.any() else 1.0)
        except (BufferTooShortError, NoUtterancesError):
            continue
    if not scores:
        raise AudioError("no speech in the reference: PESQ has nothing to judge")
    return float(np.mean(scores))


def lag_of(reference: Pcm, degraded: Pcm) -> int:
    """Where in `degraded` the beginning of `reference` lies, in samples; negative where it is cut off."""
    size = 1 << (reference.size + degraded.size).bit_length()
    spectrum = np.fft.rfft(degraded.astype(np.float64), size) * np.conj(np.fft.rfft(reference.astype(np.float64), size))
    at = int(np.argmax(np.fft.irfft(spectrum, size)))
    return at if at < degraded.size else at - size


def _pieces(pcm: Pcm, clock_hz: int) -> list[tuple[int, int]]:
    """Begin and end of pieces of about `PIECE_S`, cut in the quietest 20 ms within a second of each border."""
    count = max(1, round(pcm.size / (PIECE_S * clock_hz)))
    frame = clock_hz // 50
    cuts = [0]
    for k in range(1, count):
        middle = k * pcm.size // count
        begin = middle - clock_hz
        frames = pcm[begin : begin + 2 * clock_hz].astype(np.float64).reshape(-1, frame)
        cuts.append(begin + int(np.argmin((frames**2).sum(axis=1))) * frame + frame // 2)
    return list(zip(cuts, [*cuts[1:], pcm.size], strict=True))


def _cut(pcm: Pcm, begin: int, end: int) -> Pcm:
    """`pcm[begin:end]` as if it were surrounded by endless silence."""
    out = np.zeros(end - begin, np.int16)
    low, high = max(0, begin), min(pcm.size, end)
    if low < high:
        out[low - begin : high - begin] = pcm[low:high]
    return out
