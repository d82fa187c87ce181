"""Both directions of a call's voice, and what the two ends tell each other of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.media.codecs.codec import Codec, Pcm
from imsphone.media.codecs.g711 import PCMA, PCMU
from imsphone.media.voice import Voice
from imsphone.rtp import packet as rtp
from imsphone.rtp import rtcp

MS = 1_000_000
BOTH = {8: PCMA, 0: PCMU}


def voice(ssrc: int, *, codec: Codec = PCMA, payload_type: int = 8, ptime_ms: int = 20) -> Voice:
    return Voice(
        codec,
        payload_type,
        ssrc=ssrc,
        first_sequence=65530,
        first_timestamp=2**32 - 400,
        cname=f"{ssrc:x}@imsphone",
        ptime_ms=ptime_ms,
        receives=BOTH,
    )


def tone(ms: int) -> Pcm:
    return (8000 * np.sin(2 * np.pi * 300 * np.arange(8 * ms) / 8000)).astype(np.int16)


def talk(alice: Voice, bob: Voice, seconds: int, *, delay_ms: int = 30, gone: frozenset[int] = frozenset()) -> Pcm:
    """Alice's tone, packet by packet, to Bob; what Bob heard."""
    pcm = tone(1000 * seconds)
    samples = alice.samples_a_packet
    heard = []
    for k in range(pcm.size // samples):
        data = alice.packet(pcm[k * samples : (k + 1) * samples])
        if k not in gone:
            assert bob.received(data, (k * alice.ptime_ms + delay_ms) * MS) is None
        heard += [bob.pull() for _ in range(alice.ptime_ms // 10)]
    return np.concatenate(heard)


@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])
def test_packets_are_numbered_as_rfc_3550_says(ptime_ms: int) -> None:
    alice = voice(1, ptime_ms=ptime_ms)
    samples = 8 * ptime_ms
    assert alice.samples_a_packet == samples
    packets = [rtp.parse(alice.packet(tone(ptime_ms))) for _ in range(10)]
    assert [p.sequence for p in packets] == [(65530 + k) & 0xFFFF for k in range(10)]
    assert [p.timestamp for p in packets] == [(2**32 - 400 + k * samples) & 0xFFFFFFFF for k in range(10)]
    assert [p.marker for p in packets] == [True] + [False] * 9
    assert {(p.ssrc, p.payload_type, len(p.payload)) for p in packets} == {(1, 8, samples)}


def test_after_a_pause_a_talkspurt_begins() -> None:
    alice = voice(1)
    alice.packet(tone(20))
    alice.skip(800)
    packet = rtp.parse(alice.packet(tone(20)))
    assert packet.marker
    assert packet.timestamp == (2**32 - 400 + 160 + 800) & 0xFFFFFFFF
    assert packet.sequence == 65531, "no packet was lost"


@pytest.mark.parametrize(("codec", "payload_type"), [(PCMA, 8), (PCMU, 0)])
def test_what_alice_says_bob_hears(codec: Codec, payload_type: int) -> None:
    alice, bob = voice(1, codec=codec, payload_type=payload_type), voice(2)
    heard = talk(alice, bob, 3)
    assert heard[-8000:].std() == pytest.approx(tone(1000).std(), rel=0.03)
    figures = bob.figures()
    assert (alice.figures().sent, figures.received, figures.lost, figures.late) == (150, 150, 0, 0)
    assert figures.concealed_percent == 0
    assert figures.mos > 4.3


def test_losses_show_in_the_figures() -> None:
    alice, bob = voice(1), voice(2)
    talk(alice, bob, 10, gone=frozenset(range(50, 500, 50)))
    figures = bob.figures()
    assert figures.lost == 9
    assert figures.concealed_percent == pytest.approx(1.8, abs=0.2)
    assert figures.r == pytest.approx(93 - 95 * 1.8 / 26.9, abs=2)


def test_a_second_source_is_not_mixed_in() -> None:
    alice, bob = voice(1), voice(2)
    talk(alice, bob, 1)
    for ssrc in range(1000, 3000):
        assert bob.received(bytes(rtp.Packet(8, ssrc & 0xFFFF, 160 * ssrc, ssrc * 77, bytes(160))), 10**9) is None
    assert bob.figures().received == 50


def test_the_first_two_packets_are_both_heard() -> None:
    """A source is believed with its second packet (RFC 3550 A.1); the first is then played after all."""
    alice, bob = voice(1), voice(2)
    for k in range(2):
        bob.received(alice.packet(np.full(160, 5000, np.int16)), k * 20 * MS)
    heard = np.concatenate([bob.pull() for _ in range(20)])
    assert (heard == PCMA.decode(PCMA.encode(np.array([5000], np.int16)))).sum() >= 320


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not RTP"),
        (b"REGISTER sip:ims.example SIP/2.0\r\n", "not RTP"),
        (bytes(rtp.Packet(96, 1, 1, 1, b"abcd")), "payload type 96 was not agreed on"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, sentence: str) -> None:
    assert sentence in (voice(1).received(data, 0) or "")


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=80)), max_size=20))
def test_garbage_raises_nothing(garbage: list[tuple[bool, bytes]]) -> None:
    bob = voice(2)
    for k, (is_rtcp, data) in enumerate(garbage):
        (bob.received_rtcp if is_rtcp else bob.received)(data, k * MS)
        assert bob.pull().size == 80
    assert bob.figures().as_json()["received"] >= 0


# RTCP ---------------------------------------------------------------------------------------------------------------


def test_reports_give_the_round_trip_and_the_far_ends_losses() -> None:
    alice, bob = voice(1), voice(2)
    talk(alice, bob, 2, gone=frozenset({20, 40}))
    assert alice.figures().round_trip_ms is None
    start = 1_800_000_000_000_000_000
    assert bob.received_rtcp(alice.rtcp(start), start + 40 * MS) is None
    assert alice.received_rtcp(bob.rtcp(start + 540 * MS), start + 600 * MS) is None
    figures = alice.figures()
    assert figures.round_trip_ms == pytest.approx(100, abs=0.1)  # 40 there, 500 at bob's, 60 back
    assert figures.remote_lost_percent == pytest.approx(2.0)
    assert figures.r == pytest.approx(93.2 - 0.024 * (20 + 50), abs=0.01)  # a packet's length and half the way


def test_who_sends_reports_so_and_who_does_not_says_no_bye() -> None:
    alice, bob = voice(1), voice(2)
    talk(alice, bob, 1)
    sender, description = rtcp.parse(alice.rtcp(10**18))
    assert isinstance(sender, rtcp.SenderReport)
    assert (sender.packet_count, sender.octet_count) == (50, 8000)
    assert sender.rtp_timestamp == (2**32 - 400 + 8000) & 0xFFFFFFFF
    assert isinstance(description, rtcp.SourceDescription)
    assert description.cname_of(1) == "1@imsphone"
    receiver, _ = rtcp.parse(bob.bye(10**18))
    assert isinstance(receiver, rtcp.ReceiverReport)
    assert receiver.blocks[0].ssrc == 1
    *_, bye = rtcp.parse(alice.bye(10**18))
    assert bye == rtcp.Bye((1,))


def test_a_report_about_somebody_else_is_not_ours() -> None:
    alice = voice(1)
    block = rtcp.ReportBlock(ssrc=7, fraction_lost=0, cumulative_lost=9, highest_sequence=1, jitter=0, lsr=1, dlsr=1)
    assert alice.received_rtcp(rtcp.compound([rtcp.ReceiverReport(2, (block,))]), 10**18) is None
    assert alice.figures().round_trip_ms is alice.figures().remote_lost_percent is None
