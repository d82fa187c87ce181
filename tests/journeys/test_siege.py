"""Who reads every message of a registered phone, and has no keys, cannot take its registration away.

With `ealg=null` all is in the clear and only proven: dialogs, branches and tags are known to whoever listens. The last
step of each test sends the same words inside ESP, where they count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from imsphone.events import Deregistered, Registered, RegistrationFailed, Violated
from imsphone.ipsec.sa import Associations, Ends, Keys, Suite
from imsphone.ipsec.shield import Shield
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.machine import Address, Flow, Send
from imsphone.profile import Profile
from imsphone.sip.message import Request, parse
from imsphone.testing.virtual import VirtualPhone
from tests.wire.targets import Deaf

PHONE, PCSCF, MALLORY = "127.0.10.101", "127.0.10.10", "127.0.10.66"
SUITE = Suite("hmac-md5-96", "null")


@pytest.fixture
def alice(world: World, network: Network) -> VirtualPhone:
    profile = replace(Profile(**network.profile("alice")), security="ipsec", security_suites=(str(SUITE),))
    alice = VirtualPhone(world, "alice", PHONE, profile, network.accounts["alice"].isim())
    world.attach("mallory", Deaf(), [MALLORY])
    assert isinstance(alice.register(), Registered)
    world.run_for(1.0)
    return alice


def received(world: World, is_wanted: Callable[[bytes], bool]) -> tuple[bytes, Flow]:
    """The last message that alice got inside ESP and that is wanted, with its flow."""
    assert world.trace is not None
    for record in reversed(world.trace.records()):
        if record.who == "alice" and record.direction == "received" and record.is_protected and is_wanted(record.data):
            return record.data, record.flow
    raise AssertionError("there is no such message")


def outside(world: World, data: bytes, inside: Flow) -> None:
    """Sends these words to alice from everywhere, without the keys."""
    own, client = inside.local, inside.remote
    ways = [
        Flow("UDP", Address(host, 5060), Address(PHONE, port)) for host in (PCSCF, MALLORY) for port in (5060, own.port)
    ]
    ways += [flow.over("TCP") for flow in ways]
    for flow in ways:
        world.perform("p-cscf" if flow.local.host == PCSCF else "mallory", [Send(data, flow)])
        world.run_for(0.1)
    forger = Shield()  # the SPI and the ports are no secret
    spi = int.from_bytes(_last_packet(world)[:4], "big")
    keys = Keys.of(SUITE, bytes(16), bytes(16))
    forger.protect(Associations(SUITE, PCSCF, PHONE, Ends(1, 1, client.port, 6100), Ends(1, spi, 1, own.port), keys))
    for _ in range(100):  # far beyond the numbers that were used
        packet = forger.seal(data, Flow("UDP", client, own))
    assert packet is not None
    world.perform("p-cscf", [Send(packet.data, packet.flow)])
    world.run_for(0.1)


def _last_packet(world: World) -> bytes:
    assert world.trace is not None
    packets = [record for record in world.trace.records() if record.protocol == "ESP" and record.who == "alice"]
    return next(record.data for record in reversed(packets) if record.direction == "received")


def test_a_forged_notify_takes_nothing_away(world: World, alice: VirtualPhone) -> None:
    data, flow = received(world, lambda data: data.startswith(b"NOTIFY"))
    notify = parse(data)
    assert isinstance(notify, Request)
    notify.headers.set("CSeq", f"{notify.cseq.number + 1} NOTIFY")
    notify.headers.set("Via", str(notify.via.with_params(branch="z9hG4bKforged")))
    body = notify.body.replace(b'version="0"', b'version="1"').replace(b'"active"', b'"terminated"')
    notify.set_body(body.replace(b'event="registered"', b'event="rejected"'), "application/reginfo+xml")
    outside(world, bytes(notify), flow)
    world.run_for(60.0)
    assert alice.ue.is_registered
    assert alice.last(Deregistered) is None
    assert alice.last(Violated) is not None  # and it says that somebody tried
    assert sum(one.forged for one in world.shield("alice").counted()) == 1
    notify.headers.set("Via", str(notify.via.with_params(branch="z9hG4bKgenuine")))
    world.perform("p-cscf", [Send(bytes(notify), Flow("UDP", flow.remote, flow.local))])
    world.run_for(1.0)
    assert not alice.ue.is_registered


def test_a_forged_answer_ends_no_refresh(world: World, network: Network, alice: VirtualPhone) -> None:
    _, flow = received(world, lambda data: data.startswith(b"NOTIFY"))
    answers = []

    def object_to(request: Request, *_: object) -> None:
        """Mallory is faster than the network."""
        answer = bytes(request.answer(404, tag="forged"))
        answers.append(answer)

    network.pcscf.objection = object_to
    alice.do(alice.ue.register)
    world.run_for(0.0015)
    (answer,) = answers
    seal, world.shield("p-cscf").seal = world.shield("p-cscf").seal, lambda *_: None  # type: ignore[method-assign]
    outside(world, answer, flow)
    assert alice.last(RegistrationFailed) is None
    world.shield("p-cscf").seal = seal  # type: ignore[method-assign]
    world.perform("p-cscf", [Send(answer, Flow("UDP", flow.remote, flow.local))])
    world.run_for(1.0)
    event = alice.last(RegistrationFailed)
    assert event is not None
    assert event.status == 404
