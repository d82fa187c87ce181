"""The far ends answer a call of a handset: SIP and RTP in octets written by hand."""

from __future__ import annotations

import re
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsphone.events import Violated
from imsphone.lab.call import CallOver, CallUp
from imsphone.lab.link import Link
from imsphone.lab.network import Network
from imsphone.lab.peer import FarEnd
from imsphone.lab.world import World
from imsphone.machine import Address, Ask, Effect, Flow, Ids, Send
from tests.lab.conftest import REALM, Registrant, header

SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
)


class Ear:
    """Where the handset's RTP arrives."""

    deadline = None

    def __init__(self) -> None:
        self.rtp: list[tuple[float, bytes]] = []
        self.rtcp: list[bytes] = []

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        if 192 <= data[1] <= 223:
            self.rtcp.append(data)
        else:
            self.rtp.append((now, data))
        return []

    def lost(self, *_: object) -> list[Effect]:
        return []

    answer = tick = lost


@pytest.fixture
def ear(world: World) -> Ear:
    ear = Ear()
    world.attach("ear", ear, ["127.0.0.21"])
    return ear


def sdp(port: int = 41000, direction: str = "sendrecv") -> str:
    return SDP.format(host="127.0.0.21", port=port).replace("a=sendrecv", f"a={direction}")


def media_of(message: str) -> Address:
    port = re.search(r"^m=audio (\d+)", message, re.MULTILINE)
    host = re.search(r"^c=IN IP4 (\S+)", message, re.MULTILINE)
    assert port is not None
    assert host is not None
    return Address(host[1], int(port[1]))


def rtp(sequence: int, timestamp: int, payload: bytes = bytes(160), payload_type: int = 8, ssrc: int = 7) -> bytes:
    """A packet after the picture of RFC 3550 5.1."""
    return struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def speak(world: World, data: bytes, to: Address) -> None:
    world.perform("ear", [Send(data, Flow("UDP", Address("127.0.0.21", 41000), to))])


def answered(alice: Registrant, target: str, *lines: str, offer: str = "") -> str:
    """Calls a far end until its 200 and acknowledges it; gives the 200."""
    alice.invite(target, *lines, sdp=offer or sdp())
    ok = alice.next("SIP/2.0 200")
    alice.in_dialog("ACK", ok, "1")
    return ok


@pytest.fixture
def registered(alice: Registrant) -> Registrant:
    alice.come_in()
    return alice


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


def test_a_ringing_tone_that_is_sure_to_arrive(registered: Registrant, world: World) -> None:
    registered.invite(ECHO, "Supported: 100rel", sdp=sdp())
    ringing = registered.next("SIP/2.0 180")
    assert header(ringing, "Require") == "100rel"
    assert registered.next("SIP/2.0 180") == ringing  # repeated: no PRACK came
    with pytest.raises(TimeoutError):
        registered.next("SIP/2.0 200", timeout_s=3)
    registered.in_dialog("PRACK", ringing, "2", "RAck: 999 1 INVITE")
    assert registered.next("SIP/2.0 4").startswith("SIP/2.0 481")
    registered.in_dialog("PRACK", ringing, "3", f"RAck: {header(ringing, 'RSeq')} 1 INVITE")
    assert "PRACK" in header(registered.next("SIP/2.0 200"), "CSeq")
    assert "INVITE" in header(registered.next("SIP/2.0 200"), "CSeq")


def test_without_a_prack_the_call_is_given_up(registered: Registrant) -> None:
    registered.invite(ECHO, "Supported: 100rel", sdp=sdp())
    assert registered.next("SIP/2.0 5", timeout_s=60).startswith("SIP/2.0 504")


def test_the_answer_is_repeated_until_its_ack_and_at_last_taken_back(registered: Registrant) -> None:
    registered.invite(ECHO, sdp=sdp())
    ok = registered.next("SIP/2.0 200")
    assert registered.next("SIP/2.0 200") == ok
    bye = registered.next("BYE", timeout_s=60)
    registered.reply(bye, "200 OK")


def test_an_invite_without_offer_is_answered_with_one(registered: Registrant, ear: Ear, world: World) -> None:
    registered.invite(ECHO)
    ok = registered.next("SIP/2.0 200")
    there = media_of(ok)
    registered.in_dialog("ACK", ok, "1", "Content-Type: application/sdp", "", sdp().replace("\r\n", "\n"))
    world.run_for(0.1)
    speak(world, rtp(1, 1), there)
    world.run_for(0.1)
    assert len(ear.rtp) == 1


def test_hold_and_resume(registered: Registrant, ear: Ear, world: World) -> None:
    ok = answered(registered, ECHO)
    there = media_of(ok)
    body = sdp(direction="sendonly").replace("o=- 1 1", "o=- 1 2").replace("\r\n", "\n")
    lines = (f"Contact: <sip:alice@{registered.address}>", "Content-Type: application/sdp", "", body)
    registered.in_dialog("INVITE", ok, "2", *lines)
    held = registered.next("SIP/2.0 200")
    assert "a=recvonly" in held
    assert media_of(held) == there
    registered.in_dialog("ACK", ok, "2")
    world.run_for(0.1)
    speak(world, rtp(1, 1), there)
    world.run_for(0.1)
    assert ear.rtp == []
    registered.in_dialog("UPDATE", ok, "3", *(line.replace("sendonly", "sendrecv") for line in lines))
    assert "a=sendrecv" in registered.next("SIP/2.0 200")
    speak(world, rtp(2, 161), there)
    world.run_for(0.1)
    assert len(ear.rtp) == 1


def test_nothing_in_common_is_488(registered: Registrant) -> None:
    registered.invite(
        ECHO, sdp=sdp().replace("8 0\r\n", "96\r\n").replace("8 PCMA", "96 OPUS").replace("0 PCMU", "96 X")
    )
    assert registered.next("SIP/2.0 4").startswith("SIP/2.0 488")


def test_a_description_that_cannot_be_read_is_400(registered: Registrant) -> None:
    registered.invite(ECHO, sdp="v=1\r\n")
    assert registered.next("SIP/2.0 4").startswith("SIP/2.0 400")


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


def test_busy(registered: Registrant) -> None:
    registered.invite(f"sip:busy@{REALM}", sdp=sdp())
    assert registered.next("SIP/2.0 4").startswith("SIP/2.0 486")


def test_silence_until_the_caller_gives_up(registered: Registrant, world: World) -> None:
    registered.invite(f"sip:silent@{REALM}", sdp=sdp())
    ringing = registered.next("SIP/2.0 180")
    world.run_for(60)
    assert registered.heard == []
    registered.send(
        f"CANCEL sip:silent@{REALM} SIP/2.0\nVia: {header(ringing, 'Via').partition(';rport=')[0]};rport\n"
        f"Max-Forwards: 70\nFrom: {header(ringing, 'From')}\nTo: <sip:silent@{REALM}>\nCall-ID: call@alice\n"
        "CSeq: 1 CANCEL\n\n"
    )
    registered.next("SIP/2.0 200")
    assert registered.next("SIP/2.0 4").startswith("SIP/2.0 487")
    assert [type(event) for event in world.told("far-end")] == [CallOver]


@pytest.mark.parametrize(
    ("line", "status"), [("Require: precondition", 420), ("Require: 100rel", 180)], ids=["precondition", "100rel"]
)
def test_what_a_caller_may_require(registered: Registrant, line: str, status: int) -> None:
    registered.invite(ECHO, line, sdp=sdp())
    registered.next("SIP/2.0 100")
    assert registered.next("SIP/2.0").startswith(f"SIP/2.0 {status}")


def test_a_dialog_that_is_unknown(registered: Registrant) -> None:
    ok = answered(registered, ECHO)
    registered.in_dialog("BYE", ok.replace(";tag=", ";tag=x", 2), "2")
    assert registered.next("SIP/2.0 4").startswith("SIP/2.0 481")


def test_two_calls_have_two_addresses_and_the_next_one_uses_them_again(
    registered: Registrant, ear: Ear, world: World
) -> None:
    registered.invite(ECHO, sdp=sdp(), call_id="one")
    one = registered.next("SIP/2.0 200")
    registered.in_dialog("ACK", one, "1")
    registered.invite(ECHO, sdp=sdp(), call_id="two")
    two = registered.next("SIP/2.0 200")
    assert media_of(one) != media_of(two)
    registered.in_dialog("BYE", one, "2")
    registered.next("SIP/2.0 200 OK")
    registered.invite(ECHO, sdp=sdp(), call_id="three")
    while "three" not in (ok := registered.next("SIP/2.0 200")):
        pass
    assert media_of(ok) == media_of(one)


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


def test_a_far_end_that_calls(registered: Registrant, network: Network, ear: Ear, world: World) -> None:
    far_end = network.far_end
    key, effects = far_end.call(f"sip:alice@{REALM}", world.now)
    world.perform("far-end", effects)
    invite = registered.next("INVITE")
    assert header(invite, "P-Asserted-Identity") == f"<sip:echo@{REALM}>"
    contact = f"Contact: <sip:alice@{registered.address}>"
    registered.reply(invite, "180 Ringing", contact, "Require: 100rel", "RSeq: 5", tag="a1")
    prack = registered.next("PRACK")
    assert header(prack, "RAck") == "5 1 INVITE"
    registered.reply(prack, "200 OK")
    registered.reply(invite, "200 OK", contact, "Content-Type: application/sdp", tag="a1", body=sdp())
    registered.next("ACK")
    registered.reply(invite, "200 OK", contact, "Content-Type: application/sdp", tag="a1", body=sdp())
    registered.next("ACK")  # each copy of the 200 has its ACK
    speak(world, rtp(1, 1), media_of(invite))
    world.run_for(0.1)
    assert len(ear.rtp) == 1
    world.perform("far-end", far_end.hang_up(key, world.now))
    registered.reply(registered.next("BYE"), "200 OK")
    assert [type(event) for event in world.told("far-end")] == [CallUp, CallOver]


def test_a_far_end_that_gives_up(registered: Registrant, network: Network, world: World) -> None:
    key, effects = network.far_end.call(f"sip:alice@{REALM}", world.now)
    world.perform("far-end", effects)
    invite = registered.next("INVITE")
    registered.reply(invite, "180 Ringing", f"Contact: <sip:alice@{registered.address}>", tag="a1")
    world.run_for(1)
    world.perform("far-end", network.far_end.hang_up(key, world.now))
    registered.reply(registered.next("CANCEL"), "200 OK", tag="a1")
    registered.reply(invite, "487 Request Terminated", tag="a1")
    world.run_for(1)
    [over] = world.told("far-end")
    assert over.status == 487


def test_a_far_end_that_calls_nobody(network: Network, world: World) -> None:
    _, effects = network.far_end.call(f"sip:nobody@{REALM}", world.now)
    world.perform("far-end", effects)
    world.run_for(1)
    [over] = world.told("far-end")
    assert over.status == 404


@given(
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from(["INVITE", "ACK", "BYE", "PRACK", "CANCEL", "UPDATE", "OPTIONS", "REFER"]).flatmap(
            lambda method: st.tuples(
                st.just(method),
                st.sampled_from(["1", "2"]),
                st.sampled_from(["", ";tag=2"]),
                st.sampled_from(["", "Require: 100rel\r\n", "RAck: 1 1 INVITE\r\n", "Supported: 100rel\r\n"]),
                st.sampled_from(["", sdp(), "v=0\r\n", sdp(direction="inactive")]),
                st.integers(0, 4),
            )
        ),
        max_size=8,
    )
)
@settings(max_examples=200, deadline=None)
def test_any_octets_raise_nothing_and_leave_nothing_behind(inputs: list[bytes | tuple[object, ...]]) -> None:
    here = Address("127.0.10.50", 5060)
    machine = FarEnd(here, REALM, Address("127.0.10.20", 5060), Ids(b"x"))
    flow = Flow("UDP", here, Address("127.0.10.20", 5060))
    port = 40000

    def perform(effects: list[Effect]) -> None:
        nonlocal port
        for effect in effects:
            if isinstance(effect, Ask):
                port += 2
                perform(machine.answer(effect, Address(here.host, port) if port % 4 else None, now))

    now = 1.0
    for data in inputs:
        if isinstance(data, tuple):
            method, call, tag, line, body, cseq = data
            data = (
                f"{method} sip:echo@{REALM} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{call}{cseq}\r\n"
                f"From: <sip:a@b>;tag=1\r\nTo: <sip:echo@{REALM}>{tag}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\n"
                f"Contact: <sip:a@127.0.0.1>\r\n{line}Content-Type: application/sdp\r\n\r\n{body}"
            ).encode()
        perform(machine.receive(data, flow, now))
        perform(machine.receive(data, Flow("UDP", Address(here.host, 40002), flow.remote), now))
        now += 0.3
        while (at := machine.deadline) is not None and at <= now:
            perform(machine.tick(now))
    for key in list(machine.calls):
        perform(machine.hang_up(key, now))
    for _ in range(3000):
        if (at := machine.deadline) is None:
            break
        perform(machine.tick(at))
    assert machine.deadline is None
    assert machine.calls == {}


def test_garbage_is_told(world: World, network: Network, registered: Registrant) -> None:
    machine = network.far_end
    [effect] = machine.receive(b"garbage", Flow("UDP", machine.address, registered.address), 1.0)
    assert isinstance(effect.event, Violated)  # type: ignore[union-attr]
