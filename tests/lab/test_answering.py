"""A call to a far end: it rings for sure, answers until it is heard, and gives up as it should."""

from __future__ import annotations

import pytest

from imsphone.lab.call import CallOver
from imsphone.lab.network import Network
from imsphone.lab.world import World
from tests.lab.conftest import REALM, Ear, Registrant, header, media_of, rtp, sdp, speak

ECHO = f"sip:echo@{REALM}"


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


def test_nothing_in_common_is_488(registered: Registrant) -> None:
    registered.invite(
        ECHO, sdp=sdp().replace("8 0\r\n", "96\r\n").replace("8 PCMA", "96 OPUS").replace("0 PCMU", "96 X")
    )
    assert registered.next("SIP/2.0 4").startswith("SIP/2.0 488")


def test_a_description_that_cannot_be_read_is_400(registered: Registrant) -> None:
    registered.invite(ECHO, sdp="v=1\r\n")
    assert registered.next("SIP/2.0 4").startswith("SIP/2.0 400")


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


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_second_offer_waits_until_the_first_is_answered(registered: Registrant, method: str) -> None:
    registered.invite(f"sip:silent@{REALM}", sdp=sdp())
    ringing = registered.next("SIP/2.0 180")
    lines = (f"Contact: <sip:alice@{registered.address}>", "Content-Type: application/sdp", "")
    registered.in_dialog(method, ringing, "2", *lines, sdp().replace("\r\n", "\n"))
    refused = registered.next("SIP/2.0 5")
    assert refused.startswith("SIP/2.0 500")
    assert 0 <= int(header(refused, "Retry-After")) <= 10


def test_an_early_update_without_an_offer_is_taken(registered: Registrant) -> None:
    registered.invite(f"sip:silent@{REALM}", sdp=sdp())
    ringing = registered.next("SIP/2.0 180")
    registered.in_dialog("UPDATE", ringing, "2", f"Contact: <sip:alice@{registered.address}>")
    assert "UPDATE" in header(registered.next("SIP/2.0 200"), "CSeq")


def test_who_was_called_says_goodbye_only_behind_the_ack(
    registered: Registrant, network: Network, world: World
) -> None:
    registered.invite(ECHO, sdp=sdp())
    ok = registered.next("SIP/2.0 200")
    [key] = network.far_end.calls
    world.perform("far-end", network.far_end.hang_up(key, world.now))
    world.run_for(0.4)
    assert not [text for text in registered.heard if text.startswith("BYE")]
    registered.in_dialog("ACK", ok, "1")
    registered.reply(registered.next("BYE"), "200 OK")
    assert network.far_end.calls == {}
