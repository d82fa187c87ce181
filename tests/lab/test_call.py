"""Inside a call of a far end: hold, resume, and what it does not do."""

from __future__ import annotations

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
