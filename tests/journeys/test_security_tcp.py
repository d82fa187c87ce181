"""TCP inside ESP (SEC-08): who registers so, calls, is called, refreshes, and what is done where one side cannot.

Both families of addresses and every suite, in virtual time; on real sockets it is `test_two_hosts.py`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from imsphone.errors import NetworkError
from imsphone.events import CallAnswered, CallEnded, Registered, RegistrationFailed
from imsphone.ipsec.agreement import Proposal
from imsphone.ipsec.sa import SUITES, Ends, Suite
from imsphone.lab.faults import restart
from imsphone.lab.link import Link
from imsphone.lab.network import Network
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.machine import Address, Flow
from imsphone.net.privilege import ENVIRONMENT
from imsphone.phone import Phone
from imsphone.profile import Profile
from imsphone.sip.message import Request, parse
from imsphone.testing.served import ServedLab
from imsphone.testing.virtual import VirtualPhone
from imsphone.trace import Record

GM = ["alice", "p-cscf"]
ALICE = "127.0.10.101"
BASES = ("127.0.10.", "fd93::")
Ladder = Callable[..., None]


class Place:
    """A network with IPv4 or IPv6, and its phones."""

    def __init__(self, base: str = BASES[0], **keys: Any) -> None:
        self.base = base
        self.world = World()
        self.network = Network(seed=b"tcp", base=base.rstrip(".") if "." in base else base, **keys)
        self.network.attach(self.world)
        self.pcscf = self.network.addresses["p-cscf"]

    def phone(self, name: str = "alice", **keys: Any) -> VirtualPhone:
        profile = replace(Profile(**self.network.profile(name)), **{"security": "ipsec", "transport": "tcp"} | keys)
        host = f"{self.base}{101 if name == 'alice' else 102}"
        return VirtualPhone(self.world, name, host, profile, self.network.accounts[name].isim())

    def records(self, who: str = "alice", direction: str = "sent") -> list[Record]:
        """Messages and not the packets that they were in."""
        assert self.world.trace is not None
        found = [record for record in self.world.trace if record.who == who and record.direction == direction]
        return [record for record in found if record.protocol == "SIP"]

    def sent(self, method: str, who: str = "alice") -> list[tuple[Request, Record]]:
        records = [record for record in self.records(who) if record.data.startswith(method.encode() + b" ")]
        return [(request, record) for record in records if isinstance(request := parse(record.data), Request)]


def said(request: Request) -> Ends:
    proposal = Proposal.parse(request.headers.lines("Security-Client")[0])
    assert proposal is not None
    return proposal.ends


def test_sec_08_the_second_register_has_a_connection_of_its_own(assert_ladder: Ladder) -> None:
    place = Place()
    event = place.phone().register()
    assert isinstance(event, Registered)
    assert event.protection == "hmac-sha-1-96/aes-cbc"
    assert_ladder(
        place.world,
        """
        alice -> p-cscf  REGISTER
        p-cscf -> alice  401 Unauthorized
        alice -> p-cscf  REGISTER (ESP)
        p-cscf -> alice  200 OK (ESP)
        """,
        nodes=GM,
    )
    (first, plain), (second, inside) = place.sent("REGISTER")
    alice = plain.flow.local.host
    ends = said(first)
    assert plain.flow == Flow("TCP", Address(alice, 5060), place.pcscf)
    assert inside.flow == Flow("TCP", Address(alice, ends.port_c), Address(place.pcscf.host, 6100))
    for request in (first, second):  # TS 24.229 5.1.1.2.2: the protected server port
        assert (request.contacts[0].uri.port, request.contacts[0].uri.transport) == (ends.port_s, "TCP")
    assert str(second.headers.get("Via")).startswith(f"SIP/2.0/TCP {Address(alice, ends.port_s)};")
    # the answer comes on the same connection, so in the association that UDP leaves empty
    used = {(one.association.source.port, one.association.target.port) for one in counted(place) if one.packets}
    assert used == {(ends.port_c, 6100), (6100, ends.port_c)}


def counted(place: Place, name: str = "alice") -> list[Any]:
    return place.world.shield(name).counted()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_calls_both_ways_inside_each_suite(suite: Suite, base: str, transport: str) -> None:
    place = Place(base)
    alice = place.phone(security_suites=(str(suite),), transport=transport)
    bob = place.phone("bob", security_suites=(str(suite),), transport=transport)
    alice.register()
    bob.register()
    for caller, called, name in ((alice, bob, "bob"), (bob, alice, "alice")):
        key = caller.call(name)
        called.answer(called.incoming())
        caller.next(CallAnswered)
        caller.hangup(key)
        called.next(CallEnded)
        place.world.run_for(1.0)
    inside = [record for who in ("alice", "bob") for record in place.records(who) if record.is_protected]
    assert {record.flow.transport for record in inside} == {transport.upper()}
    assert all(one.forged == one.replayed == 0 for one in counted(place))


def test_the_p_cscf_calls_the_phone_at_its_protected_server_port(assert_ladder: Ladder) -> None:
    place = Place()
    alice, bob = place.phone(), place.phone("bob")
    alice.register()
    bob.register()
    bob.call("alice")
    alice.answer(alice.incoming())
    bob.next(CallAnswered)
    place.world.run_for(1.0)
    (invite,) = [record for record in place.records("alice", "received") if record.data.startswith(b"INVITE")]
    ends = said(place.sent("REGISTER")[1][0])
    assert invite.flow.local.port == ends.port_s  # TS 33.203 7.1: from port_pc to port_us, on a connection of its own
    assert invite.flow.remote.port != 6100
    pairs = {(ends.port_c, 6100), (6100, ends.port_c)}
    pairs |= {(invite.flow.remote.port, ends.port_s), (ends.port_s, invite.flow.remote.port)}
    assert {(one.association.source.port, one.association.target.port) for one in counted(place)} == pairs
    assert all(one.packets for one in counted(place))  # SEC-07: both ways on both pairs, and nowhere else
    answers = [record for record in place.records() if record.data.startswith(b"SIP/2.0 200")]
    assert {record.flow for record in answers} == {invite.flow}  # and the answers on the same
    assert_ladder(
        place.world,
        """
        ...
        p-cscf -> alice  INVITE (SDP) (ESP)
        alice -> p-cscf  100 Trying (ESP)
        alice -> p-cscf  180 Ringing (SDP) (ESP)
        p-cscf -> alice  PRACK (ESP)
        alice -> p-cscf  200 OK (ESP)
        alice -> p-cscf  200 OK (ESP)
        p-cscf -> alice  ACK (ESP)
        ...
        """,
        nodes=GM,
    )


def test_sec_12_a_refresh_has_a_new_connection_and_a_call_lives_on() -> None:
    place = Place(terms=Terms(max_expires_s=600))
    alice, bob = place.phone(), place.phone("bob")
    alice.register()
    bob.register()
    key = alice.call("bob")
    bob.answer(bob.incoming())
    place.world.run_for(3600.0)
    assert alice.ue.calls[key].state != "ended"
    ends = [said(request) for request, record in place.sent("REGISTER") if record.is_protected]
    assert len({one.port_s for one in ends}) == 1
    assert len({one.port_c for one in ends}) > 10
    clients = [record.flow.local.port for _, record in place.sent("REGISTER")]
    assert len(set(clients)) > 10  # each set its own connection, from its own port
    assert len(counted(place)) <= 8  # two sets at most
    bob.hangup(bob.incoming())
    ended = alice.next(CallEnded)
    assert (ended.call, ended.status) == (key, None)  # type: ignore[attr-defined]


def test_sec_13_a_p_cscf_that_lost_its_associations_is_registered_with_anew() -> None:
    place = Place()
    alice = place.phone(keep_alive_s=5)
    alice.register()
    place.world.run_for(60.0)
    first = place.sent("REGISTER")[-1][1].flow
    restart(place.network, place.world, "p-cscf", 4.0)
    place.world.run_for(19.0)
    assert alice.ue.is_registered
    assert place.sent("REGISTER")[-1][1].flow != first
    alice.call("echo")
    assert alice.next(CallAnswered)


def test_err_08_at_a_new_address_there_is_a_new_connection() -> None:
    place = Place()
    alice = place.phone()
    alice.register()
    alice.move("127.0.10.105")
    alice.next(Registered)
    inside = place.sent("REGISTER")[-1][1]
    assert inside.is_protected
    assert (inside.flow.transport, inside.flow.local.host) == ("TCP", "127.0.10.105")
    alice.call("echo")
    assert alice.next(CallAnswered)


def test_the_old_connection_stays_until_its_transactions_have_ended() -> None:
    place = Place()
    alice = place.phone()
    alice.register()
    old = place.sent("REGISTER")[-1][1].flow
    alice.do(alice.ue.register)
    alice.next(Registered)
    assert place.world.shield("alice").way(old) is not None
    place.world.run_for(129.0)
    assert place.world.shield("alice").way(old) is None


def test_a_bad_way_costs_tcp_inside_esp_time_and_no_message() -> None:
    place = Place()
    alice, bob = place.phone(), place.phone("bob")
    for name in ("alice", "bob"):
        place.world.link(
            name, "p-cscf", Link(loss=0.2, delay_ms=30, jitter_ms=20, reorder=0.05, duplicate=0.05, seed=7)
        )
    alice.register()
    bob.register()
    key = alice.call("bob")
    bob.answer(bob.incoming())
    alice.next(CallAnswered)
    alice.hangup(key)
    bob.next(CallEnded)
    place.world.run_for(5.0)
    sent = [record.data for record in place.records() if record.is_protected]
    heard = [record.data for record in place.records("p-cscf", "received") if record.flow.remote.host == ALICE]
    assert sent == [data for data in heard if data in sent]  # each once, and in their order


# Without a word about it in the profile ------------------------------------------------------------------------------


def test_what_is_large_goes_by_tcp_and_the_rest_by_udp() -> None:
    """RFC 3261 18.1.1."""
    place = Place()
    alice = place.phone(transport=None)
    alice.register()
    key = alice.call("echo")
    alice.next(CallAnswered)
    place.world.run_for(1.0)
    alice.hangup(key)
    requests = [record for record in place.records() if not record.data.startswith(b"SIP/2.0")]
    inside = [record for record in requests if record.is_protected]
    assert {"UDP", "TCP"} == {record.flow.transport for record in inside}
    assert all((len(record.data) > 1300) == (record.flow.transport == "TCP") for record in inside)
    assert place.sent("REGISTER")[0][1].flow.transport == "UDP"  # the first word is in the clear


def test_where_this_machine_has_no_tcp_inside_all_stays_on_udp() -> None:
    place = Place()
    alice = place.phone(transport=None)
    place.world.shield("alice").transports = ("UDP",)
    assert isinstance(alice.register(), Registered)
    alice.call("echo")
    alice.next(CallAnswered)
    assert {record.flow.transport for record in place.records() if record.is_protected} == {"UDP"}


def test_where_the_p_cscf_has_none_the_first_connection_tells_and_all_stays_on_udp() -> None:
    place = Place(terms=Terms(max_expires_s=600))
    alice = place.phone(transport=None)
    place.world.shield("p-cscf").transports = ("UDP",)
    assert isinstance(alice.register(), Registered)
    alice.call("echo")
    alice.next(CallAnswered)
    place.world.run_for(1000.0)  # and some refreshes
    over_tcp = [record for record in place.records() if record.is_protected and record.flow.transport == "TCP"]
    assert len(over_tcp) == 1
    assert over_tcp[0].data.startswith(b"REGISTER")
    assert alice.ue.is_registered


def test_who_insists_on_tcp_where_there_is_none_is_told(assert_ladder: Ladder) -> None:
    place = Place()
    alice = place.phone()
    place.world.shield("alice").transports = ("UDP",)
    event = alice.register()
    assert isinstance(event, RegistrationFailed)
    assert "TUN" in event.sentence
    assert not [record for record in place.records() if record.is_protected]


def test_who_insists_on_tcp_with_a_p_cscf_that_has_none_is_not_registered() -> None:
    place = Place()
    alice = place.phone()
    place.world.shield("p-cscf").transports = ("UDP",)
    event = alice.register()
    assert isinstance(event, RegistrationFailed)
    assert event.cause == "unreachable"
    assert "no TCP connection came up inside" in event.sentence


async def test_sec_14_who_may_not_open_a_device_hears_it_before_anything_is_sent(
    lab: ServedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("imsphone.net.choice.raw_socket", lambda host: socket.socket())
    monkeypatch.setattr("imsphone.net.tunnel.open_tun", refuse)
    monkeypatch.setenv(ENVIRONMENT, "/nonexistent")
    keys = {"security": "ipsec", "ipsec_by": "own", "transport": "tcp"}
    async with Phone(replace(lab.profile("alice"), **keys), isim=lab.isim("alice")) as alice:
        with pytest.raises(NetworkError, match=r"TUN device.*imsphone-sa"):
            await alice.register()
        assert len(alice.trace) == 0
