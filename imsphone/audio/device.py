"""The sound card: a microphone and a loudspeaker on a clock of their own.

    card ──callback──▶ Ring ──read──▶ media thread ──write──▶ Ring ──callback──▶ card
                      20 ms kept                             30 ms kept

The callback only copies: PortAudio calls it from a thread that must not wait. Card and media thread count time
differently, by some 100 parts in a million, so the rings slowly fill or drain. The loudspeaker's ring says how many
blocks it needs (`blocks_due`), and the playout buffer, which counts time in pulls, thereby follows the card; from the
microphone's ring a block is dropped, or one of silence added, once in minutes.

PortAudio comes with the Debian package libportaudio2; without it, or without a card, an AudioError says so.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from imsphone.audio.endpoint import Audio, Sink, Source
from imsphone.errors import AudioError
from imsphone.media.codecs.codec import Pcm

CLOCK_HZ = 48000
RING_MS = 200
MICROPHONE_MS = 20
LOUDSPEAKER_MS = (20, 40)
"""Below the first two blocks are due, above the second none."""
REMEDY = "plug one in, or give WAV files instead (--play, --record)"


class Ring:
    """Samples between two threads, one that writes and one that reads; neither ever waits for the other.

    Each side moves only its own count, and moves it after the copy, so the other never sees half of one.
    """

    def __init__(self, size: int) -> None:
        self._sound: Pcm = np.zeros(size, np.int16)
        self._written = self._read = 0

    @property
    def fill(self) -> int:
        """Samples to be read."""
        return self._written - self._read

    def write(self, pcm: Pcm) -> int:
        """How many found room; the rest is dropped."""
        size = self._sound.size
        n = min(pcm.size, size - self.fill)
        at = self._written % size
        first = min(n, size - at)
        self._sound[at : at + first] = pcm[:first]
        self._sound[: n - first] = pcm[first:n]
        self._written += n
        return n

    def read_into(self, pcm: Pcm) -> int:
        """How many were there; the rest of `pcm` becomes silence."""
        size = self._sound.size
        n = min(pcm.size, self.fill)
        at = self._read % size
        first = min(n, size - at)
        pcm[:first] = self._sound[at : at + first]
        pcm[first:n] = self._sound[: n - first]
        pcm[n:] = 0
        self._read += n
        return n

    def skip(self, n: int) -> None:
        """Drops what should have been read (the reader's side)."""
        self._read += min(n, self.fill)


class Device(NamedTuple):
    """A sound device as PortAudio lists it; `number` is what it is chosen by."""

    number: int
    name: str
    inputs: int
    outputs: int
    is_default: bool


class Microphone:
    """The card's input as a source."""

    has_ended = False

    def __init__(self, card: Card) -> None:
        self._card = card
        self.clock_hz = card.clock_hz
        self._is_filling = True

    def read(self, n: int) -> Pcm:
        """What was picked up; silence until there is enough to go on with."""
        pcm = np.zeros(n, np.int16)
        ring, kept = self._card.heard, self.clock_hz * MICROPHONE_MS // 1000
        if ring.fill > n + 3 * kept:
            ring.skip(ring.fill - n - kept)
        if self._is_filling and ring.fill < n + kept:
            return pcm
        self._is_filling = ring.read_into(pcm) < n
        return pcm

    def close(self) -> None:
        """The card may stop."""
        self._card.close()


class Loudspeaker:
    """The card's output as a sink."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self.clock_hz = card.clock_hz

    @property
    def blocks_due(self) -> int:
        """0, 1 or 2, so that the ring keeps its level."""
        fill_ms = self._card.to_say.fill * 1000 // self.clock_hz
        low_ms, high_ms = LOUDSPEAKER_MS
        return 2 if fill_ms < low_ms else 1 if fill_ms <= high_ms else 0

    def write(self, pcm: Pcm) -> None:
        """To be heard some 30 ms later."""
        self._card.to_say.write(pcm)

    def close(self) -> None:
        """The card may stop."""
        self._card.close()


class Card:
    """An open sound card: one duplex stream, or, where the devices refuse that, one stream each way.

    `microphone` and `loudspeaker` are PortAudio's index or a part of a name; None: the default. Raises AudioError.
    """

    def __init__(self, microphone: int | str | None = None, loudspeaker: int | str | None = None) -> None:
        self.clock_hz = CLOCK_HZ
        self.heard = Ring(CLOCK_HZ * RING_MS // 1000)
        self.to_say = Ring(CLOCK_HZ * RING_MS // 1000)
        portaudio = _portaudio()
        options = {"samplerate": CLOCK_HZ, "blocksize": CLOCK_HZ // 100, "channels": 1, "dtype": "int16"}
        options |= {"latency": "low"}
        self._streams: list[Any] = []
        try:
            try:
                both = (microphone, loudspeaker)
                self._streams = [portaudio.RawStream(device=both, callback=self._duplex, **options)]
            except portaudio.PortAudioError:
                mine = portaudio.RawInputStream(device=microphone, callback=self._hear, **options)
                self._streams = [mine]
                self._streams.append(portaudio.RawOutputStream(device=loudspeaker, callback=self._say, **options))
            for stream in self._streams:
                stream.start()
        except (portaudio.PortAudioError, ValueError) as error:
            self.close()
            raise AudioError(f"no sound card works here ({_sentence(error)}); {REMEDY}") from None

    def close(self) -> None:
        """Gives the card back; once is enough."""
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.close(ignore_errors=True)

    # In PortAudio's thread: only copies.

    def _duplex(self, heard: Any, said: Any, frames: int, time: Any, status: Any) -> None:
        self._hear(heard, frames, time, status)
        self._say(said, frames, time, status)

    def _hear(self, heard: Any, frames: int, time: Any, status: Any) -> None:
        self.heard.write(np.frombuffer(heard, np.int16))

    def _say(self, said: Any, frames: int, time: Any, status: Any) -> None:
        self.to_say.read_into(np.frombuffer(said, np.int16))


def sound_card(microphone: int | str | None = None, loudspeaker: int | str | None = None) -> Audio:
    """Makes microphone and loudspeaker the two ends of a call's sound, when it begins; AudioError then, too."""

    def open_card(clock_hz: int) -> tuple[Source, Sink]:
        card = Card(microphone, loudspeaker)
        return Microphone(card), Loudspeaker(card)

    return open_card


def expect_sound_card(microphone: int | str | None = None, loudspeaker: int | str | None = None) -> None:
    """Nothing where the card can be used; AudioError says what is wrong with it."""
    Card(microphone, loudspeaker).close()


def devices() -> list[Device]:
    """All devices of this machine; AudioError where PortAudio is missing."""
    portaudio = _portaudio()
    defaults = tuple(portaudio.default.device)
    return [
        Device(index, info["name"], info["max_input_channels"], info["max_output_channels"], index in defaults)
        for index, info in enumerate(portaudio.query_devices())
    ]


def _portaudio() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError):
        remedy = "apt-get install libportaudio2" if sys.platform == "linux" else "install PortAudio"
        raise AudioError(f"PortAudio is missing, so no sound card can be used: {remedy}, or use WAV files") from None
    return sounddevice


def _sentence(error: Exception) -> str:
    return str(error).splitlines()[0].removesuffix(" [PaErrorCode -9996]")
