"""Reports in and out, the clock of NTP, and when to report."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.rtp.rtcp import (
    Bye,
    Chunk,
    Item,
    ReceiverReport,
    ReportBlock,
    RtcpSchedule,
    SenderReport,
    SourceDescription,
    Unknown,
    compound,
    interval_s,
    middle_of,
    ntp_of,
    parse,
    unix_ns_of,
)

# Field by field after RFC 3550 6.4.1, 6.5 and 6.6: an SR with one block, a CNAME, a BYE with a reason.
SR = "81c8 000c 00000001 b44db705 20000000 000003e8 00000032 00001f40"
BLOCK = "00000002 40 fffffd 0001ffff 00000050 b7052000 00054000"
SDES = "81ca 0003 00000001 01 05" + b"a@b.c".hex() + "00"
BYE = "81cb 0003 00000001 06" + b"camera".hex() + "00"
BLOCK_READ = ReportBlock(2, 0x40, -3, 0x1FFFF, 80, 0xB7052000, 0x00054000)
COMPOUND_READ = (
    SenderReport(1, 0xB44DB70520000000, 1000, 50, 8000, (BLOCK_READ,)),
    SourceDescription((Chunk(1, (Item(1, "a@b.c"),)),)),
    Bye((1,), "camera"),
)


def test_a_compound_in_and_out() -> None:
    data = bytes.fromhex(SR + BLOCK + SDES + BYE)
    assert parse(data) == COMPOUND_READ
    assert compound(COMPOUND_READ) == data


def test_an_empty_receiver_report_is_eight_octets() -> None:
    data = bytes.fromhex("80c9 0001 deadbeef")
    assert parse(data) == (ReceiverReport(0xDEADBEEF),)
    assert bytes(ReceiverReport(0xDEADBEEF)) == data


def test_the_cname_of_a_source() -> None:
    description = SourceDescription.named(7, "rue@ims.example")
    assert description.cname_of(7) == "rue@ims.example"
    assert description.cname_of(8) is None
    assert parse(compound((ReceiverReport(7), description)))[1] == description


def test_a_description_ends_on_a_word_with_a_zero_at_least() -> None:
    # RFC 3550 6.5: an item that fills its word is followed by a whole word of zeros
    data = bytes(SourceDescription.named(1, "ab"))
    assert data == bytes.fromhex("81ca 0003 00000001 01 02 6162 00000000")


def test_unknown_packets_are_kept() -> None:
    app = Unknown(204, 5, b"\0\0\0\1NAMEdata")
    feedback = Unknown(205, 1, bytes(8))
    assert parse(compound((ReceiverReport(1), app, feedback))) == (ReceiverReport(1), app, feedback)


def test_extensions_of_a_report_are_kept() -> None:
    report = ReceiverReport(1, (BLOCK_READ,), b"more")
    assert parse(bytes(report)) == (report,)


def test_padding_of_the_last_packet_is_taken_off() -> None:
    data = bytes.fromhex("80c9 0001 00000001" + "a1cb 0002 00000001 00000004")
    assert parse(data) == (ReceiverReport(1), Bye((1,)))


@pytest.mark.parametrize("lost", [0, 1, -1, 0x7FFFFF, -0x800000])
def test_losses_are_signed(lost: int) -> None:
    report = ReceiverReport(1, (ReportBlock(2, 0, lost, 0, 0),))
    assert parse(bytes(report)) == (report,)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "80c9",
        "40c9 0001 00000001",  # version
        "80c9 0002 00000001",  # longer than the datagram
        "80c9 0000 00000001",  # ends within a header
        "80c9 0000",  # no SSRC
        "81c9 0001 00000001",  # a block too few
        "80c8 0001 00000001",  # no sender information
        SDES,  # no report first (A.2)
        "a0c9 0002 00000001 00000004",  # padding in the first packet (A.2)
        "80c9 0001 00000001 a1cb 0002 00000001 00000004 80cb 0000",  # padding not in the last
        "80c9 0001 00000001 a1cb 0002 00000001 00000003",  # padding of no whole word
        "80c9 0001 00000001 a1cb 0002 00000001 0000000c",  # padding longer than the packet
        "80c9 0001 00000001 a0cb 0000",  # padding of nothing
        "80c9 0001 00000001 82ca 0002 00000001 00000000",  # a chunk too few
        "80c9 0001 00000001 81ca 0002 00000001 01090000",  # an item too long
        "80c9 0001 00000001 82cb 0001 00000001",  # a source too few
        "80c9 0001 00000001 81cb 0002 00000001 04616161",  # a reason too long
    ],
)
def test_what_is_no_compound_is_refused(data: str) -> None:
    with pytest.raises(ParseError):
        parse(bytes.fromhex(data))


def test_a_packet_holds_thirty_one_entries() -> None:
    block = ReportBlock(2, 0, 0, 0, 0)
    full = ReceiverReport(1, (block,) * 31)
    assert parse(bytes(full)) == (full,)
    with pytest.raises(ValueError, match="32 entries are too many"):
        bytes(ReceiverReport(1, (block,) * 32))


@given(st.binary() | st.binary().map(lambda tail: bytes.fromhex("80c9 0001 00000001") + tail))
def test_any_datagram_is_a_compound_or_a_parse_error(data: bytes) -> None:
    try:
        packets = parse(data)
    except ParseError:
        return
    assert parse(compound(packets)) == packets


WORD = st.integers(0, 2**32 - 1)
BLOCKS = st.lists(
    st.builds(ReportBlock, WORD, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), WORD, WORD, WORD, WORD),
    max_size=31,
).map(tuple)
WORDS = st.lists(st.binary(min_size=4, max_size=4), max_size=9).map(b"".join)
TEXT = st.text(max_size=60)
REPORTS = st.builds(ReceiverReport, WORD, BLOCKS, WORDS) | st.builds(
    SenderReport, WORD, st.integers(0, 2**64 - 1), WORD, WORD, WORD, BLOCKS, WORDS
)
CHUNKS = st.builds(Chunk, WORD, st.lists(st.builds(Item, st.integers(1, 255), TEXT)).map(tuple))
OTHERS = (
    st.builds(SourceDescription, st.lists(CHUNKS, max_size=31).map(tuple))
    | st.builds(Bye, st.lists(WORD, max_size=31).map(tuple), TEXT)
    | st.builds(Unknown, st.integers(204, 255), st.integers(0, 31), WORDS)
)


@given(REPORTS, st.lists(REPORTS | OTHERS, max_size=4))
def test_parse_undoes_print(first: SenderReport, more: list[Bye]) -> None:
    packets = (first, *more)
    assert parse(compound(packets)) == packets


# Time ---------------------------------------------------------------------------------------------------------------


def test_the_round_trip_of_rfc_3550_figure_2() -> None:
    sent_ns = 816_003_205_125_000_000  # 10 Nov 1995 11:33:25.125 UTC
    back_ns = 816_003_216_500_000_000  # 10 Nov 1995 11:33:36.5 UTC
    assert ntp_of(sent_ns) == 0xB44DB705_20000000
    assert middle_of(ntp_of(sent_ns)) == 0xB7052000
    assert middle_of(ntp_of(back_ns)) == 0xB7108000
    block = ReportBlock(1, 0, 0, 0, 0, lsr=0xB7052000, dlsr=0x00054000)
    assert block.round_trip_s(back_ns) == 6.125


def test_there_is_no_round_trip_before_our_first_report_came_back() -> None:
    assert ReportBlock(1, 0, 0, 0, 0).round_trip_s(0) is None


def test_a_round_trip_that_cannot_be_is_none() -> None:
    block = ReportBlock(1, 0, 0, 0, 0, lsr=0xB7052000, dlsr=0x00200000)
    assert block.round_trip_s(816_003_216_500_000_000) is None


def test_ntp_begins_its_second_era_in_2036() -> None:
    last_ns = 2_085_978_495_000_000_000  # 7 Feb 2036 06:28:15 UTC
    assert ntp_of(last_ns) == 0xFFFFFFFF_00000000
    assert ntp_of(last_ns + 1_000_000_000) == 0
    assert unix_ns_of(0xFFFFFFFF_00000000) == last_ns
    assert unix_ns_of(0) == last_ns + 1_000_000_000


@given(st.integers(0, 4_000_000_000_000_000_000))  # 1970 to 2096
def test_times_survive_the_way_to_ntp_and_back(unix_ns: int) -> None:
    assert unix_ns_of(ntp_of(unix_ns)) == unix_ns


# When to report -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "senders", "is_sender", "is_initial", "interval"),
    [
        (2, 2, True, False, 5.0),
        (2, 2, True, True, 2.5),
        (1000, 1000, True, False, 500.0),  # all alike: 1000 x 100 octets at 200 octets a second
        (1000, 10, True, False, 20.0),  # ten senders share a quarter: 10 x 100 / 50
        (1000, 10, False, False, 660.0),  # 990 receivers share the rest: 990 x 100 / 150
        (1000, 250, True, False, 500.0),  # at a quarter both come out alike
        (1000, 250, False, False, 500.0),
        (4, 0, False, False, 5.0),
    ],
)
def test_the_calculated_interval_of_rfc_3550_a_7(
    members: int, senders: int, is_sender: bool, is_initial: bool, interval: float
) -> None:
    assert interval_s(members, senders, 1600, is_sender, 100, is_initial) == pytest.approx(interval)


COMPENSATION = 2.71828 - 1.5


def test_the_first_report_comes_early() -> None:
    assert RtcpSchedule(100.0, 0.0).deadline == pytest.approx(100 + 1.25 / COMPENSATION, abs=1e-4)
    assert RtcpSchedule(100.0, 1.0).deadline == pytest.approx(100 + 3.75 / COMPENSATION, abs=1e-4)


def test_later_reports_come_every_five_seconds_or_so() -> None:
    schedule = RtcpSchedule(0.0, 0.5)
    schedule.rtcp_sent(80, 10.0, 0.0)
    assert schedule.deadline == pytest.approx(10 + 2.5 / COMPENSATION, abs=1e-4)
    schedule.rtcp_sent(80, 20.0, 1.0)
    assert schedule.deadline == pytest.approx(20 + 7.5 / COMPENSATION, abs=1e-4)


def test_a_report_is_not_due_before_its_time() -> None:
    schedule = RtcpSchedule(0.0, 0.5)
    assert schedule.deadline is not None
    before = schedule.deadline
    assert not schedule.is_due(before - 0.001, 0.0)
    assert schedule.deadline == before
    assert schedule.is_due(before, 0.5)


def test_a_longer_draw_moves_the_deadline() -> None:
    schedule = RtcpSchedule(0.0, 0.0)
    assert schedule.deadline is not None
    assert not schedule.is_due(schedule.deadline, 1.0)  # RFC 3550 6.3.6: timer reconsideration
    assert schedule.deadline == pytest.approx(3.75 / COMPENSATION, abs=1e-4)
    assert schedule.is_due(schedule.deadline, 0.0)


def test_an_sr_follows_what_was_sent_since_the_report_before_the_last() -> None:
    schedule = RtcpSchedule(0.0, 0.5)
    assert not schedule.is_sender
    schedule.rtp_sent(1.0)
    assert schedule.is_sender
    schedule.rtcp_sent(80, 2.0, 0.5)
    assert schedule.is_sender
    schedule.rtcp_sent(80, 7.0, 0.5)
    assert not schedule.is_sender  # RFC 3550 6.4: nothing since 2.0
    schedule.rtp_sent(8.0)
    assert schedule.is_sender


def test_the_size_of_reports_is_averaged_over_sixteen() -> None:
    schedule = RtcpSchedule(0.0, 0.5, rtcp_bps=200, first_bytes=72)  # 100 octets with UDP and IP (RFC 3550 6.2)
    schedule.rtcp_received(472, 1.0)
    schedule.rtcp_sent(97, 2.0, 0.5)
    assert schedule.deadline is not None
    # Two receivers share three quarters of 25 octets a second; 100 + 400/16 = 125 octets, and again 125.
    assert (schedule.deadline - 2.0) * COMPENSATION == pytest.approx(2 * 125 / 18.75, rel=1e-4)


def test_a_peer_counts_until_it_leaves_or_falls_silent() -> None:
    # 200 bit/s for reports of 100 octets with UDP and IP below: 4 s of the budget each, so that numbers show.
    def calculated_s(schedule: RtcpSchedule, now: float) -> float:
        schedule.rtcp_sent(72, now, 0.5)
        assert schedule.deadline is not None
        return (schedule.deadline - now) * COMPENSATION

    schedule = RtcpSchedule(0.0, 0.5, rtcp_bps=200, first_bytes=72)
    alone_s = calculated_s(schedule, 1.0)
    schedule.rtcp_received(72, 2.0)
    assert calculated_s(schedule, 2.0) == pytest.approx(2 * alone_s, rel=1e-3)
    schedule.bye_received()
    assert calculated_s(schedule, 3.0) == pytest.approx(alone_s, rel=1e-3)
    schedule.rtcp_received(72, 4.0)
    assert calculated_s(schedule, 4.0 + 1000) == pytest.approx(alone_s, rel=1e-3)


def test_without_a_budget_there_are_no_reports() -> None:
    schedule = RtcpSchedule(0.0, 0.5, rtcp_bps=0)
    assert schedule.deadline is None
    assert not schedule.is_due(1e9, 0.0)
    schedule.rtp_received(1.0)
    schedule.rtcp_received(80, 1.0)
    schedule.rtcp_sent(80, 2.0, 0.5)
    assert schedule.deadline is None


@given(st.lists(st.floats(0, 1), min_size=200, max_size=200))
def test_a_call_keeps_within_its_budget(draws: list[float]) -> None:
    # 200 s of a call, both talking: never closer than half of five seconds by the compensation, never silent for long.
    schedule = RtcpSchedule(0.0, draws[0])
    now, sent = 0.0, [0.0]
    for factor in draws:
        schedule.rtp_sent(now)
        schedule.rtp_received(now)
        assert schedule.deadline is not None
        assert schedule.deadline >= now
        now = schedule.deadline
        if schedule.is_due(now, factor):
            schedule.rtcp_sent(80, now, factor)
            sent.append(now)
    gaps = [after - before for before, after in pairwise(sent[1:])]
    assert all(2.05 <= gap <= 6.16 for gap in gaps)
