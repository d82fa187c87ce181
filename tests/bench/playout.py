"""The playout buffer on recorded and made-up arrivals, set beside the buffers of others.

    python tests/bench/playout.py [DIRECTORY] [--phases 6.3]

DIRECTORY holds `traces/*.csv` (when each packet of 20 ms was sent and came), a recording and `score.py`, which defines
the figures; without one, `../shared/playout` beside the checkout. Each trace is run with real speech in virtual time,
pulled at four phases to the packets; what was done goes to log files, and `score.py` reads those.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from imsphone.media.codecs.codec import Pcm
from imsphone.media.playout import Playout
from imsphone.rtp.packet import Packet

SHARED = Path(__file__).parents[3] / "shared" / "playout"
FRAME = 160  # samples of 20 ms at 8 kHz


class Numbered:
    """Uncompressed sound behind the number of its frame, so that the log knows which frame was decoded."""

    name, clock_hz, frame_ms = "L16", 8000, 20

    def __init__(self) -> None:
        self.decoded: list[int] = []

    def samples_in(self, data: bytes) -> int:
        return (len(data) - 4) // 2

    def encode(self, pcm: Pcm) -> bytes:
        return pcm.tobytes()

    def decode(self, data: bytes) -> Pcm:
        self.decoded.append(int.from_bytes(data[:4], "big"))
        return np.frombuffer(data, np.int16, offset=4)


def run(trace: Path, phase_ms: float, speech: Pcm, log: Path) -> tuple[float, int]:
    """One trace at one phase: seconds spent in the buffer, and the packets that came."""
    arrivals = [line.split(",")[2] for line in trace.read_text().splitlines() if line[:1].isdigit()]
    coming = sorted((float(at), frame) for frame, at in enumerate(arrivals) if at != "lost")
    codec = Numbered()
    playout = Playout({0: codec})
    counts, per_ms = playout.counts, codec.clock_hz / 1000
    frames = speech.size // FRAME
    lines, taken, spent_s = [], 0, 0.0
    now_ms, end_ms = coming[0][0] - 60 + phase_ms, coming[-1][0] + 100
    while now_ms <= end_ms:
        due: list[tuple[Packet, int]] = []
        while taken < len(coming) and coming[taken][0] <= now_ms:
            at_ms, frame = coming[taken]
            sound = speech[frame % frames * FRAME :][:FRAME]
            payload = frame.to_bytes(4, "big") + sound.tobytes()
            due.append((Packet(0, frame & 0xFFFF, frame * FRAME, 1, payload), int(at_ms * 1e6)))
            taken += 1
        before = counts.concealed
        start_s = time.perf_counter()
        for packet, arrival_ns in due:
            playout.insert(packet, arrival_ns)
        playout.pull()
        spent_s += time.perf_counter() - start_s
        lines += [f"F,{frame},{now_ms:.3f},{now_ms:.3f}" for frame in codec.decoded]
        codec.decoded.clear()
        made_up_ms = (counts.concealed - before) / per_ms
        if made_up_ms:
            lines.append(f"C,{now_ms:.3f},{made_up_ms:.3f}")
        kind = 0 if playout.position is None else 2 if made_up_ms >= 5 else 1
        lines.append(f"P,{now_ms:.3f},{kind},{((playout.position or 0) - 1) / per_ms:.3f}")
        now_ms += 10
    lines += [f"S,inserted_ms,{counts.inserted / per_ms}", f"S,removed_ms,{counts.removed / per_ms}", "S,pull_ms,10"]
    log.write_text("\n".join(lines) + "\n")
    return spent_s, len(coming)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, nargs="?", default=SHARED)
    parser.add_argument("--phases", type=float, nargs="+", default=[1.3, 6.3, 11.3, 16.3])
    given = parser.parse_args()
    recording = np.fromfile(given.directory / "speech_16k_s16le.raw", "<i2").astype(np.int32)
    speech = ((recording[0::2] + recording[1::2]) // 2).astype(np.int16)
    spent_s, packets = 0.0, 0
    with tempfile.TemporaryDirectory() as logs:
        for trace in sorted((given.directory / "traces").glob("*.csv")):
            for phase_ms in given.phases:
                seconds, count = run(trace, phase_ms, speech, Path(logs) / f"{trace.stem}.{phase_ms}.log")
                spent_s, packets = spent_s + seconds, packets + count
        subprocess.run([sys.executable, str(given.directory / "score.py"), logs], check=True)
    print(f"\n{spent_s / packets * 1e9:,.0f} ns a packet in insert and pull, on this machine")


if __name__ == "__main__":
    main()
