"""What was recorded of a stream: which packets came when, and when they had been sent.

    TRACE.csv      seq,send_ms,arrival_ms ─────────────▶ ┐
                                                         ├──▶ Recording: packets to insert, and a ruler of sending times
    CAPTURE.pcap   RTP packets, time stamps ──▶ Stream ─▶┘

A trace tells when each packet was sent. A capture does not: the RTP timestamp counts at the sender's clock, which runs
up to some hundred ppm fast or slow, from a beginning that nobody knows. There, the times of sending are taken to be the
highest straight line under all arrivals (the edge of their lower hull below their middle), so that the fastest packets
took no time: Moon, Skelly and Towsley, "Estimation and removal of clock skew from network delay measurements" (1999).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imsphone.audio.files import read_wav
from imsphone.errors import ParseError, ProfileError
from imsphone.media.codecs.codec import Codec, Pcm
from imsphone.media.codecs.g711 import PCMA, PCMU
from imsphone.media.codecs.linear import Linear
from imsphone.media.replay import DYNAMIC, Arrival, arrivals_of, trace_rows
from imsphone.media.resample import Resampler
from imsphone.rtp.capture import datagrams, is_capture
from imsphone.rtp.packet import Packet
from imsphone.rtp.streams import Stream, streams

Series = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SPEECH_HZ = 16_000
STATIC: Mapping[int, Codec] = {0: PCMU, 8: PCMA}
COMFORT_NOISE = 13  # RFC 3389, and as every phone has it
CLOCKS_HZ = (8_000, 16_000, 24_000, 32_000, 48_000, 90_000)
MOST_DRIFT = 500e-6
LONGEST_MS = 12 * 3600 * 1000
"""Half a day: what spans more is no call, and replaying it would take all memory."""
JUMP_MS = 10_000.0
"""No packet waits so much longer than the one before it: then the sender's timestamps jumped."""
GRAIN_MS = 2.5
"""The shortest frame of any codec is this long, and the others are multiples."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One stream to be replayed. The series have one value for each packet, in the order of `sequence`."""

    name: str
    note: str
    """What of the file it is, where that is not plain."""
    codecs: Mapping[int, Codec]
    arrivals: list[Arrival]
    frame_ms: float
    """How long a packet sounds."""
    sequence: Integers
    position_ms: Series
    """Where in the stream it begins, by its timestamp."""
    sent_ms: Series
    arrived_ms: Series
    """NaN for a packet that never came. Both clocks are set so that the fastest packet came as it was sent."""
    silent: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    """The packets that say no more than that the sender is silent (RFC 3389)."""

    @property
    def delay_ms(self) -> Series:
        """How long each packet was under way, above the fastest."""
        return self.arrived_ms - self.sent_ms

    def sent_at(self, position_ms: Series) -> Series:
        """When the sample at that place in the stream was sent."""
        known = np.append(self.position_ms, self.position_ms[-1] + self.frame_ms)
        sent_ms: Series = np.interp(position_ms, known, np.append(self.sent_ms, self.sent_ms[-1] + self.frame_ms))
        return sent_ms


def recording(path: Path, ssrc: int | None = None, *, is_spoken: bool = False) -> Recording:
    """Reads a trace or a capture. Raises ProfileError, with a sentence that names the file and the remedy.

    `ssrc` names the stream of a capture; else it is the longest that can be decoded. `is_spoken`: speech replaces what
    its packets carry.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProfileError(f"cannot read {path}: {error.strerror}; name a trace (.csv) or a capture (.pcap).") from None
    if not data:
        raise ProfileError(f"{path} is empty; wanted is a trace (seq,send_ms,arrival_ms) or a capture (pcap, pcapng).")
    if is_capture(data):
        found = _found(path, data)
        stream = _chosen(path, found, ssrc, is_spoken=is_spoken)
        return _of_stream(path, stream, len(found), is_spoken=is_spoken)
    if data[:2] == b"\x1f\x8b":
        raise ProfileError(f"{path} is compressed: gunzip it first.")
    try:
        return _of_trace(path, data.decode())
    except UnicodeDecodeError:
        raise ProfileError(
            f"{path} is neither a trace (lines of seq,send_ms,arrival_ms) nor a capture (pcap, pcapng); name one."
        ) from None


@cache
def speech() -> Pcm:
    """The recording that is said, at `SPEECH_HZ`."""
    with as_file(files("imsphone.assets") / "sounds" / "speech.wav") as path:
        said, said_hz = read_wav(path)
    return Resampler(said_hz, SPEECH_HZ).feed(said)


# Traces -------------------------------------------------------------------------------------------------------------


def _of_trace(path: Path, text: str) -> Recording:
    try:
        rows = trace_rows(text)
    except ParseError as error:
        raise ProfileError(
            f"{path} is no trace: expected {error.expected}; "
            "a line is seq,send_ms,arrival_ms, with lost for the arrival of a packet that never came."
        ) from None
    table = np.array([(row[0], row[1], np.nan if row[2] is None else row[2]) for row in rows], np.float64)
    table = table[np.unique(table[:, 0], return_index=True)[1]]
    number, sent, arrived = table.T
    if np.isinf(table).any() or np.isnan(sent).any() or number[-1] >= 2**31:
        raise ProfileError(f"{path} is no trace: it has numbers without end; a line is seq,send_ms,arrival_ms.")
    frame_ms = _grain(np.diff(sent), np.diff(number))
    if frame_ms is None:
        raise ProfileError(f"{path} is no trace: its packets are not sent one after the other; look at send_ms.")
    _refuse_endless(path, np.concatenate((sent, arrived)))
    return Recording(
        path.stem,
        "",
        {DYNAMIC: Linear(SPEECH_HZ)},
        arrivals_of(rows, speech(), SPEECH_HZ, frame_ms),
        frame_ms,
        number.astype(np.int64),
        number * frame_ms,
        sent + np.nanmin(arrived - sent),
        arrived,
    )


def _grain(time: Series, count: Series) -> float | None:
    """The usual length of a packet, from steps of time (ms) over steps of the sequence; None where there is none."""
    if not (count == 1).any():
        return None
    frame_ms = round(float(np.median(time[count == 1])) / GRAIN_MS) * GRAIN_MS
    return frame_ms if GRAIN_MS <= frame_ms <= 240 else None


def _refuse_endless(path: Path, times_ms: Series) -> None:
    if np.nanmax(times_ms) - np.nanmin(times_ms) > LONGEST_MS:
        raise ProfileError(f"{path} spans more than 12 hours; cut a piece out of it (editcap -A -B cuts captures).")


# Captures -----------------------------------------------------------------------------------------------------------


def _found(path: Path, data: bytes) -> list[Stream]:
    try:
        found = streams(datagrams(data))
    except ParseError as error:
        raise ProfileError(
            f"{path} is broken or cut short: {error}; capture it again, or keep what is whole: editcap {path.name} OUT."
        ) from None
    if not found:
        raise ProfileError(f"{path} holds no RTP; capture where the media passes, outside of any tunnel.")
    return found


def _chosen(path: Path, found: list[Stream], ssrc: int | None, *, is_spoken: bool) -> Stream:
    if ssrc is None:
        known = (stream for stream in found if is_spoken or not STATIC.keys().isdisjoint(stream.payload_types))
        return next(known, found[0])
    for stream in found:
        if stream.ssrc == ssrc:
            return stream
    there = ", ".join(dict.fromkeys(f"0x{stream.ssrc:08X}" for stream in found[:8]))
    raise ProfileError(f"{path} has no stream 0x{ssrc:08X}; --ssrc may be one of {there}.")


def _of_stream(path: Path, stream: Stream, of: int, *, is_spoken: bool) -> Recording:
    types = stream.payload_types
    codec = next((STATIC[number] for number in types if number in STATIC), None)
    if codec is None and not is_spoken:
        raise ProfileError(
            f"{path}: {stream} carries payload type {types[0]}, and this phone decodes PCMU (0) and PCMA (8); "
            "--speech plays a recording in its place."
        )
    if stream.cut and not is_spoken:
        raise ProfileError(
            f"{path} keeps only the beginning of each packet; capture with tcpdump -s 0, "
            "or play a recording in its place: --speech."
        )
    counted = _counted(stream, codec)
    _refuse_endless(path, counted.at_ms)
    order = np.unique(counted.number, return_index=True)[1]  # of doubled packets, the first
    number, at_ms = counted.number[order], counted.at_ms[order]
    position_ms = 1000 * counted.stamp[order] / counted.clock_hz
    frame_ms = _grain(np.diff(position_ms), np.diff(number))
    if frame_ms is None:
        raise ProfileError(f"{path}: {stream} has timestamps that do not go on; name another stream by --ssrc.")
    packets = _spoken(counted, frame_ms) if is_spoken else _renumbered(counted)
    return Recording(
        path.stem,
        f"{stream}, {codec.name if codec and not is_spoken else 'spoken'}, {len(packets):,} packets"
        + (f", one of {of} streams" if of > 1 else ""),
        {DYNAMIC: Linear(SPEECH_HZ)} if is_spoken else STATIC,
        sorted(map(Arrival, packets, counted.at_ms.tolist()), key=lambda arrival: arrival.at_ms),
        frame_ms,
        number,
        position_ms,
        sent_line(position_ms, at_ms),
        at_ms,
        counted.number[[packet.payload_type == COMFORT_NOISE for packet in counted.packets]],
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    """Packets in the order of the capture, with numbers that do not wrap and begin at 0."""

    packets: list[Packet]
    at_ms: Series
    number: Integers
    stamp: Integers
    clock_hz: int


def _counted(stream: Stream, codec: Codec | None) -> _Counted:
    """The longest run of a stream without a jump of its timestamps."""
    packets = [packet for _, packet in stream.packets]
    first_ns = stream.packets[0][0]
    at_ms = np.array([(at_ns - first_ns) / 1e6 for at_ns, _ in stream.packets])
    number = _unwrapped(np.array([packet.sequence for packet in packets]), 16)
    stamp = _unwrapped(np.array([packet.timestamp for packet in packets]), 32)
    clock_hz = codec.clock_hz if codec else _clock_hz(stamp, at_ms)
    run = _longest_run(1000 * stamp / clock_hz, at_ms)
    number, stamp = number[run], stamp[run]
    return _Counted(packets[run], at_ms[run], number - number.min(), stamp - stamp.min(), clock_hz)


def _renumbered(counted: _Counted) -> list[Packet]:
    """The packets with the numbers that the ruler has."""
    return [
        packet._replace(sequence=number & 0xFFFF, timestamp=stamp & 0xFFFFFFFF)
        for packet, number, stamp in zip(counted.packets, counted.number.tolist(), counted.stamp.tolist(), strict=True)
    ]


def _spoken(counted: _Counted, frame_ms: float) -> list[Packet]:
    """The same with speech for payload, at the speech's clock; silence stays silence."""
    said, codec = speech(), Linear(SPEECH_HZ)
    samples = round(SPEECH_HZ * frame_ms / 1000)
    stamps = (counted.stamp * SPEECH_HZ // counted.clock_hz).tolist()
    spoken = []
    for packet, stamp in zip(_renumbered(counted), stamps, strict=True):
        if packet.payload_type != COMFORT_NOISE:
            payload = codec.encode(said[np.arange(stamp, stamp + samples) % said.size])
            packet = packet._replace(payload_type=DYNAMIC, payload=payload)
        spoken.append(packet._replace(timestamp=stamp & 0xFFFFFFFF))
    return spoken


def _unwrapped(numbers: Integers, bits: int) -> Integers:
    """Numbers that count modulo 2^bits as numbers that run on, the least of them 0."""
    half = 1 << bits - 1
    steps = (np.diff(numbers) + half) % (2 * half) - half
    run = np.concatenate(([0], np.cumsum(steps)))
    return np.asarray(run - run.min(), np.int64)


def _longest_run(position_ms: Series, at_ms: Series) -> slice:
    """The packets between two jumps of the timestamps: after such a one (a call was held) all begins anew."""
    jumps = np.flatnonzero(np.abs(np.diff(at_ms - position_ms)) > JUMP_MS) + 1
    borders = [0, *jumps.tolist(), at_ms.size]
    return max((slice(*pair) for pair in pairwise(borders)), key=lambda run: int(run.stop - run.start))


def _clock_hz(stamp: Integers, at_ms: Series) -> int:
    """The clock of a codec that nobody named: the usual one nearest to what the stamps show."""
    rate = 1000 * float(stamp.max() - stamp.min()) / max(1.0, float(at_ms.max() - at_ms.min()))
    return min(CLOCKS_HZ, key=lambda clock_hz: abs(clock_hz - rate))


def sent_line(position_ms: Series, arrived_ms: Series) -> Series:
    """When each packet was sent if the fastest took no time: on the highest straight line under all arrivals."""
    hull: list[tuple[float, float]] = []
    for x, y in sorted(zip(position_ms.tolist(), (arrived_ms - position_ms).tolist(), strict=True)):
        while len(hull) > 1 and _turns_up(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    middle = float(np.mean(position_ms))
    drift = 0.0
    for (x0, y0), (x1, y1) in pairwise(hull):
        if x0 <= middle <= x1 and x1 > x0:
            drift = (y1 - y0) / (x1 - x0)
    if abs(drift) > MOST_DRIFT:  # no clock, but a path that changed
        drift = 0.0
    line = position_ms * (1 + drift)
    return line + np.min(arrived_ms - line)


def _turns_up(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether b lies above the line from a to c, or on it."""
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])
