"""WAV files as source and sink: 16-bit PCM, the one format that everything reads.

    "RIFF" size "WAVE"  { "fmt " 16 tag channels rate … bits }  { other chunks }  { "data" size samples }

A source is read whole when it is opened, so that a call never waits for a disk, and a wrong file is refused before the
call. A sink keeps its two sizes right at least every second, so that whatever ends the program leaves a valid file.
"""

from __future__ import annotations

import logging
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np

from imsphone.errors import AudioError
from imsphone.media.codecs.codec import Pcm

_log = logging.getLogger("imsphone.audio")

RATES_HZ = (8000, 16000, 48000)
WANTED = "wanted is a WAV file of 16-bit PCM, mono or stereo, at 8,000, 16,000 or 48,000 Hz"
_PCM, _EXTENSIBLE = 1, 0xFFFE
_TAGS = {2: "ADPCM", 3: "floating point", 6: "A-law", 7: "µ-law", 0x11: "IMA ADPCM", 0x55: "MP3"}
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")


def read_wav(path: Path) -> tuple[Pcm, int]:
    """All samples of a file, two channels mixed to one, and its rate; AudioError says what is wrong with it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AudioError(f"cannot read {path}: {error.strerror}; {WANTED}") from None
    if not data:
        raise AudioError(f"{path} is empty; {WANTED}")
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise AudioError(f"{path} is not a WAV file; {WANTED}")
    form = b""
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        if len(body) < size:
            break
        if name == b"fmt ":
            form = body
        elif name == b"data":
            channels, rate_hz = _format_of(path, form)
            if len(body) < 2 * channels:
                raise AudioError(f"{path} holds no sound; {WANTED}")
            frames = np.frombuffer(body[: len(body) - len(body) % (2 * channels)], "<i2").reshape(-1, channels)
            mono = frames[:, 0] if channels == 1 else frames.astype(np.int32).sum(axis=1) >> 1
            return mono.astype(np.int16), rate_hz
        at += 8 + size + size % 2
    raise AudioError(f"{path} is cut short: its sound ends before its header says; copy it again")


def expect_wav(path: Path) -> None:
    """Nothing where the file can be played; AudioError says what is wrong with it."""
    read_wav(path)


def _format_of(path: Path, form: bytes) -> tuple[int, int]:
    """Channels and rate of a "fmt " chunk."""
    if len(form) < 16:
        raise AudioError(f"{path} does not say its format before its sound; {WANTED}")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if tag == _EXTENSIBLE and len(form) >= 26:
        (tag,) = struct.unpack_from("<H", form, 24)
    if tag != _PCM:
        raise AudioError(f"{path} holds {_TAGS.get(tag, f'format {tag}')}; {WANTED}")
    if bits != 16:
        raise AudioError(f"{path} has {bits} bits a sample; {WANTED}")
    if channels not in (1, 2):
        raise AudioError(f"{path} has {channels} channels; {WANTED}")
    if rate_hz not in RATES_HZ:
        raise AudioError(f"{path} is at {rate_hz:,} Hz; {WANTED}")
    return channels, rate_hz


class WavSource:
    """A file, once or for ever."""

    def __init__(self, path: Path, *, is_looping: bool = False) -> None:
        self._sound, self.clock_hz = read_wav(path)
        self._is_looping = is_looping
        self._at = 0

    @property
    def duration_s(self) -> float:
        """How long it sounds, once."""
        return self._sound.size / self.clock_hz

    @property
    def has_ended(self) -> bool:
        """Whether it has been read to its end."""
        return self._at >= self._sound.size

    def read(self, n: int) -> Pcm:
        """The next samples, silence behind the end."""
        pcm = self._sound[self._at : self._at + n]
        self._at += pcm.size
        while pcm.size < n:
            if self._is_looping:
                more = self._sound[: n - pcm.size]
                self._at = more.size
            else:
                more = np.zeros(n - pcm.size, np.int16)
            pcm = np.concatenate((pcm, more))
        if self._is_looping:
            self._at %= self._sound.size
        return pcm

    def close(self) -> None:
        """Nothing to let go: the file was closed when it was read."""


class WavSink:
    """A mono file that grows. Raises AudioError where it cannot be written."""

    blocks_due = 1

    def __init__(self, path: Path, clock_hz: int = 8000) -> None:
        self.path, self.clock_hz = path, clock_hz
        self._samples = self._unmarked = 0
        try:
            # Unbuffered: a block that fails is not tried again by each later one, and a mark needs no flush.
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise AudioError(f"cannot write {path}: {error.strerror}") from None
        try:
            self._mark()
        except OSError as error:
            self._file.close()
            raise AudioError(f"cannot write {path}: {error.strerror}") from None

    def write(self, pcm: Pcm) -> None:
        """Appends; after `close`, nothing. A full disk ends the file and not the call."""
        if self._file.closed:
            return
        try:
            written = self._file.write(pcm.astype("<i2").tobytes()) // 2  # less on a disk that is about to be full
            self._samples += written
            self._unmarked += written
            if self._unmarked >= self.clock_hz:
                self._mark()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """The file is complete."""
        if self._file.closed:
            return
        try:
            self._mark()
        except OSError as error:
            self._give_up(error)
        self._file.close()

    def _give_up(self, error: OSError) -> None:
        _log.warning("%s ends early: %s", self.path, error.strerror)
        with suppress(OSError):
            self._mark()  # what is there can still be heard
        self._file.close()

    def _mark(self) -> None:
        """Puts the header right for what is there."""
        size = 2 * self._samples
        header = _HEADER.pack(
            b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, _PCM, 1, self.clock_hz, 2 * self.clock_hz, 2, 16, b"data", size
        )
        self._unmarked = 0
        self._file.seek(0)
        self._file.write(header)
        self._file.seek(0, 2)
