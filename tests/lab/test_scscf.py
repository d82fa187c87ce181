"""Calls between two handsets through P-, S-, I-, S- and P-CSCF, in octets written by hand (TS 24.229 5.4.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.machine import Address, Flow
from tests.lab.conftest import REALM, Registrant, header, headers


def ladder(world: World, since: float = 0.0) -> list[str]:
    """Each SIP message once, as it left: who, and its first words."""
    return [
        f"{record.who} {record.data.split(b' ', 2)[1 if record.data.startswith(b'SIP') else 0].decode()}"
        for record in world.trace.records()  # type: ignore[union-attr]
        if record.protocol == "SIP" and record.direction == "sent" and record.at >= since
    ]


@pytest.fixture
def both(alice: Registrant, bob: Registrant) -> tuple[Registrant, Registrant]:
    alice.come_in()
    bob.come_in()
    return alice, bob


def test_a_call_from_ringing_to_bye(both: tuple[Registrant, Registrant], world: World) -> None:
    alice, bob = both
    start = world.now
    alice.invite(f"sip:bob@{REALM}")
    assert alice.next("SIP/2.0").startswith("SIP/2.0 100")
    invite = bob.next("INVITE")
    bob.reply(invite, "180 Ringing", f"Contact: <sip:bob@{bob.address}>", tag="b1")
    assert alice.next("SIP/2.0").startswith("SIP/2.0 180")
    bob.reply(invite, "200 OK", f"Contact: <sip:bob@{bob.address}>", tag="b1")
    ok = alice.next("SIP/2.0 200")
    alice.in_dialog("ACK", ok, "1")
    bob.next("ACK")
    alice.in_dialog("BYE", ok, "2")
    bye = bob.next("BYE")
    bob.reply(bye, "200 OK")
    assert "BYE" in header(alice.next("SIP/2.0 200"), "CSeq")
    through = ["p-cscf", "s-cscf", "i-cscf", "s-cscf", "p-cscf"]
    in_dialog = ["p-cscf", "s-cscf", "p-cscf"]

    def going(word: str, nodes: list[str]) -> list[str]:
        return [f"{node} {word}" for node in nodes]

    expected = ["alice INVITE"]
    for node in through:
        expected += [f"{node} 100", f"{node} INVITE"]
    expected += ["bob 180", *going("180", through), "bob 200", *going("200", through)]
    expected += ["alice ACK", *going("ACK", in_dialog), "alice BYE", *going("BYE", in_dialog)]
    expected += ["bob 200", *going("200", in_dialog)]
    assert ladder(world, start) == expected


def test_what_the_called_phone_sees(both: tuple[Registrant, Registrant]) -> None:
    alice, bob = both
    alice.invite(f"sip:bob@{REALM}", "P-Preferred-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel")
    invite = bob.next("INVITE")
    assert invite.startswith(f"INVITE sip:001010000000002@{bob.address} SIP/2.0")
    assert header(invite, "P-Called-Party-ID") == f"<sip:bob@{REALM}>"
    assert headers(invite, "P-Asserted-Identity") == [f"<sip:alice@{REALM}>", "<tel:+001010000001>"]
    assert header(invite, "P-Asserted-Service") == "urn:urn-7:3gpp-service.ims.icsi.mmtel"
    assert header(invite, "P-Charging-Vector") == ""
    assert header(invite, "Route") == ""
    assert header(invite, "Max-Forwards") == "65"
    assert [route.partition("@")[2] or route for route in headers(invite, "Record-Route")] == [
        "127.0.10.10:5060;lr>",
        "<sip:127.0.10.30:5060;lr>",
        "<sip:127.0.10.30:5060;lr>",
        "127.0.10.10:5060;lr>",
    ]


def test_the_called_phone_may_end_it(both: tuple[Registrant, Registrant]) -> None:
    alice, bob = both
    alice.invite(f"sip:bob@{REALM}")
    invite = bob.next("INVITE")
    bob.reply(invite, "200 OK", f"Contact: <sip:bob@{bob.address}>", tag="b1")
    alice.in_dialog("ACK", alice.next("SIP/2.0 200"), "1")
    bob.next("ACK")
    routes = "".join(f"Route: {route}\n" for route in headers(invite, "Record-Route"))
    bob.send(
        f"BYE sip:alice@{alice.address} SIP/2.0\nVia: {{via}}\nMax-Forwards: 70\n{routes}"
        f"From: {header(invite, 'To')};tag=b1\nTo: {header(invite, 'From')}\nCall-ID: {header(invite, 'Call-ID')}\n"
        "CSeq: 1 BYE\n\n"
    )
    alice.reply(alice.next("BYE"), "200 OK")
    assert bob.next("SIP/2.0").startswith("SIP/2.0 200")


def test_a_number_finds_its_owner(both: tuple[Registrant, Registrant]) -> None:
    alice, bob = both
    alice.invite("tel:+00101-0000-002")
    assert header(bob.next("INVITE"), "P-Called-Party-ID") == "<tel:+00101-0000-002>"
    alice.invite(f"sip:+001010000002@{REALM};user=phone", call_id="second")
    bob.next("INVITE")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"sip:nobody@{REALM}", 404),
        ("tel:+4930999", 404),
        (f"sip:001010000000002@{REALM}", 404),  # barred
        ("sip:bob@elsewhere.example", 404),
        ("urn:service:counseling", 416),
    ],
)
def test_nobody_is_there(both: tuple[Registrant, Registrant], target: str, status: int) -> None:
    alice, _ = both
    alice.invite(target)
    assert alice.next("SIP/2.0 4").startswith(f"SIP/2.0 {status}")


def test_a_user_who_is_not_registered(alice: Registrant) -> None:
    alice.come_in()
    alice.invite(f"sip:bob@{REALM}")
    assert alice.next("SIP/2.0 4").startswith("SIP/2.0 480")


def test_a_user_with_services_who_is_not_registered(alice: Registrant, network: Network) -> None:
    network.hss.subscriber(network.accounts["bob"].impi).has_unregistered_services = True
    alice.come_in()
    alice.invite(f"sip:bob@{REALM}")
    assert alice.next("SIP/2.0 4").startswith("SIP/2.0 480")


def test_busy_comes_back_and_is_acknowledged_hop_by_hop(both: tuple[Registrant, Registrant], world: World) -> None:
    alice, bob = both
    alice.invite(f"sip:bob@{REALM}")
    bob.reply(bob.next("INVITE"), "486 Busy Here", tag="b1")
    busy = alice.next("SIP/2.0 4")
    assert busy.startswith("SIP/2.0 486")
    bob.next("ACK")
    alice.send(
        f"ACK sip:bob@{REALM} SIP/2.0\nVia: {header(busy, 'Via').partition(';rport=')[0]};rport\nMax-Forwards: 70\n"
        f"From: {header(busy, 'From')}\nTo: {header(busy, 'To')}\nCall-ID: call@alice\nCSeq: 1 ACK\n\n"
    )
    before = len(alice.heard)
    world.run_for(40)
    assert len(alice.heard) == before  # the ACK stopped the repeats


def test_a_caller_who_gives_up(both: tuple[Registrant, Registrant]) -> None:
    alice, bob = both
    alice.invite(f"sip:bob@{REALM}")
    invite = bob.next("INVITE")
    bob.reply(invite, "180 Ringing", f"Contact: <sip:bob@{bob.address}>", tag="b1")
    ringing = alice.next("SIP/2.0 180")
    alice.send(
        f"CANCEL sip:bob@{REALM} SIP/2.0\nVia: {header(ringing, 'Via').partition(';rport=')[0]};rport\n"
        f"Max-Forwards: 70\nFrom: {header(ringing, 'From')}\nTo: <sip:bob@{REALM}>\nCall-ID: call@alice\n"
        'CSeq: 1 CANCEL\nReason: SIP;cause=487;text="No answer"\n\n'
    )
    assert "CANCEL" in header(alice.next("SIP/2.0 200"), "CSeq")
    cancel = bob.next("CANCEL")
    assert header(cancel, "Reason") == 'SIP;cause=487;text="No answer"'
    bob.reply(cancel, "200 OK", tag="b1")
    bob.reply(invite, "487 Request Terminated", tag="b1")
    assert alice.next("SIP/2.0 4").startswith("SIP/2.0 487")


def test_a_cancel_of_nothing(both: tuple[Registrant, Registrant]) -> None:
    alice, _ = both
    alice.send(
        f"CANCEL sip:bob@{REALM} SIP/2.0\nVia: {{via}}\nMax-Forwards: 70\nFrom: <sip:alice@{REALM}>;tag=1\n"
        f"To: <sip:bob@{REALM}>\nCall-ID: none\nCSeq: 1 CANCEL\n\n"
    )
    assert alice.next("SIP/2.0").startswith("SIP/2.0 481")


@pytest.fixture
def tablet(handset: Callable[..., Registrant], bob: Registrant) -> Registrant:
    tablet = handset("bob", "127.0.0.13", name="tablet")
    tablet.isim = bob.isim
    tablet.come_in(contact=f'<sip:tablet@{tablet.address}>;+sip.instance="<urn:uuid:1>"')
    return tablet


def test_two_devices_ring_and_the_first_to_answer_has_the_call(
    both: tuple[Registrant, Registrant], tablet: Registrant, world: World
) -> None:
    alice, bob = both
    alice.invite(f"sip:bob@{REALM}")
    one, other = bob.next("INVITE"), tablet.next("INVITE")
    bob.reply(one, "180 Ringing", f"Contact: <sip:bob@{bob.address}>", tag="b1")
    tablet.reply(other, "180 Ringing", f"Contact: <sip:tablet@{tablet.address}>", tag="t1")
    tags = {header(alice.next("SIP/2.0 180"), "To").partition("tag=")[2] for _ in range(2)}
    assert tags == {"b1", "t1"}
    tablet.reply(other, "200 OK", f"Contact: <sip:tablet@{tablet.address}>", tag="t1")
    assert header(alice.next("SIP/2.0 200"), "To").endswith("tag=t1")
    cancel = bob.next("CANCEL")
    assert "Call completed elsewhere" in header(cancel, "Reason")
    bob.reply(cancel, "200 OK", tag="b1")
    bob.reply(one, "487 Request Terminated", tag="b1")
    bob.next("ACK")
    world.run_for(1)
    assert not [text for text in alice.heard if text.startswith("SIP/2.0 487")]


def test_of_two_refusals_the_lower_class_counts_and_6xx_ends_it_all(
    both: tuple[Registrant, Registrant], tablet: Registrant
) -> None:
    alice, bob = both
    alice.invite(f"sip:bob@{REALM}")
    one, other = bob.next("INVITE"), tablet.next("INVITE")
    bob.reply(one, "500 Server Internal Error", tag="b1")
    tablet.reply(other, "486 Busy Here", tag="t1")
    assert alice.next("SIP/2.0 4").startswith("SIP/2.0 486")

    alice.invite(f"sip:bob@{REALM}", call_id="second")
    one, other = bob.next("INVITE"), tablet.next("INVITE")
    tablet.reply(other, "180 Ringing", f"Contact: <sip:tablet@{tablet.address}>", tag="t1")
    bob.reply(one, "603 Decline", tag="b1")
    tablet.reply(tablet.next("CANCEL"), "200 OK", tag="t1")
    tablet.reply(other, "487 Request Terminated", tag="t1")
    assert alice.next("SIP/2.0 6").startswith("SIP/2.0 603")


def test_a_phone_that_has_vanished_is_a_timeout(both: tuple[Registrant, Registrant], world: World) -> None:
    alice, bob = both
    world.silence(bob.address.host)
    alice.invite(f"sip:bob@{REALM}")
    assert alice.next("SIP/2.0 4", timeout_s=200).startswith("SIP/2.0 408")


def test_a_call_that_rings_for_ever_is_ended_by_timer_c(both: tuple[Registrant, Registrant], world: World) -> None:
    alice, bob = both
    alice.invite(f"sip:bob@{REALM}")
    invite = bob.next("INVITE")
    bob.reply(invite, "180 Ringing", f"Contact: <sip:bob@{bob.address}>", tag="b1")
    start = world.now
    bob.reply(bob.next("CANCEL", timeout_s=400), "200 OK", tag="b1")
    assert 180 < world.now - start < 190
    bob.reply(invite, "487 Request Terminated", tag="b1")
    assert alice.next("SIP/2.0 4").startswith("SIP/2.0 487")


def test_only_the_reg_event_package_is_offered(alice: Registrant) -> None:
    alice.come_in()
    alice.send(
        f"SUBSCRIBE sip:alice@{REALM} SIP/2.0\nVia: {{via}}\nMax-Forwards: 70\nRoute: {alice.service_route}\n"
        f"From: <sip:alice@{REALM}>;tag=1\nTo: <sip:alice@{REALM}>\nCall-ID: sub\nCSeq: 1 SUBSCRIBE\nEvent: presence\n"
        f"Contact: <sip:alice@{alice.address}>\nExpires: 600\n\n"
    )
    answer = alice.next("SIP/2.0")
    assert answer.startswith("SIP/2.0 489")
    assert "Allow-Events: reg" in answer


def test_the_home_network_answers_who_asks_whether_it_is_there(alice: Registrant) -> None:
    alice.come_in()
    alice.send(
        f"OPTIONS sip:{REALM} SIP/2.0\nVia: {{via}}\nMax-Forwards: 70\nRoute: {alice.service_route}\n"
        f"From: <sip:alice@{REALM}>;tag=1\nTo: <sip:{REALM}>\nCall-ID: there\nCSeq: 1 OPTIONS\n\n"
    )
    assert alice.next("SIP/2.0").startswith("SIP/2.0 200")


def test_strangers_are_kept_out_of_the_core(alice: Registrant, network: Network) -> None:
    for name in ("i-cscf", "s-cscf"):
        alice.pcscf = network.addresses[name]
        assert alice.register(alice.first_authorization()).startswith("SIP/2.0 403")


TOKENS = st.sampled_from(
    'INVITE REGISTER ACK CANCEL BYE sip: tel: : ; , < > " \r\n \r\n\r\n SIP/2.0 200 Via: Route: To: From: CSeq: 1 '
    "Call-ID: Contact: * Max-Forwards: 0 Authorization: Digest nonce= username= z9hG4bK a@b [::1] lr tag= branch= "
    "Expires: Path: P-Asserted-Identity: P-Preferred-Identity: Proxy-Require: Content-Length: 9 Record-Route:".split(
        " "
    )
)


@given(st.lists(TOKENS | st.text(max_size=5), max_size=40), st.sampled_from(["p-cscf", "i-cscf", "s-cscf"]))
@settings(max_examples=150, deadline=None)
def test_any_octets_to_any_node_raise_nothing_and_leave_nothing(words: list[str], node: str) -> None:
    network = Network()
    machine = network.nodes[node]
    for host in ("127.0.0.1", "127.0.10.20"):
        for transport in ("UDP", "TCP"):
            flow = Flow(transport, network.addresses[node], Address(host, 5060))  # type: ignore[arg-type]
            for data in (" ".join(words), "".join(words), f"INVITE sip:a@{REALM} SIP/2.0\r\n" + "\r\n".join(words)):
                machine.receive(data.encode("utf-8", "surrogatepass"), flow, 1.0)
    for _ in range(2000):
        deadline = machine.deadline
        if deadline is None:
            break
        machine.tick(deadline)
    assert machine.deadline is None


SOUND = (
    "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{branch}\r\nMax-Forwards: {hops}\r\n"
    "{extra}From: <sip:a@b>;tag=1\r\nTo: <{to}>{tag}\r\nCall-ID: {branch}\r\nCSeq: 1 {method}\r\n"
    "Contact: {contact}\r\nContent-Length: 0\r\n\r\n"
)


@given(
    method=st.sampled_from(["INVITE", "REGISTER", "ACK", "CANCEL", "BYE", "MESSAGE", "FOO"]),
    uri=st.sampled_from([f"sip:{REALM}", f"sip:a@{REALM}", "tel:+1", "sip:127.0.10.30", "sip:a@b.c", "urn:x:y"]),
    to=st.sampled_from([f"sip:alice@{REALM}", "tel:+1-2", "sip:@", "urn:a:b", "sip:a@b;user=phone"]),
    tag=st.sampled_from(["", ";tag=2"]),
    contact=st.sampled_from(
        ["*", "<sip:a@127.0.0.1>", "<sip:a@h>;expires=x", "<sip:a@h>;expires=99999999999", "<tel:+1>"]
    ),
    hops=st.sampled_from(["0", "1", "70"]),
    extra=st.lists(
        st.sampled_from(
            [
                "Route: <sip:127.0.10.10;lr>",
                "Route: <sip:orig@127.0.10.30;lr>, <sip:127.0.10.30;lr>",
                "Route: <sip:x@127.0.10.10:5060;lr>",
                'Route: "',
                "Route: <tel:+1>",
                f"P-Asserted-Identity: <sip:alice@{REALM}>",
                "P-Asserted-Identity: <",
                "Path: <sip:127.0.10.10;lr>",
                "Path: ,<",
                "Proxy-Require: sec-agree",
                "Expires: 0",
                'Authorization: Digest username="x", nonce="", response=""',
                "Authorization: Digest ,,,",
                'P-Preferred-Identity: "x',
                "Privacy: id",
            ]
        ),
        max_size=4,
    ),
    node=st.sampled_from(["p-cscf", "i-cscf", "s-cscf"]),
    host=st.sampled_from(["127.0.0.1", "127.0.10.10", "127.0.10.20", "127.0.10.30"]),
)
@settings(max_examples=300, deadline=None)
def test_sound_messages_that_make_no_sense_raise_nothing(node: str, host: str, **parts: object) -> None:
    network = Network()
    machine = network.nodes[node]
    extra = "".join(f"{line}\r\n" for line in parts.pop("extra"))  # type: ignore[attr-defined]
    flow = Flow("UDP", network.addresses[node], Address(host, 5060))
    for branch in ("1", "1", "2"):
        machine.receive(SOUND.format(**parts, extra=extra, branch=branch).encode(), flow, 1.0)
    for _ in range(2000):
        deadline = machine.deadline
        if deadline is None:
            break
        machine.tick(deadline)
    assert machine.deadline is None
