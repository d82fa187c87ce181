"""Offers and answers of one dialog, and what the application hears of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError, ProfileError
from imsphone.events import CallHeld, CallResumed, MediaChanged, MediaStarted
from imsphone.ims.negotiation import Negotiation, formats_for
from imsphone.machine import Address, Tell
from imsphone.sdp.session import parse

LOCAL = Address("127.0.20.1", 40000)


def negotiation(*codecs: str) -> Negotiation:
    return Negotiation(LOCAL, formats_for(codecs or ("PCMA", "PCMU")), 7, 20)


def theirs(direction: str = "sendrecv", *, payload: str = "8", port: int = 50000, version: int = 1) -> bytes:
    lines = f"""\
v=0
o=- 9 {version} IN IP4 127.0.10.50
s=-
c=IN IP4 127.0.10.50
t=0 0
m=audio {port} RTP/AVP {payload}
a={direction}
"""
    return lines.replace("\n", "\r\n").encode()


def events(one: Negotiation) -> list[Any]:
    return [effect.event for effect in one.news("call", 1.0) if isinstance(effect, Tell)]


def test_codecs_keep_the_order_of_the_profile() -> None:
    assert [one.encoding for one in formats_for(("pcmu", "PCMA"))] == ["PCMU", "PCMA"]
    with pytest.raises(ProfileError, match="codecs names AMR, which this phone does not have; it has PCMA, PCMU"):
        formats_for(("PCMA", "AMR"))


def test_our_offer_and_their_answer_start_media() -> None:
    one = negotiation()
    offer = parse(one.offer())
    assert offer.media[0].formats == ("8", "0")
    assert one.is_offering
    assert one.conclude(theirs(payload="0"))
    assert not one.is_offering
    assert events(one) == [
        MediaStarted(
            at=1.0,
            call="call",
            local=("127.0.20.1", 40000),
            remote=("127.0.10.50", 50000),
            codec="PCMU",
            payload_type=0,
            clock_hz=8000,
            ptime_ms=20,
            direction="sendrecv",
            receives=((0, "PCMU"),),
            remote_rtcp=("127.0.10.50", 50001),
            rtcp_bps=4000,
        )
    ]
    assert events(one) == []


def test_an_answer_without_a_common_codec_is_none() -> None:
    one = negotiation()
    one.offer()
    assert not one.conclude(theirs(payload="18"))
    assert events(one) == []


def test_hold_and_resume_are_told_once() -> None:
    one = negotiation()
    assert one.answer(theirs()) is not None
    assert [type(event) for event in events(one)] == [MediaStarted]
    answer = one.answer(theirs("sendonly", version=2))
    assert answer is not None
    assert b"a=recvonly" in answer
    changed, held = events(one)
    assert isinstance(changed, MediaChanged)
    assert changed.direction == "recvonly"
    assert isinstance(held, CallHeld)
    one.answer(theirs("inactive", version=3))
    assert [type(event) for event in events(one)] == [MediaChanged]
    one.answer(theirs(version=4))
    changed, resumed = events(one)
    assert changed.direction == "sendrecv"
    assert isinstance(resumed, CallResumed)


def test_a_refresh_changes_nothing_and_keeps_its_version() -> None:
    one = negotiation()
    first = one.answer(theirs())
    events(one)
    assert one.answer(theirs()) == first
    assert events(one) == []


def test_a_moved_stream_is_told() -> None:
    one = negotiation()
    first = one.answer(theirs())
    events(one)
    second = one.answer(theirs(port=50002, version=2))
    assert [event.remote for event in events(one)] == [("127.0.10.50", 50002)]
    assert first == second


def test_a_stream_that_is_taken_away_stands_still() -> None:
    one = negotiation()
    one.answer(theirs())
    events(one)
    assert one.answer(theirs(port=0, version=2)) is not None
    (changed,) = events(one)
    assert changed.direction == "inactive"
    assert events(one) == []


def test_an_offer_that_is_not_for_us_leaves_all_as_it_was() -> None:
    one = negotiation()
    one.answer(theirs())
    agreement = one.agreement
    assert one.answer(theirs(payload="18", version=2)) is None
    assert one.agreement == agreement


def test_an_offer_within_the_session_keeps_what_stands() -> None:
    one = negotiation()
    one.answer(theirs())
    again = parse(one.offer())
    assert again.origin.session_id == 7
    assert one.conclude(theirs())


def test_an_offer_within_the_session_names_all_that_we_have() -> None:
    # RFC 3261 14.2: as if it were a brand new call
    one = negotiation()
    first = one.answer(theirs(payload="8"))
    assert first is not None
    again = parse(one.offer())
    assert parse(first).media[0].formats == ("8",)
    assert again.media[0].formats == ("8", "0")
    assert again.origin.version == parse(first).origin.version + 1
    assert one.conclude(theirs(payload="0", version=2))
    assert one.agreement is not None
    assert one.agreement.encoding == "PCMU"


def test_each_dialog_of_a_fork_has_its_own_answer() -> None:
    offer = negotiation()
    body = offer.offer()
    one, two = offer.fork(), offer.fork()
    assert one.conclude(theirs(payload="0"))
    assert two.is_offering
    assert two.conclude(theirs(payload="8"))
    assert one.agreement is not None
    assert one.agreement.encoding == "PCMU"
    assert two.agreement is not None
    assert two.agreement.encoding == "PCMA"
    assert offer.fork().offer() == body


@given(st.binary(max_size=300))
def test_any_octets_are_an_answer_or_a_parse_error(body: bytes) -> None:
    one = negotiation()
    one.offer()
    for act in (one.conclude, one.answer):
        try:
            act(body)
        except ParseError:
            continue
