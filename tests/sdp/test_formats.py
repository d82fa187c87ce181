"""Payload type numbers become codecs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.sdp.formats import PCMA, PCMU, STATIC, Format, attributes_of, formats_of
from imsphone.sdp.session import Attribute, MediaDescription


def stream(numbers: str, *attributes: str) -> MediaDescription:
    pairs = (line.partition(":") for line in attributes)
    return MediaDescription(
        "audio",
        9,
        "RTP/AVP",
        tuple(numbers.split()),
        attributes=tuple(Attribute(name, value) for name, _, value in pairs),
    )


def test_numbers_of_the_profile_need_no_map() -> None:
    assert formats_of(stream("0 8 9 18")) == (PCMU, PCMA, STATIC[9], STATIC[18])


def test_a_map_gives_a_number_its_meaning() -> None:
    found = formats_of(
        stream(
            "97 8 96 10",
            "rtpmap:96 opus/48000/2",
            "rtpmap:97 AMR/8000/1",
            "fmtp:97 mode-set=0,2,5,7; octet-align=1",
            "rtpmap:8 G729/8000",
            "rtpmap:99 unlisted/8000",
        )
    )
    assert found == (
        Format(97, "AMR", 8000, fmtp="mode-set=0,2,5,7; octet-align=1"),
        Format(8, "G729", 8000),  # RFC 3264 5.1: the profile speaks only where no map does
        Format(96, "opus", 48000, 2),
        STATIC[10],
    )


@pytest.mark.parametrize(
    "media",
    [
        stream("96"),
        stream("128 8000 -1 ٣ * webrtc"),
        stream("96", "rtpmap:96"),
        stream("96", "rtpmap:96 PCMA"),
        stream("96", "rtpmap:96 PCMA/fast"),
        stream("96", "rtpmap:96 PCMA/0"),
        stream("96", "rtpmap:96 PCMA/8000/0"),
        stream("96", "rtpmap:97 PCMA/8000"),
    ],
)
def test_a_number_without_a_usable_meaning_is_left_out(media: MediaDescription) -> None:
    assert formats_of(media) == ()


def test_codecs_are_compared_without_their_numbers() -> None:
    assert Format(97, "iLBC", 8000, fmtp="mode=20").is_same_codec(Format(99, "ILBC", 8000))
    assert not Format(97, "AMR", 8000).is_same_codec(Format(97, "AMR-WB", 16000))
    assert not STATIC[10].is_same_codec(STATIC[11])


def test_g722_takes_twice_as_many_samples_as_its_clock_counts() -> None:
    assert (STATIC[9].clock_hz, STATIC[9].sampling_hz) == (8000, 16000)
    assert (PCMA.clock_hz, PCMA.sampling_hz) == (8000, 8000)


def test_formats_are_written_as_the_profile_writes_them() -> None:
    formats = (PCMA, Format(96, "opus", 48000, 2, "useinbandfec=1"))
    assert [str(line) for line in attributes_of(formats)] == [
        "rtpmap:8 PCMA/8000",
        "rtpmap:96 opus/48000/2",
        "fmtp:96 useinbandfec=1",
    ]


@given(st.lists(st.text("0189 ")), st.lists(st.tuples(st.sampled_from(["rtpmap", "fmtp"]), st.text("0189 PCMA/.\n"))))
def test_nothing_in_a_stream_makes_it_stumble(numbers: list[str], attributes: list[tuple[str, str]]) -> None:
    media = MediaDescription("audio", 9, "RTP/AVP", tuple(numbers), attributes=tuple(Attribute(*a) for a in attributes))
    assert all(0 <= one.payload_type < 128 and one.clock_hz > 0 for one in formats_of(media))


NAME = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)
FMTP = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="=;, "), max_size=20).map(
    str.strip
)


@given(
    st.lists(
        st.builds(Format, st.integers(0, 127), NAME, st.integers(1, 192000), st.integers(1, 8), FMTP),
        unique_by=lambda one: one.payload_type,
    )
)
def test_reading_undoes_writing(formats: list[Format]) -> None:
    numbers = tuple(str(one.payload_type) for one in formats)
    media = MediaDescription("audio", 9, "RTP/AVP", numbers, attributes=attributes_of(formats))
    assert formats_of(media) == tuple(formats)
