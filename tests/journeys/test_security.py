"""A phone and its P-CSCF agree on IPsec and keep to it; each test is one row of the checks (SEC)."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from imsphone.errors import NetworkError
from imsphone.events import CallAnswered, CallEnded, Registered, RegistrationFailed, Violated
from imsphone.ipsec.agreement import Proposal
from imsphone.ipsec.sa import SUITES, Suite
from imsphone.ipsec.shield import Counted
from imsphone.lab.faults import refuse, restart
from imsphone.lab.network import Network
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.machine import Address, Effect, Flow, Send
from imsphone.net.privilege import ENVIRONMENT
from imsphone.phone import Phone
from imsphone.profile import Profile
from imsphone.sip.fields import Challenge
from imsphone.sip.message import Request, Response, parse
from imsphone.sip.timers import TS_24_229
from imsphone.testing.served import ServedLab
from imsphone.testing.virtual import VirtualPhone
from imsphone.trace import Record
from tests.net.test_esp import needs_raw

GM = ["alice", "p-cscf"]
HOSTS = {"alice": "127.0.10.101", "bob": "127.0.10.102"}
PCSCF = Address("127.0.10.10", 5060)
Ladder = Callable[..., None]


def put_in(world: World, network: Network, name: str = "alice", **keys: object) -> VirtualPhone:
    profile = replace(Profile(**network.profile(name)), **{"security": "ipsec"} | keys)  # type: ignore[arg-type]
    return VirtualPhone(world, name, HOSTS[name], profile, network.accounts[name].isim())


def network_of(world: World, **keys: object) -> Network:
    network = Network(seed=b"security", **keys)  # type: ignore[arg-type]
    network.attach(world)
    return network


def records(world: World, who: str, *, protocol: str = "SIP", direction: str = "sent") -> list[Record]:
    assert world.trace is not None
    found = [record for record in world.trace if record.who == who and record.direction == direction]
    return [record for record in found if record.protocol == protocol]


def last_request(world: World, method: bytes = b"REGISTER") -> tuple[Request, Flow]:
    record = [record for record in records(world, "alice") if record.data.startswith(method)][-1]
    request = parse(record.data)
    assert isinstance(request, Request)
    return request, record.flow


def sent_again(request: Request, **changes: str) -> Request:
    """The same request as if it were the next one of the phone."""
    again = request.copy()
    again.headers.set("CSeq", f"{request.cseq.number + 1} {request.method}")
    again.headers.set("Via", str(request.via.with_params(branch="z9hG4bKagain")))
    for name, value in changes.items():
        again.headers.set(name.replace("_", "-"), value)
    return again


def answers(world: World) -> list[int]:
    """The statuses that the P-CSCF has sent to alice."""
    sent = [record for record in records(world, "p-cscf") if record.flow.remote.host == HOSTS["alice"]]
    return [message.status for record in sent if isinstance(message := parse(record.data), Response)]


def counted(world: World, name: str) -> list[Counted]:
    return world.shield(name).counted()


# The agreement ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_sec_01_registration_and_a_call_inside_each_suite(
    world: World, network: Network, assert_ladder: Ladder, suite: Suite
) -> None:
    alice = put_in(world, network, security_suites=(str(suite),))
    bob = put_in(world, network, "bob", security_suites=(str(suite),))
    event = alice.register()
    assert isinstance(event, Registered)
    assert event.protection == str(suite)
    bob.register()
    key = alice.call("bob")
    bob.answer(bob.incoming())
    alice.next(CallAnswered)
    bob.hangup(bob.incoming())
    assert alice.next(CallEnded).call == key
    assert_ladder(
        world,
        """
        alice -> p-cscf  REGISTER
        p-cscf -> alice  401 Unauthorized
        alice -> p-cscf  REGISTER (ESP)
        p-cscf -> alice  200 OK (ESP)
        alice -> p-cscf  INVITE (SDP) (ESP)
        p-cscf -> alice  100 Trying (ESP)
        p-cscf -> alice  180 Ringing (SDP) (ESP)
        alice -> p-cscf  PRACK (ESP)
        p-cscf -> alice  200 OK (ESP)
        p-cscf -> alice  200 OK (ESP)
        alice -> p-cscf  ACK (ESP)
        p-cscf -> alice  BYE (ESP)
        alice -> p-cscf  200 OK (ESP)
        """,
        nodes=GM,
    )


def test_sec_01_the_p_cscf_prefers_and_the_phone_follows() -> None:
    world = World()
    network = network_of(world, suites=(Suite("aes-gmac", "null"), Suite("hmac-md5-96", "null"), *SUITES))
    event = put_in(world, network, security_suites=("hmac-sha-1-96/aes-cbc", "hmac-md5-96/null")).register()
    assert isinstance(event, Registered)
    assert event.protection == "hmac-md5-96/null"


def test_sec_02_security_verify_is_what_came(world: World, network: Network) -> None:
    put_in(world, network).register()
    challenge = parse(next(r.data for r in records(world, "alice", direction="received") if b" 401 " in r.data[:20]))
    assert last_request(world)[0].headers.lines("Security-Verify") == challenge.headers.lines("Security-Server")


@pytest.mark.parametrize(
    "changes",
    [
        {"Security_Verify": "ipsec-3gpp;alg=hmac-md5-96;ealg=null;spi-c=1;spi-s=2;port-c=3;port-s=4"},
        {"Security_Verify": "tls"},
    ],
)
def test_sec_03_a_changed_security_verify_is_refused(world: World, network: Network, changes: dict[str, str]) -> None:
    put_in(world, network).register()
    world.run_for(1.0)
    request, flow = last_request(world)
    world.perform("alice", [Send(bytes(sent_again(request, **changes)), flow)])
    world.run_for(1.0)
    assert answers(world)[-1] == 494


def test_sec_04_so_is_none_at_all(world: World, network: Network) -> None:
    put_in(world, network).register()
    world.run_for(1.0)
    request, flow = last_request(world)
    request.headers.remove("Security-Verify")
    world.perform("alice", [Send(bytes(sent_again(request)), flow)])
    world.run_for(1.0)
    assert answers(world)[-1] == 494


def test_sec_03_so_is_a_changed_one_in_any_other_request(world: World, network: Network) -> None:
    """RFC 3329 2.3.1; the answer says what it should have been."""
    alice = put_in(world, network)
    alice.register()
    alice.text("echo", "hello")
    request, flow = last_request(world, b"MESSAGE")
    world.perform("alice", [Send(bytes(sent_again(request, Security_Verify="tls", Call_ID="again")), flow)])
    world.run_for(1.0)
    (refusal,) = (parse(one.data) for one in records(world, "p-cscf") if one.data.startswith(b"SIP/2.0 494"))
    assert refusal.headers.get_all("Security-Server") == request.headers.get_all("Security-Verify")


def without_security_server(line: str) -> str | None:
    return None


def without_spi_s(line: str) -> str | None:
    return ";".join(part for part in line.split(";") if not part.startswith("spi-s"))


def rewrite_challenges(phone: VirtualPhone, edit: Callable[[str], str | None], times: int = 99) -> None:
    """The next so many challenges reach the phone with other lines of Security-Server."""
    receive, left = phone.ue.receive, times

    def through(data: bytes, flow: Flow, now: float) -> list[Effect]:
        nonlocal left
        message = parse(data)
        if isinstance(message, Response) and message.status == 401 and left > 0:
            left -= 1
            lines = [edit(line) for line in message.headers.lines("Security-Server")]
            message.headers.set("Security-Server", *filter(None, lines))
            data = bytes(message)
        return receive(data, flow, now)

    phone.ue.receive = through  # type: ignore[method-assign]


@pytest.mark.parametrize("edit", [without_security_server, without_spi_s])
def test_sec_05_without_a_whole_security_server_it_begins_again(
    world: World, network: Network, edit: Callable[[str], str | None]
) -> None:
    """SEC-05, TS 24.229 5.1.1.5.1: the phone abandons what it began, and begins anew with a new Call-ID."""
    alice = put_in(world, network)
    rewrite_challenges(alice, edit, times=1)
    assert isinstance(alice.register(), Registered)
    registers = [parse(record.data) for record in records(world, "alice") if record.data.startswith(b"REGISTER")]
    first, second, third = registers
    assert first.call_id != second.call_id == third.call_id
    assert Challenge.parse(second.headers.get("Authorization") or "").get("nonce") == ""  # and proves nothing yet
    told = [event for event in alice.events if isinstance(event, RegistrationFailed)]
    assert [event.is_final for event in told] == [False]
    assert "Security-Server" in told[0].sentence


@pytest.mark.parametrize("edit", [without_security_server, without_spi_s])
def test_sec_05_and_gives_up_or_goes_on_in_the_clear(
    world: World, network: Network, edit: Callable[[str], str | None]
) -> None:
    alice = put_in(world, network)
    rewrite_challenges(alice, edit)
    event = alice.register()
    assert isinstance(event, RegistrationFailed)
    assert "Security-Server" in event.sentence
    assert not [record for record in records(world, "alice") if record.is_protected]
    bob = put_in(world, network, "bob", security="ipsec-or-plain")
    rewrite_challenges(bob, edit)
    registered = bob.register()
    assert isinstance(registered, Registered)
    assert registered.protection == ""  # and says so


def test_sec_06_a_refused_agreement_is_made_once_more(world: World, network: Network) -> None:
    """SEC-06, RFC 3329 2.3.1: 494, and the phone begins with another agreement."""
    alice = put_in(world, network)
    refuse(network.pcscf, 494)
    assert isinstance(alice.register(), Registered)
    offers = [
        parse(record.data).headers.lines("Security-Client")
        for record in records(world, "alice")
        if record.data.startswith(b"REGISTER")
    ]
    assert offers[0] != offers[1] == offers[2]
    bob = put_in(world, network, "bob")
    refuse(network.pcscf, 494, times=9)
    event = bob.register()
    assert isinstance(event, RegistrationFailed)
    assert (event.status, "security_suites" in event.sentence) == (494, True)


def test_sec_06_a_network_that_insists_refuses_who_offers_nothing() -> None:
    world = World()
    network = network_of(world, security="required")
    event = put_in(world, network, security="none").register()
    assert isinstance(event, RegistrationFailed)
    assert event.status == 421
    assert 'security = "ipsec"' in event.sentence


def test_sec_15_a_network_without_ipsec_is_left_or_taken_as_the_profile_says() -> None:
    world = World()
    network = network_of(world, security="none")
    event = put_in(world, network).register()
    assert isinstance(event, RegistrationFailed)
    assert event.status == 420
    bob = put_in(world, network, "bob", security="ipsec-or-plain").register()
    assert isinstance(bob, Registered)
    assert bob.protection == ""


# The associations ---------------------------------------------------------------------------------------------------


def test_sec_07_packets_go_on_the_agreed_pairs_only(world: World, network: Network) -> None:
    put_in(world, network, transport="UDP").register()
    client = last_request(world)[0].headers.lines("Security-Client")[0]
    inner = [record for record in records(world, "alice") if record.is_protected]
    came = [record for record in records(world, "alice", direction="received") if record.is_protected]
    assert f"port-c={inner[0].flow.local.port};" in client + ";"  # UDP: port_uc → port_ps, port_pc → port_us
    assert f"port-s={came[0].flow.local.port};" in client + ";"
    assert {record.flow.remote.port for record in inner} == {6100}
    assert {record.flow.remote.port for record in came} != {6100}
    assert sum(one.packets for one in counted(world, "alice")) == 2
    packets = records(world, "alice", protocol="ESP")
    assert len(packets) == 1
    assert b"REGISTER" not in packets[0].data  # aes-cbc


def test_sec_09_a_wrong_key_is_met_with_silence(world: World, network: Network) -> None:
    alice = put_in(world, network)
    alice.register()
    world.run_for(1.0)
    before = answers(world)
    packet = records(world, "alice", protocol="ESP")[-1]
    forged = packet.data[:-1] + bytes([packet.data[-1] ^ 1])
    forged = forged[:4] + (99).to_bytes(4, "big") + forged[8:]
    world.perform("alice", [Send(forged, packet.flow)])
    world.run_for(5.0)
    assert answers(world) == before
    assert sum(one.forged for one in counted(world, "p-cscf")) == 1
    alice.do(alice.ue.register)  # and the associations are what they were
    assert isinstance(alice.next(Registered, RegistrationFailed), Registered)


def test_sec_10_a_replay_is_dropped(world: World, network: Network) -> None:
    put_in(world, network).register()
    world.run_for(1.0)
    before = answers(world)
    packet = records(world, "alice", protocol="ESP")[-1]
    world.perform("alice", [Send(packet.data, packet.flow)])
    world.run_for(5.0)
    assert answers(world) == before
    assert sum(one.replayed for one in counted(world, "p-cscf")) == 1


def test_sec_11_what_comes_unprotected_to_a_protected_port_is_dropped(world: World, network: Network) -> None:
    alice = put_in(world, network)
    alice.register()
    world.run_for(1.0)
    before = answers(world)
    request, flow = last_request(world)
    mallory = Address(HOSTS["alice"], 5070)  # the host is right, the port and the wrapping are not
    world.perform("alice", [Send(bytes(sent_again(request)), Flow("UDP", mallory, flow.remote))])
    world.run_for(5.0)
    assert answers(world) == before
    told = len(alice.events)
    world.perform("p-cscf", [Send(b"OPTIONS sip:a SIP/2.0\r\n\r\n", Flow("UDP", PCSCF, _server_port(world)))])
    world.run_for(1.0)
    assert len(alice.events) == told
    assert not [event for event in alice.events if isinstance(event, Violated)]


def _server_port(world: World) -> Address:
    said = Proposal.parse(last_request(world)[0].headers.lines("Security-Client")[0])
    assert said is not None
    return Address(HOSTS["alice"], said.ends.port_s)


def test_sec_12_refreshes_change_the_associations_and_a_call_lives_on() -> None:
    world = World()
    network = network_of(world, terms=Terms(max_expires_s=600))
    alice, bob = put_in(world, network), put_in(world, network, "bob")
    alice.register()
    bob.register()
    key = alice.call("bob")
    bob.answer(bob.incoming())
    first = _server_port(world)
    world.run_for(3600.0)
    assert alice.ue.calls[key].state != "ended"
    assert _server_port(world) == first  # port_us stays
    clients = {record.flow.local.port for record in records(world, "alice") if record.is_protected}
    assert len(clients) > 10  # port_uc does not
    assert len(counted(world, "alice")) <= 8  # two sets at most
    assert len(counted(world, "p-cscf")) <= 16
    bob.hangup(bob.incoming())
    ended = alice.next(CallEnded)
    assert (ended.call, ended.status) == (key, None)  # type: ignore[attr-defined]
    assert not [event for event in alice.events if isinstance(event, RegistrationFailed)]


def test_sec_12_each_set_lives_as_long_as_it_must() -> None:
    """SEC-12, TS 24.229 5.1.1.5.1: an old set till its transactions have ended, the last one 30 s beyond the grant."""
    world = World()
    network = network_of(world, terms=Terms(max_expires_s=600))
    alice = put_in(world, network, reg_event=False)
    alice.register()
    world.run_for(1000.0)
    protected = [record for record in records(world, "alice") if record.data.startswith(b"REGISTER")][1:]
    assert [round(record.at) for record in protected] == [0, 300, 300, 600, 600, 900, 900]
    ports = [record.flow.local.port for record in protected]
    assert ports[0] == ports[1] != ports[2] == ports[3]  # a refresh begins in the old set, and proves the new one
    granted_at = max(record.at for record in records(world, "alice", direction="received"))
    world.silence(PCSCF.host)
    world.run_for(2000.0)
    assert world.trace is not None
    lives = {one.since: one.until for one in world.trace.associations() if one.who == "alice"}
    began = sorted(lives)[:4]
    assert [round(since) for since in began] == [0, 300, 600, 900]
    for since, replaced in pairwise(began):
        assert lives[since] == pytest.approx(replaced + TS_24_229.timeout_s, abs=0.1)
    assert lives[began[-1]] == pytest.approx(granted_at + 600 + 30, abs=0.1)
    assert counted(world, "alice") == []


def test_reg_11_who_comes_back_in_the_clear_registers_anew(world: World, network: Network) -> None:
    alice = put_in(world, network)
    alice.register()
    world.detach("alice")
    again = VirtualPhone(world, "alice2", HOSTS["alice"], alice.profile, alice.isim)
    assert isinstance(again.register(), Registered)


def test_reg_12_after_deregistration_both_sides_forget(world: World, network: Network, assert_ladder: Ladder) -> None:
    alice = put_in(world, network)
    alice.register()
    alice.deregister()
    assert counted(world, "alice") == []
    world.run_for(300.0)
    assert counted(world, "p-cscf") == []
    assert_ladder(
        world,
        """
        alice -> p-cscf  REGISTER
        p-cscf -> alice  401 Unauthorized
        alice -> p-cscf  REGISTER (ESP)
        p-cscf -> alice  200 OK (ESP)
        alice -> p-cscf  REGISTER (ESP)
        ...
        p-cscf -> alice  200 OK (ESP)
        """,
        nodes=GM,
    )


def test_sec_13_a_p_cscf_that_lost_its_associations_is_registered_with_anew(world: World, network: Network) -> None:
    alice = put_in(world, network, keep_alive_s=5)
    alice.register()
    world.run_for(60.0)
    first = _server_port(world)
    restart(network, world, "p-cscf", 4.0)
    world.run_for(19.0)  # 15 s after it is back, and not the 128 s of Timer F
    assert alice.ue.is_registered
    assert _server_port(world) != first
    alice.call("echo")
    assert alice.next(CallAnswered)


# On real sockets ----------------------------------------------------------------------------------------------------


@needs_raw
async def test_the_same_on_loopback(lab: ServedLab, assert_ladder: Ladder) -> None:
    profile = replace(lab.profile("alice"), security="ipsec")
    async with Phone(profile, isim=lab.isim("alice"), name="alice") as alice:
        event = await alice.register()
        assert event.protection == "hmac-sha-1-96/aes-cbc"
        call = await alice.call("echo")
        await asyncio.wait_for(call.answered(), 10.0)
        await call.hangup()
        await alice.deregister()
        packets = [record for record in alice.trace if record.protocol == "ESP"]
        assert len(packets) >= 10
        plain = [record for record in alice.trace if record.protocol == "SIP" and not record.is_protected]
        assert len(plain) == 2  # the first REGISTER and its 401


async def test_sec_14_who_may_not_send_esp_hears_it_before_anything_is_sent(
    lab: ServedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("imsphone.net.esp.open_raw", refuse)
    monkeypatch.setenv(ENVIRONMENT, "/nonexistent")
    async with Phone(replace(lab.profile("alice"), security="ipsec"), isim=lab.isim("alice")) as alice:
        with pytest.raises(NetworkError, match="imsphone-sa"):
            await alice.register()
        assert len(alice.trace) == 0


async def test_sec_14_a_kernel_without_esp_is_named_before_anything_is_sent(
    lab: ServedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object, kind: int, *__: object) -> bytes:
        if kind == 0x10:  # XFRM_MSG_NEWSA
            raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")
        raise ProcessLookupError  # to XFRM_MSG_GETSA, by which it is learned whether this process may ask

    monkeypatch.setattr("imsphone.net.xfrm.Xfrm._exchange", refuse)
    profile = replace(lab.profile("alice"), security="ipsec", ipsec_by="kernel")
    async with Phone(profile, isim=lab.isim("alice")) as alice:
        with pytest.raises(NetworkError, match=r'knows no ESP: load its modules .*, or .* ipsec_by = "own"$'):
            await alice.register()
        assert len(alice.trace) == 0
