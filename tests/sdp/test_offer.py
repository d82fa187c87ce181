"""Two ends come to terms, as RFC 3264 and the exchanges of RFC 4317 have it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.machine import Address
from imsphone.sdp.formats import PCMA, PCMU, STATIC, Format, formats_of
from imsphone.sdp.offer import Agreement, agree, make_answer, make_offer, make_reoffer, succeed
from imsphone.sdp.session import DIRECTIONS, Attribute, Direction, SessionDescription, parse

ALICE, BOB = Address("127.0.20.1", 40000), Address("127.0.20.2", 50000)
ILBC = Format(97, "iLBC", 8000)


def offered(*formats: Format, direction: Direction = "sendrecv", local: Address = ALICE) -> SessionDescription:
    return make_offer(local, formats or (PCMA,), session_id=4000, version=1, direction=direction)


def answered(
    offer: SessionDescription, *formats: Format, direction: Direction = "sendrecv", local: Address = BOB
) -> SessionDescription:
    answer = make_answer(offer, local, formats or (PCMA,), session_id=5000, version=1, direction=direction)
    assert answer
    return answer


def agreed(local: SessionDescription, remote: SessionDescription) -> Agreement:
    agreement = agree(local, remote)
    assert agreement
    return agreement


def body(*lines: str, host: str = "192.0.2.9") -> SessionDescription:
    """A far end's description with these lines below `t=`."""
    return parse("\n".join(["v=0", f"o=far 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", *lines]))


# The plain case -----------------------------------------------------------------------------------------------------


def test_an_offer_on_the_wire() -> None:
    assert str(offered(PCMA, PCMU)).split("\r\n") == [
        "v=0",
        "o=- 4000 1 IN IP4 127.0.20.1",
        "s=-",
        "c=IN IP4 127.0.20.1",
        "t=0 0",
        "m=audio 40000 RTP/AVP 8 0",
        "b=AS:80",
        "b=RS:0",
        "b=RR:2000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]


def test_ipv6_costs_eight_kilobits_more() -> None:
    offer = offered(local=Address("2001:db8::1", 40000))
    assert "c=IN IP6 2001:db8::1\r\n" in str(offer)
    assert offer.media[0].bandwidth("AS") == 88  # TS 26.114 K.2: (160 + 60) octets, 50 times a second


def test_a_codec_of_unknown_rate_promises_no_bandwidth() -> None:
    assert offered(ILBC).media[0].bandwidth("AS") is None


def test_a_plain_call() -> None:
    offer = offered(PCMA, PCMU)
    answer = answered(offer, PCMU, PCMA)
    assert answer.media[0].formats == ("8", "0")  # RFC 3264 6.1: the offer's order
    for local, remote, here, there in ((offer, answer, ALICE, BOB), (answer, offer, BOB, ALICE)):
        assert agreed(local, remote) == Agreement(
            local=here,
            remote=there,
            remote_rtcp=Address(there.host, there.port + 1),
            rtcp_bps=2000,
            format=PCMA,
            receives=(PCMA, PCMU),
            ptime_ms=20,
            direction="sendrecv",
            is_held=False,
        )


# RFC 4317 -----------------------------------------------------------------------------------------------------------

ADDRESSES = {
    "host.atlanta": "192.0.2.1",
    "newhost.biloxi": "198.51.100.2",
    "otherhost.biloxi": "198.51.100.3",
    "placeholder.biloxi": "198.51.100.4",
    "mediaserver.biloxi": "198.51.100.5",
    "host.biloxi": "198.51.100.1",
}


def rfc_4317() -> dict[str, list[tuple[SessionDescription, SessionDescription]]]:
    """Section number → its exchanges, (offer, answer) each, with addresses for names (we resolve none)."""
    text = Path(__file__).with_name("rfc4317.txt").read_text()
    for name, address in ADDRESSES.items():
        text = re.sub(rf"\b{name}\.example\.com", address, text)
    sections: dict[str, list[SessionDescription]] = {}
    for match in re.finditer(r"^== ([\d.]+) .*\n((?:\w=.*\n)+)", text, re.MULTILINE):
        sections.setdefault(match[1], []).append(parse(match[2]))
    return {number: list(zip(found[::2], found[1::2], strict=True)) for number, found in sections.items()}


RFC_4317 = rfc_4317()
# Section and exchange: codec, the number that the offerer sends, the one that the answerer sends, directions of both.
FLOWS = {
    ("2.1", 0): ("PCMU", 0, 0, "sendrecv", "sendrecv"),
    ("2.2", 0): ("PCMU", 0, 0, "sendrecv", "sendrecv"),
    ("2.2", 1): ("PCMU", 0, 0, "sendrecv", "sendrecv"),
    ("2.3", 0): ("iLBC", 99, 97, "sendrecv", "sendrecv"),
    ("2.4", 0): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("2.5", 0): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("2.5", 1): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("2.6", 0): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("2.7", 0): ("iLBC", 99, 99, "sendrecv", "sendrecv"),
    ("2.7", 1): ("iLBC", 99, 99, "sendrecv", "sendrecv"),
    ("2.8", 0): ("PCMU", 0, 0, "sendrecv", "sendrecv"),
    ("3.1", 0): ("iLBC", 97, 97, "recvonly", "sendonly"),
    ("3.1", 1): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("3.2", 0): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("3.2", 1): ("iLBC", 97, 97, "sendonly", "recvonly"),
    ("4.1", 0): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("4.1", 1): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("4.2", 0): ("PCMU", 0, 0, "sendrecv", "sendrecv"),
    ("4.2", 1): ("PCMU", 0, 0, "sendrecv", "sendrecv"),
    ("4.3", 0): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("4.3", 1): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("5.1", 0): None,
    ("5.1", 1): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("5.2", 0): ("iLBC", 97, 97, "sendrecv", "recvonly"),
    ("5.2", 1): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
    ("5.3", 0): ("iLBC", 97, 97, "recvonly", "sendrecv"),
    ("5.3", 1): ("iLBC", 97, 97, "sendrecv", "sendrecv"),
}


def test_each_exchange_of_rfc_4317_has_its_line() -> None:
    assert {(number, index) for number, found in RFC_4317.items() for index in range(len(found))} == set(FLOWS)


@pytest.mark.parametrize(("section", "index"), FLOWS)
def test_both_ends_read_the_exchanges_of_rfc_4317_alike(section: str, index: int) -> None:
    offer, answer = RFC_4317[section][index]
    flow = FLOWS[section, index]
    offerer, answerer = agree(offer, answer), agree(answer, offer)
    if flow is None:
        assert offerer is answerer is None
        return
    assert offerer
    assert answerer
    assert (offerer.encoding, answerer.encoding) == (flow[0], flow[0])
    assert (offerer.payload_type, answerer.payload_type, offerer.direction, answerer.direction) == flow[1:]
    assert offerer.payload_type in {one.payload_type for one in answerer.receives}
    assert answerer.payload_type in {one.payload_type for one in offerer.receives}
    assert (offerer.remote, answerer.remote) == (answerer.local, offerer.local)


@pytest.mark.parametrize(
    ("section", "index"), [key for key in FLOWS if key not in {("2.5", 1), ("3.2", 1), ("5.3", 1)}]
)
def test_our_answers_are_those_of_rfc_4317_but_for_video(section: str, index: int) -> None:
    # Left out: three answers that list more than the offer does.
    offer, expected = RFC_4317[section][index]
    ours = {one for media in expected.media for one in formats_of(media) if media.port and media.kind == "audio"}
    speech = [one for one in ours if one.encoding != "telephone-event"]
    wish: Direction = "sendonly" if (section, index) == ("3.1", 0) else "sendrecv"
    answer = answered(offer, *speech, direction=wish)
    assert [media.kind for media in answer.media] == [media.kind for media in expected.media]
    taken = next((m for m in answer.media if m.port), None)
    if taken:
        model = expected.media[answer.media.index(taken)]
        assert {one.encoding for one in formats_of(taken)} == {
            one.encoding for one in formats_of(model) if one.encoding != "telephone-event"
        }
        assert answer.direction_of(taken) == expected.direction_of(model)
    assert all(m.port == 0 for m in answer.media if m.kind == "video")


# What an answer is made of ------------------------------------------------------------------------------------------


def test_one_audio_stream_is_taken_and_the_rest_refused_in_place() -> None:
    offer = body(
        "m=video 5000 RTP/AVP 31",
        "m=audio 0 RTP/AVP 8",
        "m=audio 5002 RTP/SAVP 8",
        "m=audio 5004 RTP/AVP 18",
        "m=audio 5006 RTP/AVP 8",
        "m=audio 5008 RTP/AVP 8",
        "m=application 9 DTLS/SCTP webrtc-datachannel",
    )
    answer = answered(offer)
    assert [m.kind for m in answer.media] == [m.kind for m in offer.media]
    assert [m.port for m in answer.media] == [0, 0, 0, 0, BOB.port, 0, 0]
    assert [m.formats for m in answer.media] == [m.formats for m in offer.media]
    assert agreed(answer, offer).remote == Address("192.0.2.9", 5006)


def test_the_answer_lasts_as_long_as_the_offer() -> None:
    offer = replace(body("m=audio 5000 RTP/AVP 8"), times=parse("v=0\no=- 1 1 IN IP4 h\nt=10 20\nt=30 40").times)
    assert answered(offer).times == offer.times  # RFC 3264 6


def test_the_answer_bears_the_numbers_of_the_offer() -> None:
    offer = body("m=audio 5000 RTP/AVP 96 0 97", "a=rtpmap:96 pcma/8000", "a=rtpmap:97 opus/48000/2")
    answer = answered(offer, PCMU, PCMA)
    assert answer.media[0].formats == ("96", "0")
    agreement = agreed(answer, offer)
    assert (agreement.payload_type, agreement.encoding) == (96, "PCMA")  # our spelling, for whoever looks up the codec
    assert [one.payload_type for one in agreement.receives] == [96, 0]


def test_the_far_end_may_renumber_in_its_answer() -> None:
    offer = offered(ILBC, PCMA)
    agreement = agreed(offer, body("m=audio 5000 RTP/AVP 100", "a=rtpmap:100 iLBC/8000"))
    assert agreement.payload_type == 100  # RFC 3264 5.1: what we send
    assert agreement.receives == (ILBC,)  # and what comes keeps the number of the offer


def test_nothing_in_common_is_no_answer() -> None:
    assert make_answer(body("m=audio 5000 RTP/AVP 18"), BOB, (PCMA,), session_id=1, version=1) is None
    assert make_answer(body("m=video 5000 RTP/AVP 31"), BOB, (PCMA,), session_id=1, version=1) is None


@pytest.mark.parametrize("host", ["far.example", "224.2.1.1/127", "2001:db8::1", "nonsense:"])
def test_an_address_that_we_cannot_send_to_is_no_address(host: str) -> None:
    offer = body("m=audio 5000 RTP/AVP 8", f"c=IN IP4 {host}")
    assert make_answer(offer, BOB, (PCMA,), session_id=1, version=1) is None
    assert agree(offered(), offer) is None


def test_an_offer_that_wants_nothing_is_granted_it() -> None:
    assert answered(body()).media == ()  # RFC 3264 6: zero lines for zero lines
    answer = answered(body("m=audio 0 RTP/AVP 8"))
    assert [m.port for m in answer.media] == [0]  # RFC 3264 8.2
    assert agree(answer, body("m=audio 0 RTP/AVP 8")) is None


def test_a_refused_offer_agrees_on_nothing() -> None:
    assert agree(offered(), body("m=audio 0 RTP/AVP 8")) is None
    assert agree(offered(), body("m=audio 5000 RTP/AVP 0")) is None
    assert agree(offered(), body("m=video 5000 RTP/AVP 8")) is None
    assert agree(offered(), body()) is None


# Directions and hold ------------------------------------------------------------------------------------------------

MIRROR: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_direction_is_answered_by_its_mirror(direction: Direction) -> None:
    offer = offered(direction=direction)
    answer = answered(offer)
    assert answer.direction_of(answer.media[0]) == MIRROR[direction]
    assert agreed(offer, answer).direction == direction
    assert agreed(answer, offer).direction == MIRROR[direction]
    assert agreed(answer, offer).is_held is (direction in ("sendonly", "inactive"))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("wish", DIRECTIONS)
def test_an_answer_never_takes_more_than_was_offered(direction: Direction, wish: Direction) -> None:
    # RFC 3264 6.1: what may follow on what
    allowed = {
        "sendrecv": set(DIRECTIONS),
        "sendonly": {"recvonly", "inactive"},
        "recvonly": {"sendonly", "inactive"},
        "inactive": {"inactive"},
    }
    offer = offered(direction=direction)
    answer = answered(offer, direction=wish)
    assert answer.direction_of(answer.media[0]) in allowed[direction]
    assert agreed(offer, answer).direction == MIRROR[agreed(answer, offer).direction]


def test_a_direction_of_the_session_holds_for_its_stream() -> None:
    agreement = agreed(offered(), body("a=sendonly", "m=audio 5000 RTP/AVP 8"))
    assert (agreement.direction, agreement.is_held) == ("recvonly", True)


def test_hold_and_resume() -> None:
    first = answered(body("m=video 5000 RTP/AVP 31", "m=audio 5002 RTP/AVP 8"))
    held = make_reoffer(first, direction="sendonly")
    assert [m.port for m in held.media] == [0, BOB.port]
    assert held.direction_of(held.media[1]) == "sendonly"
    assert held.media[1].bandwidths == first.media[1].bandwidths
    resumed = make_reoffer(held, direction="sendrecv")
    assert resumed.media == first.media
    assert [d.origin.version for d in (first, held, resumed)] == [1, 2, 3]
    assert make_reoffer(resumed, direction="sendrecv") == resumed  # RFC 3264 8: the same again is the same version
    assert make_reoffer(resumed, direction="sendrecv", formats=(PCMA,)) == resumed
    more = make_reoffer(resumed, direction="sendrecv", formats=(PCMU, PCMA))
    assert (more.media[0], more.media[1].formats) == (resumed.media[0], ("8", "0"))


def test_a_later_description_keeps_the_origin_and_counts_up() -> None:
    first = answered(offered())
    moved = answered(offered(), local=Address("127.0.20.3", 6000))
    second = succeed(first, moved)
    assert (second.origin, second.media) == (first.origin._replace(version=2), moved.media)
    assert succeed(second, replace(moved, origin=first.origin)) == second


def test_the_old_hold_is_understood() -> None:
    offer = body("m=audio 5000 RTP/AVP 8", host="0.0.0.0")
    agreement = agreed(answered(offer), offer)
    assert (agreement.direction, agreement.is_held) == ("recvonly", True)
    assert agreement.remote_rtcp is None  # RFC 3264 8.4: neither RTP nor RTCP


# What else the far end may ask for ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "ptime_ms"),
    [
        ((), 20),
        (("a=ptime:30",), 30),
        (("a=ptime:20.0 ",), 20),
        (("a=ptime:60", "a=maxptime:40"), 40),
        (("a=maxptime:10",), 10),
        (("a=maxptime:150",), 20),
        (("a=ptime:33",), 30),
        (("a=ptime:5",), 10),
        (("a=ptime:1000",), 200),
        (("a=ptime:0",), 20),
        (("a=ptime:-20",), 20),
        (("a=ptime:nan", "a=maxptime:inf"), 20),
        (("a=ptime:soon",), 20),
    ],
)
def test_packets_are_as_long_as_the_far_end_likes(lines: tuple[str, ...], ptime_ms: int) -> None:
    assert agreed(offered(), body("m=audio 5000 RTP/AVP 8", *lines)).ptime_ms == ptime_ms


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (("a=rtcp:53020",), Address("192.0.2.9", 53020)),
        (("a=rtcp:53020 IN IP4 126.16.64.4",), Address("126.16.64.4", 53020)),
        (("a=rtcp:53020 IN IP6 2001:db8::1",), Address("192.0.2.9", 53020)),
        (("a=rtcp:",), Address("192.0.2.9", 5001)),
        (("a=rtcp:65535",), Address("192.0.2.9", 65535)),
        (("a=rtcp:65536",), None),
        (("a=rtcp:0",), None),
        (("b=RS:0", "b=RR:0"), None),
        (("b=AS:0",), None),
    ],
)
def test_reports_go_where_the_far_end_wants_them(lines: tuple[str, ...], address: Address | None) -> None:
    assert agreed(offered(), body("m=audio 5000 RTP/AVP 8", *lines)).remote_rtcp == address


def test_there_is_no_port_above_the_last() -> None:
    assert agreed(offered(), body("m=audio 65535 RTP/AVP 8")).remote_rtcp is None


@pytest.mark.parametrize(
    ("lines", "rtcp_bps"),
    [
        (("b=RS:800", "b=RR:2400"), 3200),
        (("b=AS:64",), 3200),  # RFC 3550 6.2: a twentieth
        (("b=AS:64", "b=RS:0"), 2400),
        ((), 4000),
        (("b=AS:0",), 0),
    ],
)
def test_reports_cost_what_the_far_end_allows(lines: tuple[str, ...], rtcp_bps: int) -> None:
    assert agreed(offered(), body("m=audio 5000 RTP/AVP 8", *lines)).rtcp_bps == rtcp_bps


def test_a_bandwidth_of_zero_wants_no_media() -> None:
    assert agreed(offered(), body("m=audio 5000 RTP/AVP 8", "b=AS:0")).direction == "recvonly"


# Whatever comes -----------------------------------------------------------------------------------------------------

LINES = st.sampled_from(
    [
        "m=audio 5000 RTP/AVP 8 0 97",
        "m=audio 5000 RTP/AVP 0",
        "m=audio 0 RTP/AVP 8",
        "m=audio 5000 RTP/AVP *",
        "m=video 1 RTP/AVP 31",
        "m=audio 65535 RTP/AVP 97",
        "m=audio 5000 RTP/SAVP 8",
        "m=audio 5000/2 RTP/AVP 8 101",
        "c=IN IP4 0.0.0.0",
        "c=IN IP4 192.0.2.7",
        "c=IN IP6 ::1",
        "c=IN IP4 host",
        "b=AS:0",
        "b=AS:64",
        "b=RS:0",
        "b=RR:0",
        "a=sendonly",
        "a=recvonly",
        "a=inactive",
        "a=sendrecv",
        "a=ptime:30",
        "a=ptime:x",
        "a=maxptime:1e9",
        "a=rtcp:1",
        "a=rtcp:x y z w",
        "a=rtpmap:97 iLBC/8000",
        "a=rtpmap:97 PCMA/8000",
        "a=rtpmap:8 x/0",
        "a=fmtp:97 mode=20",
        "a=rtcp:5 IN IP4 nowhere",
        "x=y",
    ]
)
BODIES = st.lists(LINES, max_size=12).map(lambda lines: body(*lines))
ANY_FORMATS = st.lists(st.sampled_from([PCMA, PCMU, ILBC, STATIC[18]]), min_size=1, max_size=3, unique=True)


@given(BODIES, ANY_FORMATS, st.sampled_from(DIRECTIONS))
def test_an_answer_matches_its_offer_line_by_line(
    offer: SessionDescription, formats: list[Format], wish: Direction
) -> None:
    answer = make_answer(offer, BOB, formats, session_id=1, version=1, direction=wish)
    if answer is None:
        return
    assert parse(bytes(answer)) == answer
    assert [m.kind for m in answer.media] == [m.kind for m in offer.media]
    assert all(theirs.port or not ours.port for ours, theirs in zip(answer.media, offer.media, strict=True))
    assert sum(1 for m in answer.media if m.port) <= 1
    agreement = agree(answer, offer)
    assert (agreement is not None) == any(m.port for m in answer.media)
    if agreement:
        listed = {one.payload_type for m in offer.media for one in formats_of(m)}
        assert {one.payload_type for one in (agreement.format, *agreement.receives)} <= listed


@given(BODIES, BODIES)
def test_any_two_descriptions_agree_or_do_not(local: SessionDescription, remote: SessionDescription) -> None:
    agreement = agree(local, remote)
    if agreement:
        assert 10 <= agreement.ptime_ms <= 200
        assert agreement.remote_rtcp is None or 0 < agreement.remote_rtcp.port < 65536
        assert agreement.format.payload_type in {one.payload_type for m in remote.media for one in formats_of(m)}


@given(st.lists(st.sampled_from(DIRECTIONS), max_size=8))
def test_versions_count_changes(directions: list[Direction]) -> None:
    description = offered()
    turns = count(description.origin.version)
    last, version = "sendrecv", next(turns)
    for direction in directions:
        description = make_reoffer(description, direction=direction)
        version = version if direction == last else next(turns)
        last = direction
        assert description.origin.version == version
        assert description.media[0].attributes[-1] == Attribute(direction)


@given(st.binary())
def test_a_mutilated_offer_is_refused_or_answered(tail: bytes) -> None:
    try:
        offer = parse(bytes(offered()) + tail)
    except ParseError:
        return
    make_answer(offer, BOB, (PCMA,), session_id=1, version=1)
    agree(offered(), offer)
