"""Payload formats: what a payload type number means in one stream of one session.

A number by itself says little. 0 to 34 have a meaning by the audio/video profile (RFC 3551 6), 96 to 127 only by an
`a=rtpmap` beside them, and an `a=rtpmap` wins over the profile. Both ends may use different numbers for the same codec
(RFC 3264 5.1), so formats are compared by codec, never by number:

    m=audio 49152 RTP/AVP 8 97         Format(8, "PCMA", 8000)
    a=rtpmap:97 iLBC/8000         →    Format(97, "iLBC", 8000, fmtp="mode=30")
    a=fmtp:97 mode=30
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from imsphone.sdp.session import Attribute, MediaDescription

_RTPMAP = re.compile(r"(\d{1,3})\s+([^\s/]+)/(\d{1,9})(?:/(\d{1,3}))?", re.ASCII)
_FMTP = re.compile(r"(\d{1,3})\s+(.+)", re.ASCII | re.DOTALL)

# Of a constant-rate codec, what one second of it weighs: RFC 3551 4.5.
_BITRATE_BPS = {"PCMU": 64000, "PCMA": 64000, "G722": 64000, "G728": 16000, "GSM": 13200, "G729": 8000}


@dataclass(frozen=True, slots=True)
class Format:
    """A codec under a payload type number.

    `clock_hz` is the RTP clock; `channels` 1 where the SDP is silent; `fmtp` the codec's parameters as they stand.
    """

    payload_type: int
    encoding: str
    clock_hz: int
    channels: int = 1
    fmtp: str = ""

    def is_same_codec(self, other: Format) -> bool:
        """The same encoding (in any case, RFC 4855 3), clock and channels, whatever the numbers."""
        return (
            self.encoding.lower() == other.encoding.lower()
            and self.clock_hz == other.clock_hz
            and self.channels == other.channels
        )

    @property
    def sampling_hz(self) -> int:
        """The sampling rate. G.722 takes 16,000 samples a second, and by an old mistake its clock counts 8,000."""
        return 16000 if self.encoding.upper() == "G722" else self.clock_hz  # RFC 3551 4.5.2

    @property
    def bitrate_bps(self) -> int | None:
        """Payload bits a second; None where the codec varies it or is not known here."""
        return _BITRATE_BPS.get(self.encoding.upper())

    def __str__(self) -> str:
        """The value of its `a=rtpmap`."""
        channels = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.payload_type} {self.encoding}/{self.clock_hz}{channels}"


# RFC 3551 6, tables 4 and 5.
STATIC = {
    number: Format(number, encoding, clock_hz, channels)
    for number, encoding, clock_hz, channels in (
        (0, "PCMU", 8000, 1),
        (3, "GSM", 8000, 1),
        (4, "G723", 8000, 1),
        (5, "DVI4", 8000, 1),
        (6, "DVI4", 16000, 1),
        (7, "LPC", 8000, 1),
        (8, "PCMA", 8000, 1),
        (9, "G722", 8000, 1),
        (10, "L16", 44100, 2),
        (11, "L16", 44100, 1),
        (12, "QCELP", 8000, 1),
        (13, "CN", 8000, 1),
        (14, "MPA", 90000, 1),
        (15, "G728", 8000, 1),
        (16, "DVI4", 11025, 1),
        (17, "DVI4", 22050, 1),
        (18, "G729", 8000, 1),
        (25, "CelB", 90000, 1),
        (26, "JPEG", 90000, 1),
        (28, "nv", 90000, 1),
        (31, "H261", 90000, 1),
        (32, "MPV", 90000, 1),
        (33, "MP2T", 90000, 1),
        (34, "H263", 90000, 1),
    )
}
PCMU = STATIC[0]
PCMA = STATIC[8]


def formats_of(media: MediaDescription) -> tuple[Format, ...]:
    """The formats of a stream in its order of preference.

    A number without a meaning, or with a broken `a=rtpmap`, is left out: nobody could use it.
    """
    maps = {m[1]: m for m in map(_RTPMAP.fullmatch, media.get_all("rtpmap")) if m}
    parameters = {m[1]: m[2] for m in map(_FMTP.fullmatch, media.get_all("fmtp")) if m}
    found: dict[int, Format] = {}
    for word in media.formats:
        if not (word.isascii() and word.isdigit() and len(word) <= 3) or (number := int(word)) > 127 or number in found:
            continue
        if m := maps.get(word):
            clock_hz, channels = int(m[3]), int(m[4] or 1)
            if clock_hz and channels:
                found[number] = Format(number, m[2], clock_hz, channels, parameters.get(word, ""))
        elif known := STATIC.get(number):
            found[number] = Format(number, known.encoding, known.clock_hz, known.channels, parameters.get(word, ""))
    return tuple(found.values())


def attributes_of(formats: Iterable[Format]) -> tuple[Attribute, ...]:
    """The `a=rtpmap` and `a=fmtp` lines. Static numbers get theirs too (RFC 3264 5.1: all SHOULD)."""
    attributes = []
    for one in formats:
        attributes.append(Attribute("rtpmap", str(one)))
        if one.fmtp:
            attributes.append(Attribute("fmtp", f"{one.payload_type} {one.fmtp}"))
    return tuple(attributes)
