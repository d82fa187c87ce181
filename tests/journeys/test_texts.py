"""Two people, or one and an application server, write to each other through the whole network (RFC 3428)."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

import pytest

from imsphone.errors import TextRejected, TextTooLong
from imsphone.events import TextDelivered, TextFailed, TextReceived
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.phone import Phone
from imsphone.profile import Profile
from imsphone.sip.message import Request, parse
from imsphone.testing.served import ServedLab
from imsphone.testing.virtual import VirtualPhone
from imsphone.trace import Trace

GM = ["alice", "p-cscf"]
Ladder = Callable[..., None]


@pytest.fixture
def both(world: World, alice: VirtualPhone, bob: VirtualPhone) -> None:
    """alice and bob are registered; what follows is the ladder of the texts alone."""
    alice.register()
    bob.register()
    world.run_for(200)  # until the last transaction is forgotten
    world.trace = Trace()


def bodies(phone: VirtualPhone) -> list[str]:
    return [event.body for event in phone.events if isinstance(event, TextReceived)]


def messages(world: World, who: str) -> list[Request]:
    """The MESSAGEs that have come to this node."""
    assert world.trace is not None
    records = [record for record in world.trace if record.who == who and record.protocol == "SIP"]
    heard = [record.data for record in records if record.direction == "received"]
    return [parsed for data in heard if isinstance(parsed := parse(data), Request) and parsed.method == "MESSAGE"]


@pytest.mark.usefixtures("both")
def test_alice_writes_to_bob(
    world: World, network: Network, alice: VirtualPhone, bob: VirtualPhone, assert_ladder: Ladder
) -> None:
    assert isinstance(alice.text("bob", "How are you?"), TextDelivered)
    assert bodies(bob) == ["How are you?"]
    told = bob.last(TextReceived)
    assert told is not None
    assert told.remote == f"sip:alice@{network.realm}"
    assert_ladder(
        world,
        """
        alice -> p-cscf   MESSAGE
        p-cscf -> s-cscf  MESSAGE
        s-cscf -> i-cscf  MESSAGE
        i-cscf -> hss     LIR
        hss -> i-cscf     LIA
        i-cscf -> s-cscf  MESSAGE
        s-cscf -> p-cscf  MESSAGE
        p-cscf -> bob     MESSAGE
        bob -> p-cscf     200 OK
        p-cscf -> s-cscf  200 OK
        s-cscf -> i-cscf  200 OK
        i-cscf -> s-cscf  200 OK
        s-cscf -> p-cscf  200 OK
        p-cscf -> alice   200 OK
        """,
    )
    (message,) = messages(world, "bob")
    assert "Record-Route" not in message.headers
    assert message.headers.get("P-Called-Party-ID") == f"<sip:bob@{network.realm}>"


@pytest.mark.usefixtures("both")
def test_they_write_to_each_other_at_once_and_in_order(world: World, alice: VirtualPhone, bob: VirtualPhone) -> None:
    for body in ("one", "two", "three"):
        alice.do(alice.ue.text, "bob", body)
        bob.do(bob.ue.text, "alice", body)
    world.run_for(5)
    assert bodies(alice) == bodies(bob) == ["one", "two", "three"]


@pytest.mark.usefixtures("both")
def test_the_echo_writes_back(world: World, alice: VirtualPhone, assert_ladder: Ladder) -> None:
    alice.text("echo", "hello")
    world.run_for(1)
    assert bodies(alice) == ["hello"]
    assert_ladder(
        world,
        """
        alice -> p-cscf  MESSAGE
        p-cscf -> alice  200 OK
        p-cscf -> alice  MESSAGE
        alice -> p-cscf  200 OK
        """,
        nodes=GM,
    )


@pytest.mark.parametrize(("target", "status"), [("mallory", 404), ("softphone1", 480), ("busy", 486)])
@pytest.mark.usefixtures("both")
def test_whom_it_does_not_reach(alice: VirtualPhone, target: str, status: int) -> None:
    failed = alice.text(target, "hello")
    assert isinstance(failed, TextFailed)
    assert failed.status == status
    assert target in failed.sentence


@pytest.mark.usefixtures("both")
def test_bob_has_left(world: World, alice: VirtualPhone, bob: VirtualPhone) -> None:
    bob.deregister()
    failed = alice.text("bob", "hello")
    assert isinstance(failed, TextFailed)
    assert failed.status == 480
    assert bodies(bob) == []


@pytest.mark.usefixtures("both")
def test_a_text_that_is_too_long_does_not_leave(world: World, alice: VirtualPhone) -> None:
    """RFC 3428 8."""
    with pytest.raises(TextTooLong):
        alice.text("bob", 1300 * "x")
    assert not world.trace


@pytest.mark.usefixtures("both")
def test_the_longest_text_arrives_though_the_network_adds_to_it(alice: VirtualPhone, bob: VirtualPhone) -> None:
    body = 1300 * "x"
    while True:
        try:
            alice.text("bob", body)
            break
        except TextTooLong:
            body = body[1:]
    assert bodies(bob) == [body]


@pytest.mark.usefixtures("both")
def test_in_the_middle_of_a_call(world: World, alice: VirtualPhone, bob: VirtualPhone) -> None:
    alice.call("bob")
    bob.answer(bob.incoming())
    world.run_for(2)
    assert isinstance(alice.text("bob", "I hear you badly"), TextDelivered)
    assert isinstance(bob.text("alice", "me too"), TextDelivered)


def test_inside_ipsec() -> None:
    """TS 24.229 5.1.2A.1.1: Security-Verify; not a word of it crosses in the clear."""
    network, world = Network(seed=b"texts"), World()
    network.attach(world)
    phones = []
    for name, host in (("alice", "127.0.10.101"), ("bob", "127.0.10.102")):
        profile = Profile(**network.profile(name), security="ipsec", reg_event=False)
        phones.append(VirtualPhone(world, name, host, profile, network.accounts[name].isim()))
        phones[-1].register()
    alice, bob = phones
    world.trace = Trace()
    assert isinstance(alice.text("bob", "between us"), TextDelivered)
    assert bodies(bob) == ["between us"]
    crossed = [record for record in world.trace if record.who in ("alice", "bob")]
    assert [record for record in crossed if record.data.startswith(b"MESSAGE ")]
    assert all(record.is_protected for record in crossed if record.protocol == "SIP")
    (at_pcscf,) = [message for message in messages(world, "p-cscf") if "Security-Verify" in message.headers]
    assert at_pcscf.body == b"between us"
    (message,) = messages(world, "bob")
    assert "Security-Verify" not in message.headers


async def test_on_sockets(lab: ServedLab) -> None:
    async with (
        Phone(lab.profile("alice"), isim=lab.isim("alice")) as alice,
        Phone(lab.profile("bob"), isim=lab.isim("bob")) as bob,
    ):
        await alice.register()
        await bob.register()
        assert (await alice.text("bob", "grüß dich")).status == 200
        heard = await bob.incoming_text(timeout=5)
        assert (heard.body, heard.remote) == ("grüß dich", f"sip:alice@{lab.network.realm}")
        with pytest.raises(TextRejected) as caught:
            await bob.text("mallory", "hello")
        assert (caught.value.status, caught.value.reason) == (404, "Not Found")
        with pytest.raises(TextTooLong):
            await bob.text("alice", 2000 * "x")


async def test_what_nobody_asks_for_is_not_kept_for_ever(lab: ServedLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.phone._MOST_TEXTS", 2)
    async with Phone(lab.profile("alice"), isim=lab.isim("alice")) as alice:
        await alice.register()
        came: list[TextReceived] = []
        alice.on(lambda event: came.append(event) if isinstance(event, TextReceived) else None)
        for body in ("one", "two", "three"):
            await alice.text("echo", body)
            while not came or came[-1].body != body:
                await alice.until(TextReceived, timeout=5)
        assert [(await alice.incoming_text()).body for _ in range(2)] == ["two", "three"]


async def test_over_tcp_it_is_as_short_and_many_at_once_wait_for_each_other(lab: ServedLab) -> None:
    """RFC 3428 8."""
    profile = dataclasses.replace(lab.profile("alice"), transport="TCP")
    async with Phone(profile, isim=lab.isim("alice")) as alice:
        await alice.register()
        with pytest.raises(TextTooLong):
            await alice.text("echo", 1300 * "x")
        await asyncio.gather(*(alice.text("echo", body) for body in ("one", "two", "three")))
        assert [(await alice.incoming_text(timeout=5)).body for _ in range(3)] == ["one", "two", "three"]
