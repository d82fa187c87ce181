"""A far end that calls: it offers, acknowledges, and hangs up."""

from __future__ import annotations

from collections.abc import Callable

from imsphone.lab.call import CallOver, CallUp
from imsphone.lab.network import Network
from imsphone.lab.world import World
from tests.lab.conftest import REALM, Ear, Registrant, header, media_of, rtp, sdp, speak

ECHO = f"sip:echo@{REALM}"


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


def test_each_phone_of_a_fork_has_its_own_count_of_requests(
    registered: Registrant, handset: Callable[..., Registrant], network: Network, world: World
) -> None:
    tablet = handset("alice", "127.0.0.13", name="tablet")
    tablet.isim = registered.isim
    tablet.come_in(contact=f'<sip:tablet@{tablet.address}>;+sip.instance="<urn:uuid:1>"')
    key, effects = network.far_end.call(f"sip:alice@{REALM}", world.now)
    world.perform("far-end", effects)
    phones = [(registered, "a1"), (tablet, "t1")]
    invites = [phone.next("INVITE") for phone, _ in phones]
    counts: dict[str, list[int]] = {"a1": [], "t1": []}
    for rseq in (1, 2):
        for (phone, tag), invite in zip(phones, invites, strict=True):
            contact = f"Contact: <sip:{phone.name}@{phone.address}>"
            phone.reply(invite, "180 Ringing", contact, "Require: 100rel", f"RSeq: {rseq}", tag=tag)
            prack = phone.next("PRACK")
            counts[tag].append(int(header(prack, "CSeq").split()[0]))
            phone.reply(prack, "200 OK")
    contact = f"Contact: <sip:alice@{registered.address}>"
    registered.reply(invites[0], "200 OK", contact, "Content-Type: application/sdp", tag="a1", body=sdp())
    registered.next("ACK")
    world.perform("far-end", network.far_end.hang_up(key, world.now))
    counts["a1"].append(int(header(registered.next("BYE"), "CSeq").split()[0]))
    assert counts == {"a1": [2, 3, 4], "t1": [2, 3]}


def test_an_answer_that_makes_no_dialog_ends_the_call(registered: Registrant, network: Network, world: World) -> None:
    _, effects = network.far_end.call(f"sip:alice@{REALM}", world.now)
    world.perform("far-end", effects)
    registered.reply(registered.next("INVITE"), "200 OK", tag="a1")  # without a Contact
    world.run_for(1)
    assert [type(event) for event in world.told("far-end")] == [CallOver]
    assert network.far_end.calls == {}
