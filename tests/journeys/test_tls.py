"""A phone at a fixed access protects itself by TLS (RFC 3261 26.2, TS 33.203 annex O without its sec-agree)."""

from __future__ import annotations

import contextlib
import datetime
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imsphone.errors import NetworkError, ProfileError
from imsphone.events import CallAnswered, Registered, TextDelivered, TextReceived, Violated
from imsphone.lab.faults import restart
from imsphone.lab.network import Network
from imsphone.lab.serve import serve
from imsphone.lab.world import World
from imsphone.machine import Address, Flow, Send
from imsphone.net.authority import Authority, put_key
from imsphone.net.tls import Tls, server_context
from imsphone.phone import Phone
from imsphone.profile import Profile
from imsphone.sip.message import Request, parse
from imsphone.testing.served import ServedLab
from imsphone.testing.virtual import VirtualPhone
from imsphone.trace import Record, Trace

GM = ["softphone1", "p-cscf"]
BASE = "127.0.97"
Ladder = Callable[..., None]


def profile_of(network: Network, name: str, **keys: Any) -> Profile:
    return Profile(
        **network.profile(name) | {"pcscf": str(network.secure), "transport": "TLS", "reg_event": False} | keys
    )


def phone_of(lab: ServedLab, name: str = "softphone1", **keys: Any) -> Phone:
    account = lab.network.accounts[name]
    profile = profile_of(lab.network, name, **{"tls_ca": str(lab.ca)} | keys)
    return Phone(profile, isim=account.isim() if account.k else None, password=account.password)


def requests(records: list[Record], method: str) -> list[Request]:
    found = [parse(record.data) for record in records if record.data.startswith(method.encode())]
    return [request for request in found if isinstance(request, Request)]


# In virtual time ------------------------------------------------------------------------------------------------------


@pytest.fixture
def softphone(world: World, network: Network) -> VirtualPhone:
    account = network.accounts["softphone1"]
    profile = profile_of(network, "softphone1")
    return VirtualPhone(world, "softphone1", "127.0.10.103", profile, password=account.password)


def test_it_registers(world: World, softphone: VirtualPhone, assert_ladder: Ladder) -> None:
    assert isinstance(softphone.register(), Registered)
    assert_ladder(
        world,
        """
        softphone1 -> p-cscf  REGISTER (TLS)
        p-cscf -> softphone1  401 Unauthorized (TLS)
        softphone1 -> p-cscf  REGISTER (TLS)
        p-cscf -> softphone1  200 OK (TLS)
        """,
        nodes=GM,
    )
    assert world.trace is not None
    sent = [record for record in world.trace if record.who == "softphone1" and record.direction == "sent"]
    register = requests(sent, "REGISTER")[-1]
    assert (register.via.transport, register.contacts[0].uri.transport) == ("TLS", "TLS")
    onward = requests([record for record in world.trace if record.who == "i-cscf"], "REGISTER")
    assert [one.credentials()[0].get("integrity-protected") for one in onward][-1] == "tls-pending"


def test_it_calls_and_is_called_and_writes(world: World, softphone: VirtualPhone, alice: VirtualPhone) -> None:
    softphone.register()
    alice.register()
    key = alice.call("softphone1")
    softphone.answer(softphone.incoming())
    world.run_for(2)
    assert alice.ue.calls[key].state == "active"
    alice.hangup(key)
    world.run_for(2)
    key = softphone.call("alice")
    alice.answer(alice.incoming())
    world.run_for(2)
    assert softphone.ue.calls[key].state == "active"
    assert softphone.last(CallAnswered)
    assert isinstance(softphone.text("alice", "hello"), TextDelivered)
    assert isinstance(alice.text("softphone1", "hello"), TextDelivered)
    softphone.hangup(key)
    world.run_for(2)
    assert world.trace is not None
    own = [record for record in world.trace if record.who == "softphone1" and record.protocol == "SIP"]
    assert all(record.flow.transport == "TLS" for record in own)
    byes = requests([record for record in own if record.direction == "received"], "BYE")
    assert len(byes) == 1


def test_each_side_has_a_route_of_its_own_back_to_the_p_cscf(
    world: World, network: Network, softphone: VirtualPhone, alice: VirtualPhone
) -> None:
    """RFC 5658 6: the phone's way is TLS to port 5061, the core's is not."""
    softphone.register()
    alice.register()
    softphone.call("alice")
    alice.call("softphone1")
    world.run_for(1)
    assert world.trace is not None
    (to_core,) = [
        request
        for request in requests([record for record in world.trace if record.who == "s-cscf"], "INVITE")
        if request.target.user == "alice" and len(request.record_routes) == 2
    ]
    assert [str(route.uri.port) + (route.uri.transport or "") for route in to_core.record_routes] == ["5060", "5061TLS"]
    to_phone = requests([r for r in world.trace if r.who == "softphone1" and r.direction == "received"], "INVITE")[0]
    assert [route.uri.transport for route in to_phone.record_routes][:2] == ["TLS", None]


def test_what_comes_by_another_way_is_not_from_the_p_cscf(
    world: World, softphone: VirtualPhone, alice: VirtualPhone
) -> None:
    """RFC 3261 26.3.2.1: what comes by TLS has passed the P-CSCF, and nothing else has."""
    softphone.register()
    alice.register()
    world.run_for(1)
    stray = Request("MESSAGE", softphone.ue._agent.impu)
    for name, value in (
        ("Via", "SIP/2.0/UDP 127.0.10.101:5060;branch=z9hG4bKstray"),
        ("From", "<sip:bank@ims.example>;tag=1"),
        ("To", f"<{softphone.ue._agent.impu}>"),
        ("Call-ID", "stray"),
        ("CSeq", "1 MESSAGE"),
    ):
        stray.headers.add(name, value)
    stray.set_body(b"your account", "text/plain")
    way = Flow("UDP", Address("127.0.10.101", 5060), Address("127.0.10.103", 5060))
    world.perform("alice", [Send(bytes(stray), way)])
    world.run_for(1)
    assert softphone.last(TextReceived) is None
    violated = softphone.last(Violated)
    assert violated is not None
    assert violated.what == "a MESSAGE outside of TLS"


def test_ipsec_and_tls_are_one_too_many(world: World, network: Network) -> None:
    with pytest.raises(ProfileError, match="do not go together"):
        VirtualPhone(world, "alice", "127.0.10.101", profile_of(network, "alice", security="ipsec"))


def test_after_a_restart_of_the_p_cscf_it_registers_again(
    world: World, network: Network, softphone: VirtualPhone
) -> None:
    softphone.register()
    restart(network, world, "p-cscf", 5)
    event = softphone.next(Registered)
    assert isinstance(event, Registered)
    assert not event.is_refresh
    world.run_for(1)
    assert softphone.ue.is_registered


# On sockets -----------------------------------------------------------------------------------------------------------


async def test_two_phones_by_tls_one_of_them_with_a_sim(lab: ServedLab) -> None:
    async with phone_of(lab) as softphone, phone_of(lab, "alice") as alice:
        await softphone.register()
        await alice.register()
        call = await alice.call("softphone1")
        incoming = await softphone.incoming(timeout=5)
        await incoming.answer()
        await call.answered(timeout=5)
        await softphone.text("alice", "by TLS")
        assert (await alice.incoming_text(timeout=5)).body == "by TLS"
        await incoming.hangup()
        await call.ended(timeout=5)
    assert "REGISTER (TLS)" in alice.ladder()
    assert {record.flow.transport for record in alice.trace if record.protocol == "SIP"} == {"TLS"}


async def test_it_finds_the_p_cscf_by_the_domain_and_the_certificate_is_of_the_domain(lab: ServedLab) -> None:
    """RFC 3263 4.1, RFC 5922 7.3: NAPTR, SRV, address; and the name that was looked up."""
    async with phone_of(lab, pcscf=None, dns=str(lab.network.addresses["dns"])) as phone:
        await phone.register()
        asked = [record for record in phone.trace if record.protocol == "DNS" and record.direction == "sent"]
    assert len(asked) == 4  # NAPTR, SRV, AAAA, A


async def refusal(phone: Phone) -> str:
    async with phone:
        with pytest.raises(NetworkError) as refused:
            await phone.register()
    assert not any(b"Digest" in record.data for record in phone.trace if record.direction == "received")
    return str(refused.value)


async def test_an_authority_that_nobody_named(lab: ServedLab, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(Authority.new("another").certificate)
    assert "does not know: name that one's certificate by tls_ca" in await refusal(
        phone_of(lab, tls_ca=str(tmp_path / "ca.pem"))
    )


async def test_nobody_listens_there(lab: ServedLab) -> None:
    sentence = await refusal(phone_of(lab, pcscf=f"{lab.network.secure.host}:5062"))
    assert sentence.startswith("nothing listens at TLS")
    assert ":5062" in sentence


async def test_no_tls_there(lab: ServedLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port for TCP: whoever is there waits for the end of a line."""
    monkeypatch.setattr("imsphone.net.connection.CONNECT_S", 0.1)
    sentence = await refusal(phone_of(lab, pcscf=str(lab.network.addresses["p-cscf"])))
    assert "does not speak TLS there" in sentence
    assert "5061" in sentence


@pytest.fixture
def mute() -> Iterator[str]:
    """A port where somebody takes connections and says nothing."""
    with socket.create_server((f"{BASE}.10", 0)) as listener:
        kept: list[socket.socket] = []
        taking = threading.Thread(target=lambda: kept.append(listener.accept()[0]), daemon=True)
        taking.start()
        yield f"{BASE}.10:{listener.getsockname()[1]}"
        taking.join(5)
        for sock in kept:
            sock.close()


async def test_silence_there(lab: ServedLab, mute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.net.connection.CONNECT_S", 0.1)
    assert "does not speak TLS there" in await refusal(phone_of(lab, pcscf=mute))


@contextlib.asynccontextmanager
async def certified_lab(folder: Path, *names: str, days_ago: int = 0, wants: bool = False) -> AsyncIterator[Network]:
    """A lab whose P-CSCF has a certificate of this kind; `wants`: and asks for one."""
    authority = Authority.new("of the test")
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days_ago)
    certificate, key = authority.sign(*names, since=since)
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "p.pem").write_bytes(certificate)
    put_key(folder / "p.key", key)
    network = Network(seed=b"tls", base=BASE)
    context = server_context(folder / "p.pem", folder / "p.key", folder / "ca.pem" if wants else None)
    async with serve(network, trace=Trace(), tls=Tls(server=context)):
        yield network


def of(network: Network, folder: Path, **keys: Any) -> Phone:
    account = network.accounts["softphone1"]
    profile = profile_of(network, "softphone1", tls_ca=str(folder / "ca.pem"), **keys)
    return Phone(profile, password=account.password)


async def test_a_certificate_that_has_expired(tmp_path: Path) -> None:
    async with certified_lab(tmp_path, f"{BASE}.10", days_ago=60) as network:
        assert "has expired" in await refusal(of(network, tmp_path))


async def test_a_certificate_for_somebody_else(tmp_path: Path) -> None:
    async with certified_lab(tmp_path, "pcscf.other.example") as network:
        sentence = await refusal(of(network, tmp_path))
    assert sentence == f"the certificate of {BASE}.10:5061 is for pcscf.other.example, and not for {BASE}.10"


async def test_a_p_cscf_that_wants_a_certificate_of_the_phone(tmp_path: Path) -> None:
    async with certified_lab(tmp_path, f"{BASE}.10", wants=True) as network:
        assert "wants a certificate of this phone" in await refusal(of(network, tmp_path))
        own = {"tls_cert": str(tmp_path / "p.pem"), "tls_key": str(tmp_path / "p.key")}
        async with of(network, tmp_path, **own) as phone:
            assert isinstance(await phone.register(), Registered)


async def test_the_key_of_the_phone_is_in_no_trace(tmp_path: Path) -> None:
    async with certified_lab(tmp_path, f"{BASE}.10", wants=True) as network:
        own = {"tls_cert": str(tmp_path / "p.pem"), "tls_key": str(tmp_path / "p.key")}
        async with of(network, tmp_path, **own) as phone:
            await phone.register()
    secret = (tmp_path / "p.key").read_text().splitlines()[1]
    assert secret not in phone.trace.jsonl() + phone.profile.as_toml()
