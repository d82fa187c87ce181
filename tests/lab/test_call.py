"""Inside a call of a far end: hold, resume, and what it does not do."""

from __future__ import annotations

from imsphone.lab.network import Network
from imsphone.lab.world import World
from tests.lab.conftest import REALM, Ear, Registrant, answered, media_of, rtp, sdp, speak

ECHO = f"sip:echo@{REALM}"


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


def test_a_change_that_is_refused_changes_nothing(registered: Registrant, network: Network, world: World) -> None:
    ok = answered(registered, ECHO)
    nothing = sdp().replace("RTP/AVP 8 0", "RTP/AVP 96").replace("8 PCMA", "96 OPUS").replace("0 PCMU", "96 X")
    lines = (
        "Contact: <sip:elsewhere@127.0.0.99:5060>",
        "Content-Type: application/sdp",
        "",
        nothing.replace("\r\n", "\n"),
    )
    registered.in_dialog("UPDATE", ok, "2", *lines)
    assert registered.next("SIP/2.0 4").startswith("SIP/2.0 488")
    [key] = network.far_end.calls
    world.perform("far-end", network.far_end.hang_up(key, world.now))
    assert registered.next("BYE").startswith(f"BYE sip:alice@{registered.address} ")


def test_an_ack_of_another_invite_does_not_count(registered: Registrant) -> None:
    ok = answered(registered, ECHO)
    registered.in_dialog("INVITE", ok, "2", f"Contact: <sip:alice@{registered.address}>")
    again = registered.next("SIP/2.0 200")
    registered.in_dialog("ACK", ok, "1")
    assert registered.next("SIP/2.0 200") == again  # repeated: its own ACK is still to come
