"""Bodies in, the same bodies out, and nothing that a peer writes makes the parser stumble."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.sdp.session import (
    Attribute,
    Bandwidth,
    Connection,
    Line,
    MediaDescription,
    Origin,
    SessionDescription,
    Timing,
    parse,
)

EXAMPLES = {
    match[1]: match[2].replace("\n", "\r\n").encode()
    for name in ("rfc3264.txt", "rfc4317.txt")
    for match in re.finditer(r"^== (.*)\n((?:\w=.*\n)+)", Path(__file__).with_name(name).read_text(), re.MULTILINE)
}

# An offer as a VoLTE phone sends it: what the phone does not know must come out untouched.
VOLTE = b"""v=0\r
o=rue 3262464865 3262464865 IN IP6 2001:db8::1\r
s=-\r
i=a call\r
c=IN IP6 2001:db8::1\r
b=AS:41\r
t=3034423619 3042462419\r
r=604800 3600 0 90000\r
z=2882844526 -1h\r
k=prompt\r
a=sendonly\r
m=audio 49152 RTP/AVP 97 98\r
i=speech\r
b=AS:41\r
b=RS:0\r
b=RR:2000\r
a=rtpmap:97 AMR-WB/16000/1\r
a=fmtp:97 mode-change-capability=2; max-red=220\r
a=rtpmap:98 telephone-event/16000\r
a=curr:qos local none\r
a=des:qos mandatory local sendrecv\r
a=x-caf\xe9: as it came \r
a=inactive\r
m=video 49154/2 RTP/AVPF 100\r
c=IN IP4 233.252.0.1/127/3\r
"""


def test_the_examples_are_there() -> None:
    assert len(EXAMPLES) == 54 + 8


@pytest.mark.parametrize("body", [*EXAMPLES.values(), VOLTE], ids=[*EXAMPLES, "VoLTE"])
def test_a_proper_body_comes_out_as_it_went_in(body: bytes) -> None:
    assert bytes(parse(body)) == body


def test_what_the_lines_say() -> None:
    session = parse(VOLTE)
    assert session.origin == Origin(3262464865, 3262464865, "2001:db8::1", "IP6", "IN", "rue")
    assert session.connection == Connection.to("2001:db8::1")
    assert session.bandwidths == (Bandwidth("AS", 41),)
    assert session.times == (Timing(3034423619, 3042462419, ("604800 3600 0 90000",)),)
    assert session.others == (Line("i", "a call"), Line("z", "2882844526 -1h"), Line("k", "prompt"))
    audio, video = session.media
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == ("audio", 49152, "RTP/AVP", ("97", "98"))
    assert audio.get_all("rtpmap") == ["97 AMR-WB/16000/1", "98 telephone-event/16000"]
    assert audio.bandwidth("RR") == 2000
    assert audio.get("curr") == "qos local none"
    assert audio.get("ptime") is None
    assert (video.port, video.port_count, video.bandwidth("AS")) == (49154, 2, None)


def test_a_stream_inherits_from_its_session() -> None:
    session = parse(VOLTE)
    audio, video = session.media
    assert session.direction_of(audio) == "inactive"
    assert session.direction_of(video) == "sendonly"
    assert session.connection_of(audio) == session.connection
    assert session.connection_of(video) == Connection("233.252.0.1/127/3")
    bare = parse(EXAMPLES["2.1 Audio and Video 1: Offer"])
    assert bare.direction_of(bare.media[0]) == "sendrecv"  # RFC 3264 5.1: the default


def test_sloppy_peers_are_understood() -> None:
    proper = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n"
    sloppy = b"v=0 \n\no=-  1 1 IN IP4 192.0.2.1 \nc=IN  IP4 192.0.2.1\nm=audio  9 RTP/AVP 8 \n\r\n  \n"
    assert bytes(parse(sloppy)) == proper
    assert parse(sloppy.decode()) == parse(proper)
    marked = parse(proper + b"a=recvonly \r\n")
    assert marked.direction_of(marked.media[0]) == "recvonly"


def test_lines_are_printed_in_the_order_of_the_grammar() -> None:
    jumbled = (
        "v=0\na=tool:x\nx=unknown\nb=CT:9\nt=0 0\nr=1 2 3\nc=IN IP4 192.0.2.1\ns=talk\no=- 1 1 IN IP4 h\n"
        "m=audio 9 RTP/AVP 8\na=inactive\nb=AS:80\nc=IN IP4 192.0.2.2\nc=IN IP4 192.0.2.3\ni=title\n"
    )
    letters = [line[0] for line in str(parse(jumbled)).split("\r\n") if line]
    assert "".join(letters) == "voscbtrxa" + "miccba"


def test_a_description_built_here_is_read_back() -> None:
    built = SessionDescription(
        Origin(7, 1, "127.0.0.1"),
        connection=Connection.to("127.0.0.1"),
        attributes=(Attribute("sendrecv"), Attribute("empty", "")),
        media=(MediaDescription("audio", 4000, "RTP/AVP", ("8",), bandwidths=(Bandwidth("AS", 80),)),),
    )
    assert str(built) == (
        "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\na=sendrecv\r\na=empty:\r\n"
        "m=audio 4000 RTP/AVP 8\r\nb=AS:80\r\n"
    )
    assert parse(bytes(built)) == built


@pytest.mark.parametrize(
    ("body", "offset"),
    [
        ("", 0),
        ("v=1\n", 0),
        ("o=- 1 1 IN IP4 h\n", 0),
        ("v=0\ns=-\n", 8),
        ("v=0\no=- 1 1 IN IP4\n", 6),
        ("v=0\no=- one 1 IN IP4 h\n", 6),
        ("v=0\no=- 1 123456789012345678901 IN IP4 h\n", 6),
        ("v=0\no=- 1 1 IN IP4 h\no=- 1 1 IN IP4 h\n", 21),
        ("v=0\no=- 1 1 IN IP4 h\nhello\n", 21),
        ("v=0\no=- 1 1 IN IP4 h\nc=IN IP4\n", 23),
        ("v=0\no=- 1 1 IN IP4 h\nb=AS:lots\n", 23),
        ("v=0\no=- 1 1 IN IP4 h\nr=7d 1h 0\n", 21),
        ("v=0\no=- 1 1 IN IP4 h\nt=0\n", 23),
        ("v=0\no=- 1 1 IN IP4 h\nm=audio 9 RTP/AVP\n", 23),
        ("v=0\no=- 1 1 IN IP4 h\nm=audio 65536 RTP/AVP 8\n", 23),
        ("v=0\no=- 1 1 IN IP4 h\nm=audio -1 RTP/AVP 8\n", 23),
        ("v=0\no=- 1 1 IN IP4 h\nm=audio ٣ RTP/AVP 8\n", 23),
        ("v=0\no=- 1 1 IN IP4 h\nm=audio 9 RTP/AVP 8\nv=0\n", 41),  # RFC 3264 5: one description only
        ("v=0\n\ud800\n", 4),
    ],
)
def test_what_is_no_description_says_where(body: str, offset: int) -> None:
    with pytest.raises(ParseError) as caught:
        parse(body)
    assert caught.value.offset == offset


PIECES = st.sampled_from(
    [line for body in (VOLTE, EXAMPLES["3.2 Hold with Two Streams: Offer"]) for line in body.splitlines(keepends=True)]
    + [
        b"v=0\r\n",
        b"o=- 1 1 IN IP4 h\r\n",
        b"m=audio 0 RTP/AVP 8\n",
        b"\n",
        b"c=",
        b"x=y\r\r\n",
        b"a=a:b:c \xff\n",
        b"=",
    ]
)


@given(st.binary() | st.lists(PIECES | st.binary(max_size=6)).map(b"".join) | st.text())
def test_any_input_is_a_description_or_a_parse_error(body: bytes | str) -> None:
    try:
        session = parse(body)
    except ParseError:
        return
    assert parse(bytes(session)) == session


WORD = st.text(st.characters(codec="utf-8", categories=["L", "N", "S", "P"]), min_size=1)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"))
NUMBER = st.integers(0, 2**62)
ATTRIBUTES = st.lists(st.builds(Attribute, WORD.map(lambda w: w.replace(":", ";")), TEXT | st.none())).map(tuple)
CONNECTION = st.builds(Connection, WORD, WORD, WORD)
BANDWIDTHS = st.lists(st.builds(Bandwidth, st.sampled_from(["AS", "RS", "X-Y"]), NUMBER)).map(tuple)
STREAMS = st.builds(
    MediaDescription,
    WORD,
    st.integers(0, 65535),
    WORD,
    st.lists(WORD, min_size=1).map(tuple),
    port_count=st.integers(1, 9),
    connection=CONNECTION | st.none(),
    bandwidths=BANDWIDTHS,
    attributes=ATTRIBUTES,
    others=st.lists(st.builds(Line, st.just("i"), TEXT)).map(tuple),
)


@given(
    st.builds(
        SessionDescription,
        st.builds(Origin, NUMBER, NUMBER, WORD, WORD, WORD, WORD),
        name=TEXT,
        connection=CONNECTION | st.none(),
        bandwidths=BANDWIDTHS,
        times=st.lists(st.builds(Timing, NUMBER, NUMBER, st.lists(TEXT).map(tuple)), min_size=1).map(tuple),
        attributes=ATTRIBUTES,
        media=st.lists(STREAMS).map(tuple),
        others=st.lists(st.builds(Line, st.just("e"), TEXT)).map(tuple),
    )
)
def test_parse_undoes_print(session: SessionDescription) -> None:
    assert parse(bytes(session)) == session
