"""The P-CSCF between a handset and the core (TS 24.229 5.2), told in octets written by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imsphone.events import Violated
from imsphone.lab.network import Network
from imsphone.lab.pcscf import Security
from imsphone.lab.world import World
from imsphone.machine import Address, Flow, Send
from tests.lab.conftest import REALM, Registrant, answered, header, headers


def core_saw(world: World, start: str) -> str:
    """The last message of that kind that the P-CSCF sent into the core."""
    sent = [
        record.data.decode()
        for record in world.trace  # type: ignore[union-attr]
        if record.who == "p-cscf"
        and record.direction == "sent"
        and record.data.startswith(start.encode())
        and record.flow.remote.host.startswith("127.0.10.")
    ]
    return sent[-1]


def test_what_a_register_gains_on_its_way(alice: Registrant, world: World) -> None:
    alice.register(alice.first_authorization())
    register = core_saw(world, "REGISTER")
    assert header(register, "Path").endswith("@127.0.10.10:5060;lr>")
    assert header(register, "Require") == "path"
    assert header(register, "P-Visited-Network-ID") == f'"{REALM}"'
    assert header(register, "P-Charging-Vector").startswith('icid-value="')
    assert "integrity-protected=no" in header(register, "Authorization").replace('"', "")
    assert header(register, "Route") == ""
    assert header(register, "Max-Forwards") == "69"


def test_a_phone_does_not_say_how_it_is_protected(alice: Registrant, world: World) -> None:
    alice.register(alice.first_authorization(**{"integrity-protected": "yes"}))
    assert header(core_saw(world, "REGISTER"), "Authorization").count("integrity-protected") == 1
    assert "integrity-protected=no" in header(core_saw(world, "REGISTER"), "Authorization").replace('"', "")


def test_a_digest_phone_is_known_by_its_address_once_it_has_registered(
    handset: Callable[..., Registrant], world: World
) -> None:
    soft = handset("softphone1", "127.0.0.15")
    soft.come_in()
    assert "ip-assoc-pending" in header(core_saw(world, "REGISTER"), "Authorization")
    soft.come_in()
    assert "ip-assoc-yes" in header(core_saw(world, "REGISTER"), "Authorization")


def test_another_realm_is_not_here(alice: Registrant) -> None:
    alice.send(
        "REGISTER sip:elsewhere.example SIP/2.0\nVia: {via}\nMax-Forwards: 70\nFrom: <sip:a@b>;tag=1\nTo: <sip:a@b>\n"
        "Call-ID: x\nCSeq: 1 REGISTER\n\n"
    )
    assert alice.next("SIP/2.0").startswith("SIP/2.0 404")


def test_who_has_not_registered_may_not_call(alice: Registrant) -> None:
    alice.invite(f"sip:bob@{REALM}")
    assert alice.next("SIP/2.0 4").startswith("SIP/2.0 403")


def test_nobody_calls_from_the_address_of_somebody_else(alice: Registrant, handset: Callable[..., Registrant]) -> None:
    alice.come_in()
    thief = handset("bob", "127.0.0.66", name="thief")
    thief.service_route = alice.service_route
    thief.invite(f"sip:echo@{REALM}", f"P-Preferred-Identity: <sip:alice@{REALM}>")
    assert thief.next("SIP/2.0 4").startswith("SIP/2.0 403")


@pytest.mark.parametrize(
    ("preferred", "asserted"),
    [
        ("<sip:alice@{}>", "<sip:alice@{}>"),
        ("<tel:+00101-0000-001>", "<tel:+00101-0000-001>"),
        ("<sip:bob@{}>", "<sip:alice@{}>"),
        ("<sip:001010000000001@{}>", "<sip:alice@{}>"),  # barred
        ('"Alice" <sip:alice@{}>', '"Alice" <sip:alice@{}>'),
    ],
)
def test_the_identity_that_is_asserted(alice: Registrant, world: World, preferred: str, asserted: str) -> None:
    alice.come_in()
    alice.invite(
        f"sip:echo@{REALM}",
        f"P-Preferred-Identity: {preferred.format(REALM)}",
        "P-Asserted-Identity: <sip:queen@palace.example>",
    )
    world.run_for(0.1)
    invite = core_saw(world, "INVITE")
    assert headers(invite, "P-Asserted-Identity") == [asserted.format(REALM)]
    assert header(invite, "P-Preferred-Identity") == ""


def test_without_a_preference_the_default_identity_is_asserted(alice: Registrant, world: World) -> None:
    alice.come_in()
    alice.invite(f"sip:echo@{REALM}")
    world.run_for(0.1)
    assert header(core_saw(world, "INVITE"), "P-Asserted-Identity") == f"<sip:alice@{REALM}>"


def test_a_foreign_route_is_refused_and_a_missing_one_put_in(alice: Registrant, world: World) -> None:
    alice.come_in()
    right, alice.service_route = alice.service_route, "<sip:127.0.10.50:5060;lr>"
    alice.invite(f"sip:echo@{REALM}")
    assert alice.next("SIP/2.0 4").startswith("SIP/2.0 400")
    alice.service_route = ""
    alice.invite(f"sip:echo@{REALM}", call_id="second")
    world.run_for(0.1)
    assert header(core_saw(world, "INVITE"), "Route") == right


@pytest.fixture
def lenient(world: World) -> Registrant:
    network = Network(is_strict=False)
    network.attach(world)
    alice = Registrant(world, "alice", Address("127.0.0.11", 5060), network.addresses["p-cscf"])
    alice.account = network.accounts["alice"]
    alice.isim = alice.account.isim()
    world.attach("alice", alice, [alice.address.host])
    alice.come_in()
    return alice


def test_a_network_may_put_the_right_route_in_place_of_a_foreign_one(lenient: Registrant, world: World) -> None:
    right, lenient.service_route = lenient.service_route, "<sip:127.0.10.50:5060;lr>"
    lenient.invite(f"sip:echo@{REALM}")
    world.run_for(0.1)
    assert header(core_saw(world, "INVITE"), "Route") == right


def test_what_is_between_phone_and_p_cscf_stays_there(alice: Registrant, world: World) -> None:
    alice.come_in()
    alice.invite(f"sip:echo@{REALM}", "Security-Verify: ipsec-3gpp;alg=x", "P-Charging-Vector: icid-value=mine")
    world.run_for(0.1)
    invite = core_saw(world, "INVITE")
    assert header(invite, "Security-Verify") == ""
    assert len(headers(invite, "P-Charging-Vector")) == 1
    assert "mine" not in header(invite, "P-Charging-Vector")


@pytest.mark.parametrize(("security", "status"), [("none", 420), ("offered", 494), ("required", 494)])
def test_a_phone_that_needs_sec_agree_and_offers_nothing_is_refused(security: Security, status: int) -> None:
    network = Network(security=security)
    register = (
        f"REGISTER sip:{REALM} SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.11:5060;branch=z9hG4bK1\nMax-Forwards: 70\n"
        f"From: <sip:a@{REALM}>;tag=1\nTo: <sip:a@{REALM}>\nCall-ID: x\nCSeq: 1 REGISTER\n"
        "Proxy-Require: sec-agree\nRequire: sec-agree\n\n"
    )
    flow = Flow("UDP", network.addresses["p-cscf"], Address("127.0.0.11", 5060))
    [sent] = network.pcscf.receive(register.replace("\n", "\r\n").encode(), flow, 0.0)
    assert isinstance(sent, Send)
    answer = sent.data.decode()
    assert answer.startswith(f"SIP/2.0 {status}")
    assert header(answer, "Unsupported") == ("sec-agree" if status == 420 else "")
    assert header(answer, "Security-Server").startswith("ipsec-3gpp;alg=") == (status == 494)  # RFC 3329 2.3.1


@pytest.mark.parametrize("target", ["sip:127.0.0.12:5060", "sip:bob@127.0.0.12"])
def test_a_phone_reaches_another_through_the_core_only(
    alice: Registrant, bob: Registrant, network: Network, target: str
) -> None:
    alice.come_in()
    bob.come_in()
    [binding] = network.pcscf.bindings.at(bob.address)
    route = f"Route: <sip:{binding.token}@{alice.pcscf};lr>"
    for method in ("BYE", "ACK"):
        alice.send(
            f"{method} {target} SIP/2.0\nVia: {{via}}\nMax-Forwards: 70\n{route}\n"
            f"From: <sip:alice@{REALM}>;tag=1\nTo: <sip:bob@{REALM}>;tag=2\nCall-ID: x\nCSeq: 1 {method}\n\n"
        )
    assert alice.next("SIP/2.0").startswith("SIP/2.0 403")
    assert bob.heard == []


def test_where_a_phone_is_stays_in_the_core(alice: Registrant, bob: Registrant) -> None:
    alice.come_in()
    bob.come_in()
    alice.invite(f"sip:bob@{REALM}", "P-Access-Network-Info: 3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=0010100010000000A")
    invite = bob.next("INVITE")
    assert header(invite, "P-Access-Network-Info") == ""
    contact = f"Contact: <sip:bob@{bob.address}>"
    bob.reply(invite, "180 Ringing", contact, "P-Access-Network-Info: IEEE-802.11", tag="b")
    assert header(alice.next("SIP/2.0 180"), "P-Access-Network-Info") == ""


@pytest.mark.parametrize("privacy", ["id", "header; id", "ID;critical"])
def test_privacy_hides_the_caller_from_the_called_phone_only(
    alice: Registrant, bob: Registrant, world: World, privacy: str
) -> None:
    alice.come_in()
    bob.come_in()
    alice.invite(f"sip:bob@{REALM}", f"Privacy: {privacy}")
    assert header(bob.next("INVITE"), "P-Asserted-Identity") == ""
    assert header(core_saw(world, "INVITE"), "P-Asserted-Identity") == f"<sip:alice@{REALM}>"


def test_privacy_hides_the_called_from_the_calling_phone(alice: Registrant, bob: Registrant, world: World) -> None:
    alice.come_in()
    bob.come_in()
    alice.invite(f"sip:bob@{REALM}")
    bob.reply(bob.next("INVITE"), "180 Ringing", f"Contact: <sip:bob@{bob.address}>", "Privacy: id", tag="b")
    assert headers(alice.next("SIP/2.0 180"), "P-Asserted-Identity") == []
    assert headers(core_saw(world, "SIP/2.0 180"), "P-Asserted-Identity") == [f"<sip:bob@{REALM}>"]


def test_the_called_identity_is_asserted_in_the_answer(alice: Registrant, bob: Registrant) -> None:
    alice.come_in()
    bob.come_in()
    alice.invite(f"sip:bob@{REALM}")
    contact = f"Contact: <sip:bob@{bob.address}>"
    bob.reply(bob.next("INVITE"), "180 Ringing", contact, "P-Asserted-Identity: <sip:queen@palace.example>", tag="b")
    ringing = alice.next("SIP/2.0 180")
    assert headers(ringing, "P-Asserted-Identity") == [f"<sip:bob@{REALM}>"]


def test_a_phone_on_tcp_is_called_on_its_own_connection(alice: Registrant, bob: Registrant) -> None:
    alice.come_in()
    bob.come_in(transport="TCP")
    alice.invite(f"sip:bob@{REALM}")
    invite = bob.next("INVITE")
    assert bob.flow_of[invite] == Flow("TCP", bob.address, bob.pcscf)
    bob.invite(f"sip:echo@{REALM}", transport="UDP")  # the same phone, by the address in its Via
    assert bob.next("SIP/2.0 100")


def test_a_phone_whose_connection_is_gone_is_called_at_its_address(
    alice: Registrant, bob: Registrant, world: World
) -> None:
    alice.come_in()
    bob.come_in(transport="TCP")
    world.detach("bob")
    world.run_for(1)
    world.attach("bob", bob, [bob.address.host])
    alice.invite(f"sip:bob@{REALM}")
    assert bob.flow_of[bob.next("INVITE")].transport == "UDP"


def test_a_phone_that_is_gone_is_a_call_that_fails(alice: Registrant, bob: Registrant, world: World) -> None:
    alice.come_in()
    bob.come_in()
    world.detach("bob")
    alice.invite(f"sip:bob@{REALM}")
    assert alice.next("SIP/2.0 5").startswith("SIP/2.0 500")  # 503 of a next hop, RFC 3261 16.7


def test_two_phones_of_one_host_are_told_apart(handset: Callable[..., Registrant]) -> None:
    handset("alice", "127.0.0.11").come_in()
    two = handset("bob", "127.0.0.11", 5070)
    two.invite(f"sip:echo@{REALM}")
    assert two.next("SIP/2.0 4").startswith("SIP/2.0 403")


def test_garbage_is_answered_where_that_is_possible_and_told(alice: Registrant, world: World) -> None:
    for data in (b"hello", b"\x00" * 400, b"INVITE sip:x SIP/2.0\r\n\r\n"):
        world.perform("alice", [Send(data, Flow("UDP", alice.address, alice.pcscf))])
    alice.send(f"INVITE sip:a@{REALM} SIP/2.0\nVia: {{via}}\nFrom: x\nTo: <sip:a@b>\nCall-ID: 1\nCSeq: 1 INVITE\n\n")
    world.run_for(1)
    assert [text[:11] for text in alice.heard] == ["SIP/2.0 400"]
    told = [event for event in world.told("p-cscf") if isinstance(event, Violated)]
    assert len(told) == 3
    assert told[-1].did == "answered 400"
    assert told[0].source == str(alice.address)


def test_after_deregistration_of_all_contacts_nothing_is_left(alice: Registrant, network: Network) -> None:
    alice.come_in()
    alice.come_in(contact=f'<sip:second@{alice.address}>;+sip.instance="<urn:uuid:2>"')
    assert len(network.pcscf.bindings) == 2
    alice.come_in(contact="*", expires=0)
    assert len(network.pcscf.bindings) == 0


def test_an_answer_is_kept_for_a_phone_as_long_as_the_phone_asks(alice: Registrant, world: World) -> None:
    """Timers F and J last 128 s between a phone and its P-CSCF (TS 24.229 table 7.7.1)."""
    register = (
        f"REGISTER sip:{REALM} SIP/2.0\nVia: SIP/2.0/UDP {alice.address};branch=z9hG4bKonce;rport\nMax-Forwards: 70\n"
        f"From: <sip:{alice.account.impi}>;tag=1\nTo: <sip:{alice.account.impi}>\nCall-ID: once\nCSeq: 1 REGISTER\n"
        f"Contact: <sip:me@{alice.address}>\nAuthorization: {alice.first_authorization()}\n\n"
    )
    alice.send(register)
    challenge = alice.next("SIP/2.0 401")
    world.run_for(100)
    alice.send(register)
    assert alice.next("SIP/2.0") == challenge


def test_an_invented_to_tag_is_no_way_into_the_core(registered: Registrant) -> None:
    """TS 24.229 5.2.6.3.5: a request that belongs to no dialog of its phone is refused, whatever its Route says."""
    ok = answered(registered, f"sip:echo@{REALM}")
    registered.in_dialog("INFO", ok.replace(";tag=", ";tag=x"), "2")
    assert registered.next("SIP/2.0 4").startswith("SIP/2.0 403 No Such Dialog")
    registered.in_dialog("BYE", ok, "3")
    assert registered.next("SIP/2.0 ").startswith("SIP/2.0 200")


def test_a_dialog_keeps_its_route(registered: Registrant) -> None:
    ok = answered(registered, f"sip:echo@{REALM}")
    elsewhere = ok.replace("Record-Route: <sip:127.0.10.30:5060;lr>", "Record-Route: <sip:127.0.10.20:5060;lr>")
    assert elsewhere != ok
    registered.in_dialog("BYE", elsewhere, "2")  # the P-CSCF puts the right one in its place
    assert registered.next("SIP/2.0 ").startswith("SIP/2.0 200")
