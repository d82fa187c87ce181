"""What is said comes back or is kept, and both ends count it."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest

from imsphone.lab.call import CallOver, CallUp
from imsphone.lab.link import Link
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.machine import Address
from tests.lab.conftest import REALM, Ear, Registrant, answered, header, media_of, rtp, sdp, speak

ECHO = f"sip:echo@{REALM}"


def test_an_echo_rings_answers_and_says_what_it_heard(registered: Registrant, ear: Ear, world: World) -> None:
    registered.invite(ECHO, sdp=sdp())
    assert "100rel" not in header(registered.next("SIP/2.0 180"), "Require")
    ok = registered.next("SIP/2.0 200")
    registered.in_dialog("ACK", ok, "1")
    there = media_of(ok)
    assert there.host == "127.0.10.50"
    for number in range(50):
        speak(world, rtp(65500 + number, 160 * number, bytes([number]) * 160), there)
        world.run_for(0.02)
    assert len(ear.rtp) == 50
    heads = [struct.unpack("!BBHII", data[:12]) for _, data in ear.rtp]
    assert [data[12] for _, data in ear.rtp] == list(range(50))
    assert {head[1] for head in heads} == {8}
    assert len({head[4] for head in heads}) == 1
    assert heads[0][4] != 7  # an SSRC of its own
    assert [(b[2] - a[2]) & 0xFFFF for a, b in pairwise(heads)] == [1] * 49
    assert [(b[3] - a[3]) & 0xFFFFFFFF for a, b in pairwise(heads)] == [160] * 49

    registered.in_dialog("BYE", ok, "2")
    assert "BYE" in header(registered.next("SIP/2.0 200"), "CSeq")
    up, over = (event for event in world.told("far-end") if isinstance(event, CallUp | CallOver))
    assert up.call == over.call == "call@alice"
    assert (over.received, over.sent) == (50, 50)
    speak(world, rtp(1, 1), there)
    world.run_for(1)
    assert len(ear.rtp) == 50


def test_a_packet_lost_on_the_way_there_is_missing_on_the_way_back(
    registered: Registrant, ear: Ear, world: World
) -> None:
    there = media_of(answered(registered, ECHO))
    for number in (0, 1, 3, 2, 4):
        speak(world, rtp(number, 160 * number), there)
    speak(world, rtp(7, 160 * 7), there)
    world.run_for(0.1)
    numbers = [struct.unpack("!H", data[2:4])[0] for _, data in ear.rtp]
    assert [(number - numbers[0]) & 0xFFFF for number in numbers] == [0, 1, 3, 2, 4, 7]


def test_a_new_source_goes_on_where_the_old_one_was(registered: Registrant, ear: Ear, world: World) -> None:
    there = media_of(answered(registered, ECHO))
    speak(world, rtp(100, 1000), there)
    world.run_for(0.02)
    speak(world, rtp(9000, 77, ssrc=8), there)
    world.run_for(0.02)
    first, second = (struct.unpack("!HI", data[2:8]) for _, data in ear.rtp)
    assert (second[0] - first[0]) & 0xFFFF == 1
    assert (second[1] - first[1]) & 0xFFFFFFFF == 160


def test_what_was_not_agreed_on_is_not_echoed(registered: Registrant, ear: Ear, world: World) -> None:
    there = media_of(answered(registered, ECHO))
    speak(world, rtp(1, 1, payload_type=97), there)
    speak(world, b"\x80", there)
    speak(world, b"hello", Address(there.host, there.port + 1))
    world.run_for(0.1)
    assert ear.rtp == []


def test_the_far_end_reports_what_it_heard(registered: Registrant, ear: Ear, world: World) -> None:
    there = media_of(answered(registered, ECHO))
    for number in range(1000):
        if number % 10:
            speak(world, rtp(number, 160 * number), there)
        world.run_for(0.02)
    reports = [data for data in ear.rtcp if data[1] == 200]
    assert len(reports) >= 2
    packets, fraction = struct.unpack("!I", reports[-1][20:24])[0], reports[-1][32]
    assert packets > 300
    assert 15 < fraction < 36  # a tenth of 256


def test_a_recorder_keeps_what_it_hears(registered: Registrant, ear: Ear, world: World) -> None:
    ok = answered(registered, f"sip:recorder@{REALM}")
    for number in range(3):
        speak(world, rtp(number, 160 * number, bytes([number]) * 160), media_of(ok))
        world.run_for(0.02)
    registered.in_dialog("BYE", ok, "2")
    registered.next("SIP/2.0 200")
    [over] = [event for event in world.told("far-end") if isinstance(event, CallOver)]
    assert over.recorded == b"".join(bytes([number]) * 160 for number in range(3))
    assert over.encoding == "PCMA"
    assert ear.rtp == []


def test_a_bad_link_stands_before_and_behind_the_far_end(world: World, ear: Ear) -> None:
    network = Network(media_link=Link(loss=0.1, delay_ms=40, seed=1))
    network.attach(world)
    alice = Registrant(world, "alice", Address("127.0.0.11", 5060), network.addresses["p-cscf"])
    alice.account = network.accounts["alice"]
    alice.isim = alice.account.isim()
    world.attach("alice", alice, [alice.address.host])
    alice.come_in()
    there = media_of(answered(alice, ECHO))
    start = world.now
    for number in range(500):
        speak(world, rtp(number, 160 * number), there)
        world.run_for(0.02)
    world.run_for(1)
    assert len(ear.rtp) / 500 == pytest.approx(0.81, abs=0.06)
    assert ear.rtp[0][0] - start == pytest.approx(0.082, abs=0.001)
