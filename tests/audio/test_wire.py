"""The sockets of a call on the loopback interface."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from typing import Self

import pytest

from imsphone.audio.wire import FIRST_PORT, LAST_PORT, Datagram, Direction, Wire, open_wire
from imsphone.errors import NetworkError
from imsphone.machine import Address

HOST = "127.0.77.1"


class Late:
    """A link on which everything comes twice, 20 and 40 ms late."""

    def carry(self, now: float) -> list[float]:
        return [now + 0.02, now + 0.04]

    def twin(self, number: int = 1) -> Self:
        return self


@pytest.fixture
def pair() -> Iterator[tuple[Wire, Wire]]:
    left, right = open_wire(HOST, FIRST_PORT), open_wire(HOST, FIRST_PORT)
    left.aim(right.local)
    right.aim(left.local)
    yield left, right
    left.close()
    right.close()


def await_datagrams(wire: Wire, count: int, within_s: float = 2.0) -> list[Datagram]:
    end = time.monotonic() + within_s
    found: list[Datagram] = []
    while len(found) < count and time.monotonic() < end:
        select.select([wire.rtp, wire.rtcp], [], [], 0.01)
        found += wire.receive()
    return found


def test_the_rtp_port_is_even_and_rtcp_the_next(pair: tuple[Wire, Wire]) -> None:
    for wire in pair:
        assert wire.local.port % 2 == 0
        assert FIRST_PORT <= wire.local.port < LAST_PORT
        assert wire.rtp.getsockname() == (HOST, wire.local.port)
        assert wire.rtcp.getsockname() == (HOST, wire.local.port + 1)
    assert pair[0].local != pair[1].local, "a busy pair is passed over"


@pytest.mark.parametrize("offset", [0, 1])
def test_a_pair_of_which_one_is_busy_is_passed_over(offset: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        busy.bind((HOST, LAST_PORT - 2 + offset))
        wire = open_wire(HOST, LAST_PORT - 2)
        assert wire.local.port == LAST_PORT
        wire.close()
        wire = open_wire(HOST, LAST_PORT + 2)
        assert wire.local.port == FIRST_PORT, "after the last pair comes the first"
        wire.close()


def test_what_is_sent_arrives_with_the_kernels_stamp(pair: tuple[Wire, Wire]) -> None:
    left, right = pair
    before = time.time_ns()
    left.send(b"rtp")
    left.send(b"rtcp", is_rtcp=True)
    after = time.time_ns()
    time.sleep(0.05)  # the receiver is busy, and the stamp does not care
    rtp, rtcp = await_datagrams(right, 2)
    assert (rtp.data, rtp.is_rtcp, rtcp.data, rtcp.is_rtcp) == (b"rtp", False, b"rtcp", True)
    assert before - 1_000_000 <= rtp.arrival_ns <= after + 20_000_000


def test_the_tap_sees_both_directions() -> None:
    seen: list[tuple[Direction, Address, Address, bytes]] = []

    def tap(direction: Direction, local: Address, remote: Address, data: bytes, at: float) -> None:
        assert abs(at - time.time()) < 5
        seen.append((direction, local, remote, data))

    wire = open_wire(HOST, FIRST_PORT, tap=tap)
    wire.aim(wire.local)
    wire.send(b"to myself", is_rtcp=True)
    assert await_datagrams(wire, 1)
    wire.close()
    rtcp = Address(HOST, wire.local.port + 1)
    assert seen == [("sent", rtcp, rtcp, b"to myself"), ("received", rtcp, rtcp, b"to myself")]


def test_a_bad_link_holds_packets_back_on_the_way_in() -> None:
    seen: list[Direction] = []
    near = open_wire(HOST, FIRST_PORT, link=Late(), tap=lambda direction, *rest: seen.append(direction))
    far = open_wire(HOST, FIRST_PORT)
    near.aim(far.local)
    far.aim(near.local)
    near.send(b"out")
    assert [d.data for d in await_datagrams(far, 1)] == [b"out"]
    sent_ns = time.time_ns()
    far.send(b"in")
    first, second = await_datagrams(near, 2)
    assert time.time_ns() - sent_ns >= 40_000_000
    assert first.arrival_ns - sent_ns == pytest.approx(20_000_000, abs=10_000_000)
    assert second.arrival_ns - first.arrival_ns == pytest.approx(20_000_000, abs=1000)
    assert seen == ["sent", "received", "received"]
    assert near.deadline is None
    near.close()
    far.close()


def test_before_the_far_end_is_known_nothing_leaves() -> None:
    wire = open_wire(HOST, FIRST_PORT)
    wire.send(b"nowhere")
    wire.close()
    wire.send(b"closed")


def test_a_datagram_too_long_for_sound_is_dropped(pair: tuple[Wire, Wire]) -> None:
    left, right = pair
    left.send(bytes(4000))
    left.send(b"next")
    assert [d.data for d in await_datagrams(right, 1)] == [b"next"]


def test_a_host_that_is_not_ours_is_named() -> None:
    with pytest.raises(NetworkError, match=r"cannot receive sound at 192\.0\.2\.1:16384"):
        open_wire("192.0.2.1", FIRST_PORT)
