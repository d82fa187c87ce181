"""What a receiver counts, by hand and by the algorithms of RFC 3550 appendix A."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.rtp.packet import Packet
from imsphone.rtp.reception import Reception
from imsphone.rtp.rtcp import ReportBlock, SenderReport

FRAME_NS = 20_000_000


def packet(number: int, *, ssrc: int = 1, timestamp: int | None = None) -> Packet:
    """The `number`-th packet of 20 ms at 8 kHz."""
    return Packet(8, number & 0xFFFF, (number * 160 if timestamp is None else timestamp) & 0xFFFFFFFF, ssrc)


def heard(*numbers: int, ssrc: int = 1) -> Reception:
    """A reception of these packets, each at its own time."""
    reception = Reception(8000)
    for number in numbers:
        reception.update(packet(number, ssrc=ssrc), number * FRAME_NS)
    return reception


def block(reception: Reception) -> ReportBlock:
    found = reception.report_block(0)
    assert found
    return found


# A.1: what is believed ----------------------------------------------------------------------------------------------


def test_a_source_is_believed_after_two_packets_in_a_row() -> None:
    reception = Reception(8000)
    assert not reception.update(packet(10), 0)
    assert reception.report_block(0) is None
    assert reception.update(packet(11), FRAME_NS)
    assert reception.update(packet(12), 2 * FRAME_NS)
    assert (reception.received, reception.expected, reception.lost, reception.discarded) == (3, 3, 0, 0)


def test_nothing_heard_is_nothing_expected() -> None:
    assert set(Reception(8000).figures().values()) == {0}


def test_strays_at_the_start_are_not_believed() -> None:
    reception = heard(10, 500, 20, 21, 22)
    assert (reception.received, reception.expected, reception.discarded) == (3, 3, 2)


def test_a_single_wild_jump_moves_nothing() -> None:
    reception = heard(*range(10), 30000)
    assert reception.discarded == 1
    assert reception.update(packet(10), 10 * FRAME_NS)
    assert not reception.update(packet(30001), 11 * FRAME_NS)  # A.1: the *next* packet had to prove it
    assert (reception.received, reception.expected, reception.restarts) == (11, 11, 0)


def test_two_packets_in_a_row_after_a_jump_are_a_restart() -> None:
    reception = heard(*range(100), 30000, 30001, 30002)
    assert (reception.restarts, reception.discarded) == (1, 0)
    assert (reception.received, reception.expected, reception.lost) == (103, 103, 0)
    assert block(reception).highest_sequence == 30002
    assert block(heard(*range(100), 30000, 30001)).cumulative_lost == 0


def test_a_new_ssrc_is_a_new_source() -> None:
    reception = heard(*range(50))
    assert not reception.update(packet(50, ssrc=2), 50 * FRAME_NS)
    assert reception.update(packet(51, ssrc=2), 51 * FRAME_NS)
    assert reception.ssrc == 2
    assert (reception.received, reception.expected, reception.restarts) == (52, 52, 1)
    assert block(reception).ssrc == 2


def test_two_sources_at_once_are_auditioned_each_by_itself() -> None:
    reception = Reception(8000)
    for number in range(10):
        reception.update(packet(number), number * FRAME_NS)
        reception.update(packet(7000 + number, ssrc=2), number * FRAME_NS)
    assert (reception.ssrc, reception.received) == (1, 10)


def test_an_intruder_does_not_take_over_while_the_source_talks() -> None:
    reception = heard(0, 1)
    for number in range(2, 100):
        reception.update(packet(number), number * FRAME_NS)
        reception.update(packet(7000 + number, ssrc=666), number * FRAME_NS)
    assert (reception.ssrc, reception.received, reception.discarded) == (1, 100, 98)


@pytest.mark.parametrize(("jump", "is_believed"), [(2999, True), (3000, False), (-99, True), (-100, False)])
def test_the_bounds_of_a_jump(jump: int, is_believed: bool) -> None:
    reception = heard(*range(200))
    assert reception.update(packet(199 + jump), 0) is is_believed


# A.3: lost ----------------------------------------------------------------------------------------------------------


def test_losses_show_in_figures_and_reports() -> None:
    reception = heard(*(n for n in range(100) if n % 10 != 5))
    assert (reception.expected, reception.received, reception.lost) == (100, 90, 10)
    assert block(reception) == ReportBlock(1, fraction_lost=25, cumulative_lost=10, highest_sequence=99, jitter=0)


def test_the_fraction_is_that_of_the_interval() -> None:
    reception = heard(0, *range(1, 100, 2))
    assert block(reception).fraction_lost == 49 * 256 // 100
    for number in range(100, 200):
        reception.update(packet(number), number * FRAME_NS)
    second = block(reception)
    assert (second.fraction_lost, second.cumulative_lost) == (0, 49)


def test_nothing_heard_is_nothing_to_report() -> None:
    reception = heard(*range(10))
    assert block(reception)
    assert reception.report_block(1) is None  # RFC 3550 6.4: only sources heard since the last report


def test_the_wrap_counts_as_a_cycle() -> None:
    reception = heard(*range(65530, 65550))
    assert (reception.expected, reception.lost) == (20, 0)
    assert block(reception).highest_sequence == 65549  # one cycle and 13


def test_a_call_of_many_cycles() -> None:
    reception = heard(59999, *range(60000, 60000 + 3 * 65536, 2))
    assert reception.expected == 3 * 65536
    assert block(reception).highest_sequence == 60000 + 3 * 65536 - 2


def test_duplicates_are_counted_once() -> None:
    reception = heard(0, 1, 2, 2, 3, 1, 5)
    assert (reception.received, reception.duplicated, reception.expected, reception.lost) == (7, 2, 6, 1)
    assert block(reception).cumulative_lost == -1  # A.3 counts duplicates as received


def test_late_packets_are_reordered_and_not_lost() -> None:
    reception = heard(0, 1, 4, 3, 2, 5)
    assert (reception.reordered, reception.duplicated, reception.lost) == (2, 0, 0)


def test_reordering_across_the_wrap() -> None:
    reception = heard(65533, 65534, 65536, 65535, 65537)
    assert (reception.reordered, reception.expected, reception.lost) == (1, 5, 0)


def test_what_overtook_the_first_packet_was_expected_too() -> None:
    reception = heard(5, 6, 4, 8)
    assert (reception.reordered, reception.expected, reception.received, reception.lost) == (1, 5, 4, 1)


@pytest.mark.parametrize(("lost", "reported"), [(9_000_000, 0x7FFFFF), (8_388_607, 0x7FFFFF), (8_000_000, 8_000_000)])
def test_the_sum_of_losses_stays_within_its_field(lost: int, reported: int) -> None:
    reception = heard(0, 1)
    number, left = 1, lost
    while left:
        step = min(left, 2998)
        number, left = number + step + 1, left - step
        reception.update(packet(number), 0)
    assert reception.lost == lost
    assert block(reception).cumulative_lost == reported


# A.8: jitter --------------------------------------------------------------------------------------------------------


def test_a_steady_stream_has_no_jitter() -> None:
    assert heard(*range(1000)).jitter_ms == 0


def test_lost_packets_and_pauses_are_no_jitter() -> None:
    assert heard(*range(0, 3000, 7)).jitter_ms == 0


def test_the_jitter_of_one_late_packet_fades_by_a_sixteenth() -> None:
    reception = heard(0, 1, 2)
    reception.update(packet(3), 3 * FRAME_NS + 8_000_000)
    assert reception.jitter_ms == pytest.approx(8 / 16)
    reception.update(packet(4), 4 * FRAME_NS + 8_000_000)
    assert reception.jitter_ms == pytest.approx(8 / 16 * 15 / 16)
    assert block(reception).jitter == int(64 / 16 * 15 / 16)  # in units of the clock


def test_jitter_survives_the_wrap_of_timestamps() -> None:
    reception = Reception(8000)
    for number in range(100):
        reception.update(packet(number, timestamp=0xFFFFFF00 + number * 160), number * FRAME_NS)
    assert reception.jitter_ms == 0


def test_a_restart_is_no_jitter() -> None:
    reception = heard(*range(10))
    for number in range(20000, 20010):
        reception.update(packet(number, timestamp=number * 977), (number - 19990) * FRAME_NS)
    assert reception.restarts == 1
    first = reception.jitter_ms
    assert first > 0  # its own timestamps are wrong
    steady = heard(*range(10))
    for number in range(20000, 20010):
        steady.update(packet(number), (number - 19990) * FRAME_NS)
    assert steady.jitter_ms == 0


@given(st.lists(st.integers(0, 60_000_000), min_size=2, max_size=200))
def test_jitter_is_that_of_the_formula(delays_ns: list[int]) -> None:
    reception = Reception(8000)
    jitter, before = 0.0, 0.0
    for number, delay_ns in enumerate(delays_ns):
        reception.update(packet(number), number * FRAME_NS + delay_ns)
        transit = delay_ns * 8000 / 1e9  # RFC 3550 6.4.1: R - S
        if number:
            jitter += (abs(transit - before) - jitter) / 16
        before = transit
    assert reception.jitter_ms * 8 == pytest.approx(jitter, abs=1e-6)


# Reports ------------------------------------------------------------------------------------------------------------


def test_a_block_says_how_long_ago_the_last_sender_report_came() -> None:
    reception = heard(*range(10))
    assert (block(reception).lsr, block(heard(0, 1)).dlsr) == (0, 0)
    reception.sender_report(SenderReport(1, 0xB44DB705_20000000, 0, 0, 0), 1_000_000_000)
    reception.update(packet(10), 10 * FRAME_NS)
    found = reception.report_block(6_250_000_000)
    assert found
    assert (found.lsr, found.dlsr) == (0xB7052000, 0x00054000)  # RFC 3550 figure 2


def test_a_report_of_somebody_else_is_not_mentioned() -> None:
    reception = heard(*range(10))
    reception.sender_report(SenderReport(2, 1 << 32, 0, 0, 0), 0)
    assert block(reception).lsr == 0


def test_the_figures_of_a_call() -> None:
    assert heard(0, 1, 2, 4, 3, 3, 6, 40000).figures() == {
        "packets_received": 7,
        "packets_expected": 7,
        "packets_lost": 1,
        "packets_duplicated": 1,
        "packets_reordered": 1,
        "packets_discarded": 1,
        "jitter_ms": pytest.approx(heard(0, 1, 2, 4, 3, 3, 6).jitter_ms),
    }


# Against the letter of the appendix ---------------------------------------------------------------------------------


@dataclass
class AppendixA:
    """update_seq of RFC 3550 A.1 and the sums of A.3, as they are printed there, for a source that is valid already."""

    max_seq: int
    cycles: int = 0
    received: int = 0
    bad_seq: int = 65537

    def __post_init__(self) -> None:
        self.base_seq = self.max_seq

    def update(self, seq: int) -> bool:
        delta = (seq - self.max_seq) & 0xFFFF
        if delta < 3000:
            if seq < self.max_seq:
                self.cycles += 65536
            self.max_seq = seq
        elif delta <= 65536 - 100:
            if seq == self.bad_seq:
                self.base_seq = self.max_seq = seq
                self.bad_seq, self.cycles, self.received = 65537, 0, 0
            else:
                self.bad_seq = (seq + 1) & 0xFFFF
                return False
        self.received += 1
        return True

    @property
    def expected(self) -> int:
        return self.cycles + self.max_seq - self.base_seq + 1


@given(st.integers(0, 65535), st.lists(st.integers(-99, 2999)))
def test_within_bounds_the_counts_are_those_of_the_appendix(start: int, steps: list[int]) -> None:
    reception, letter = Reception(8000), AppendixA(start)
    reception.update(packet(start), 0)
    reception.update(packet(start + 1), 0)
    letter.received = 1
    letter.update((start + 1) & 0xFFFF)
    for step in steps:
        # Below the first number the two differ on purpose: see what overtook the first packet.
        here = max(letter.cycles + letter.max_seq + step, start)
        assert reception.update(packet(here), 0) is letter.update(here & 0xFFFF) is True
    assert reception.expected == letter.expected
    assert block(reception).cumulative_lost == letter.expected - letter.received


@given(
    st.lists(
        st.tuples(st.integers(0, 65535), st.integers(0, 2**32 - 1), st.integers(1, 2), st.integers(-(2**62), 2**62)),
        max_size=60,
    )
)
def test_any_packets_are_counted_in_bounded_memory(packets: list[tuple[int, int, int, int]]) -> None:
    reception = Reception(8000)
    for sequence, timestamp, ssrc, arrival_ns in packets:
        reception.update(Packet(8, sequence, timestamp, ssrc), arrival_ns)
        found = reception.report_block(arrival_ns)
        if found:
            assert len(bytes(found)) == 24
    figures = reception.figures()
    assert all(value >= 0 for value in figures.values())
    assert figures["packets_received"] + figures["packets_discarded"] == len(packets)
    assert figures["packets_lost"] >= figures["packets_expected"] - figures["packets_received"]
    assert all(sys.getsizeof(getattr(reception, name)) < 1000 for name in Reception.__slots__)
