"""What is fed with mangled octets, and what it begins with. See `fuzz`.

A target is a function of octets that raises where something is wrong. Who adds one (answers of a card, say) writes a
function and a line in `TARGETS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import dns.exception

from imsphone.errors import ParseError, StateError
from imsphone.events import CallEnded, Deregistered, Registered, RegistrationFailed
from imsphone.ims import alternative
from imsphone.ims.reginfo import Known, Reginfo
from imsphone.ims.restoration import asks_for_registration
from imsphone.ipsec import datagram, segment
from imsphone.ipsec import packet as ip_packet
from imsphone.ipsec.agreement import proposals
from imsphone.ipsec.esp import Sealer
from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys, Suite
from imsphone.ipsec.shield import Shield
from imsphone.lab import diameter
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.machine import Address, Ask, Effect, Flow, Ids, Send
from imsphone.net.resolver import _Search
from imsphone.profile import Profile
from imsphone.redaction import redact
from imsphone.rtp import packet, rtcp
from imsphone.sdp import session
from imsphone.sip.digest import aka_nonce, choose
from imsphone.sip.fields import Challenge
from imsphone.sip.framing import Framer
from imsphone.sip.message import Message, Response, parse
from imsphone.sip.transactions import Transactions
from imsphone.sip.validation import examine
from imsphone.testing.virtual import VirtualPhone
from imsphone.trace import Trace
from tests.wire.mangler import MOST_BYTES, Mangler

TORTURE = Path(__file__).parent / "torture"
FLOW = Flow("UDP", Address("192.0.2.1", 5060), Address("192.0.2.9", 5060))
PHONE, PCSCF, MALLORY = "127.0.10.101", "127.0.10.10", "127.0.10.66"
READABLE = Suite("hmac-md5-96", "null")  # nothing hidden, so that the mangler has something to work on
MOST_EFFECTS = 64  # of one input at one machine
RESTORATION = b"""<?xml version="1.0"?><ims-3gpp version="1"><alternative-service><type>restoration</type>
<reason/><action>initial-registration</action></alternative-service></ims-3gpp>"""


class Finding(Exception):
    """A target did what it must not do."""


# What crossed in an honest run --------------------------------------------------------------------------------------


def put_in(world: World, network: Network, suite: Suite = READABLE) -> VirtualPhone:
    """Alice's phone with IPsec."""
    profile = replace(Profile(**network.profile("alice")), security="ipsec", security_suites=(str(suite),))
    return VirtualPhone(world, "alice", PHONE, profile, network.accounts["alice"].isim())


@cache
def journey() -> Trace:
    """Registration, a call, a refresh and the end of it, by a phone that no target knows."""
    world, network = World(seed=7), Network(seed=b"journey")
    network.attach(world)
    alice = put_in(world, network)
    alice.register()
    world.run_for(1.0)
    call = alice.call("echo")
    world.run_for(3.0)
    alice.hangup(call)
    world.run_for(1.0)
    alice.do(alice.ue.register)
    world.run_for(1.0)
    alice.deregister()
    world.run_for(5.0)
    assert world.trace is not None
    return world.trace


def crossed(protocol: str) -> list[bytes]:
    return list(dict.fromkeys(record.data for record in journey() if record.protocol == protocol))


def sip() -> list[bytes]:
    return [path.read_bytes() for path in sorted(TORTURE.glob("*.dat"))] + crossed("SIP")


def bodies(kind: str) -> list[bytes]:
    messages = [message for message in map(parse, crossed("SIP")) if message.content_type == kind]
    return [message.body for message in messages]


def headers(*names: str) -> list[bytes]:
    found = [line for message in map(parse, crossed("SIP")) for name in names for line in message.headers.lines(name)]
    return [line.encode() for line in dict.fromkeys(found)]


# Targets ------------------------------------------------------------------------------------------------------------


def feed_sip(data: bytes) -> None:
    """Parser, validation, transactions, framing."""
    with suppress(ParseError):
        message = parse(data)
        examine(message)
        for name, kind in vars(Message).items():
            if isinstance(kind, property):
                with suppress(ParseError):
                    getattr(message, name)
        for listed in (message.challenges, message.credentials):
            with suppress(ParseError):
                listed()
        if isinstance(message, Response):
            asks_for_registration(message, None)
        if parse(bytes(message)).body != message.body:
            raise Finding("what is printed is read as another message")
    effects = Transactions(Ids(b"")).receive(data, FLOW, 0.0)
    if len(effects) > MOST_EFFECTS:
        raise Finding(f"{len(effects)} effects")
    Framer().feed(data)


def feed_reginfo(data: bytes) -> None:
    """What a NOTIFY says of registrations, and what a refusal would have us do instead."""
    refusal = Response(504, headers=[("Content-Type", alternative.MIME_TYPE)])
    refusal.body = data
    alternative.said(refusal)
    known = Known()
    for document in (data, *bodies("application/reginfo+xml")[:1], data):
        with suppress(ParseError):
            known.apply(Reginfo.parse(document))
    own: Callable[[Any], bool] = lambda uri: uri.user.startswith("a")  # noqa: E731
    known.sighting(own)
    if len(str(known.as_json(own))) > 100 * MOST_BYTES:
        raise Finding("a document that grows")


def feed_agreement(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for proposal in proposals([text, *text.split(",")]):
        str(proposal)
        if not all(0 < number < 1 << 32 for number in proposal.ends):
            raise Finding(f"{proposal} has an end that is no number of its kind")
    with suppress(ParseError):
        challenge = Challenge.parse(text)
        if choose([challenge], want_aka=True):
            aka_nonce(challenge)
    response = b"SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: " + data + b"\r\nSecurity-Server: " + data + b"\r\n\r\n"
    with suppress(ParseError):
        message = parse(response)
        message.challenges()
        proposals(message.headers.get_all("Security-Server"))


def feed_body(data: bytes) -> None:
    """Bodies and media: SDP, RTP, RTCP."""
    for read in (session.parse, packet.parse, rtcp.parse):
        with suppress(ParseError):
            bytes(read(data)) if read is not rtcp.parse else read(data)
    packet.is_rtcp(data)


class _Answered(_Search):
    """A lookup whose servers say what the target was given."""

    said = b""

    async def _by_datagram(self, query: Any, server: Address) -> Any:
        response = self._response(FLOW, query.id.to_bytes(2, "big") + self.said[2:], query)
        if response is None:
            raise TimeoutError
        return response

    _by_stream = _by_datagram


@cache
def loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def feed_dns(data: bytes) -> None:
    """The resolver's answers and the lab's questions."""
    network = names()
    network.dns.receive(data, FLOW, 0.0)
    search = _Answered((Address("127.0.10.53", 5053),), 1.0, lambda most: most, None)
    search.said = data
    loop().run_until_complete(search.run(network.realm, None, None))


@cache
def names() -> Network:
    return Network(seed=b"names")


def dns_corpus() -> list[bytes]:
    network, found = names(), []
    for name, kind in (("", "NAPTR"), ("_sip._udp.", "SRV"), ("pcscf.", "A"), ("nobody.", "AAAA")):
        query = dns.message.make_query(f"{name}{network.realm}.", kind)
        effects = network.dns.receive(query.to_wire(), FLOW, 0.0)
        found += [query.to_wire(), *(effect.data for effect in effects if isinstance(effect, Send))]
    return found


def feed_diameter(data: bytes) -> None:
    """The parser, and an HSS that gets this from a peer it knows."""
    with suppress(ParseError):
        message = diameter.parse(data)
        bytes(message)
    if len(redact(data)) != len(data):
        raise Finding("redaction moves octets")
    network = Network(seed=b"diameter")
    hss, scscf = (network.addresses[name] for name in ("hss", "s-cscf"))
    flow = Flow("TCP", hss, scscf)
    for request in crossed("DIAMETER")[:1]:
        network.hss.receive(request, flow, 0.0)
    network.hss.receive(data, flow, 0.0)
    network.scscf.receive(data, Flow("TCP", scscf, hss), 0.0)


# ESP ------------------------------------------------------------------------------------------------------------------

OURS, THEIRS = Ends(256, 257, 40001, 40002), Ends(300, 301, 5100, 6100)


def a_set(suite: Suite) -> Associations:
    return Associations(suite, PHONE, PCSCF, OURS, THEIRS, Keys.of(suite, bytes(range(16)), bytes(range(16, 32))))


def sealed(suite: Suite, payload: bytes, next_header: int = datagram.UDP) -> bytes:
    packet = Sealer(OURS.spi_s, suite, a_set(suite).keys).seal(payload, next_header)
    assert packet is not None
    return packet


def honest() -> bytes:
    return datagram.write(Address(PCSCF, 5100), Address(PHONE, 40002), b"SIP/2.0 200 OK\r\n\r\n")


def esp_corpus() -> list[bytes]:
    over_tcp = segment.write(Address(PCSCF, 5100), Address(PHONE, 40002), b"SIP/2.0 200 OK\r\n\r\n")
    bare = [b"\xff" + honest(), b"\xff" + over_tcp, ip_packet.write(PCSCF, PHONE, segment.TCP, over_tcp)]
    return [bytes([number]) + sealed(suite, honest()) for number, suite in enumerate(SUITES)] + bare


def feed_esp(data: bytes) -> None:
    """A packet that was touched does not open; what a peer with the keys puts into one is read or dropped."""
    flow = Flow("ESP", Address(PHONE, 0), Address(PCSCF, 0))
    for number, suite in enumerate(SUITES):
        shield = Shield()
        shield.protect(a_set(suite))
        if data[:1] == bytes([number]):
            opened = shield.open(data[1:], flow)
            if opened is not None and data[1:] != sealed(suite, honest()):
                raise Finding(f"{suite} opens what was touched")
        next_header = data[0] if data and data[0] != 0xFF else datagram.UDP
        shield.open(sealed(suite, data[1:], next_header), flow)
        shield.open(sealed(suite, data[1:], segment.TCP), flow)
        shield.open(data, flow)
        shield.passed(a_set(suite))
    segment.read(PCSCF, PHONE, data[1:])
    ip_packet.read(data)  # what the kernel writes to a TUN device


# The phone ------------------------------------------------------------------------------------------------------------


class Deaf:
    """A machine that hears all and says nothing."""

    deadline: float | None = None

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        return []

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        return []

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        return []

    def tick(self, now: float) -> list[Effect]:
        return []


class Besieged:
    """A registered phone, to which strangers and their P-CSCF's own address send garbage, with and without ESP."""

    def __init__(self) -> None:
        self.world = world = World(trace=None)
        self.network = Network(seed=b"besieged")
        self.network.attach(world)
        self.alice = put_in(world, self.network)
        world.attach("mallory", Deaf(), [MALLORY])
        if not isinstance(self.alice.register(), Registered):
            raise Finding("an honest network does not register the phone")
        world.run_for(1.0)
        held = self.alice.ue._agent.security.current
        assert held is not None
        self._inside = Flow("UDP", held.peer_server, held.own_server)
        own, plain = Address(PHONE, 5060), Address(PCSCF, 5060)
        self.ways = (
            ("mallory", Flow("UDP", Address(MALLORY, 5060), own)),
            ("mallory", Flow("UDP", Address(MALLORY, 5060), held.own_server)),
            ("mallory", Flow("ESP", Address(MALLORY, 0), Address(PHONE, 0))),
            ("p-cscf", Flow("UDP", plain, own)),
            ("p-cscf", Flow("TCP", plain, own)),
            ("p-cscf", Flow("UDP", plain, held.own_server)),
            ("p-cscf", Flow("UDP", plain, held.own_client)),
            ("p-cscf", Flow("ESP", Address(PCSCF, 0), Address(PHONE, 0))),
            ("p-cscf", self._inside),
        )
        self.count = 0

    def feed(self, data: bytes) -> None:
        """Sends this on each way, and looks whether the phone is what it was."""
        me = self.alice.ue._agent._user.encode()
        for name, flow in self.ways:
            self.world.perform(name, [Send(data.replace(b"{me}", me), flow)])
        self.world.run_for(0.05)
        self.count += 1
        if self.count % 250 == 0:
            self.world.run_for(7 * 24 * 3600.0)  # its refreshes go on all the same
        self.expect_registered()

    def expect_registered(self) -> None:
        """Raises Finding where the phone has lost what it had."""
        bad = [event for event in self.alice.events if isinstance(event, Deregistered | RegistrationFailed)]
        if bad or not self.alice.ue.is_registered:
            raise Finding(f"the registration is gone: {bad}")
        if len(self.alice.ue.calls) > 64 + 8:
            raise Finding(f"{len(self.alice.ue.calls)} calls are kept")
        self.alice.events.clear()


@cache
def besieged() -> Besieged:
    return Besieged()


def phone_corpus() -> list[bytes]:
    """What the phone of the journey got, as if the besieged one were meant: its dialogs are unknown there."""
    contact = next(parse(data) for data in crossed("SIP") if data.startswith(b"REGISTER")).contacts[0].uri.user
    return [data.replace(contact.encode(), b"{me}") for data in sip()]


def feed_phone(data: bytes) -> None:
    try:
        besieged().feed(data)
    except BaseException:
        besieged.cache_clear()
        raise


def feed_journey(data: bytes) -> None:
    """A whole journey in which now and then a message is mangled on its way; all machines go on, and it ends."""
    random = Random(data)
    world, network = World(seed=random.randrange(1000), trace=None), Network(seed=b"mangled")
    network.attach(world)
    alice = put_in(world, network, random.choice(SUITES))
    mangler = Mangler([b"SIP/2.0 200 OK\r\n\r\n", *crossed("DIAMETER")[:4]], random)
    chance = random.choice((0.02, 0.1, 0.4))

    def through(receive: Callable[..., list[Effect]], data: bytes, flow: Flow, now: float) -> list[Effect]:
        effects = receive(mangler.mangled(data) if random.random() < chance else data, flow, now)
        if len(effects) > MOST_EFFECTS:
            raise Finding(f"{len(effects)} effects of one message")
        return effects

    for name in ("alice", *network.addresses):
        machine: Any = world.machine(name)
        machine.receive = partial(through, machine.receive)
    alice.do(alice.ue.register)
    if isinstance(alice.next(Registered, RegistrationFailed, timeout_s=3600.0), Registered):
        world.run_for(1.0)
        with suppress(StateError, TimeoutError):  # its registration may be gone, or its call go on
            alice.call("echo")
            alice.next(CallEnded, timeout_s=20.0)
    world.run_for(4000.0)
    with suppress(StateError):  # there may be nothing to take back
        alice.do(alice.ue.deregister)
    world.run_for(200.0)
    if alice.ue.is_registered:
        raise Finding("the phone does not leave")


@dataclass(frozen=True)
class Target:
    """What is fed, and what it begins with."""

    feed: Callable[[bytes], None]
    corpus: Callable[[], list[bytes]]


TARGETS: dict[str, Target] = {
    "sip": Target(feed_sip, sip),
    "reginfo": Target(feed_reginfo, lambda: [*bodies("application/reginfo+xml"), RESTORATION]),
    "agreement": Target(feed_agreement, lambda: headers("Security-Server", "Security-Client", "WWW-Authenticate")),
    "body": Target(feed_body, lambda: [*bodies("application/sdp"), *crossed("RTP"), *crossed("RTCP"), bytes(20)]),
    "esp": Target(feed_esp, esp_corpus),
    "dns": Target(feed_dns, dns_corpus),
    "diameter": Target(feed_diameter, lambda: crossed("DIAMETER")),
    "phone": Target(feed_phone, phone_corpus),
    "journey": Target(feed_journey, lambda: [bytes(8)]),
}
