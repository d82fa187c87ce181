"""What a network says oddly or wrongly, and what a phone says wrongly to a network: nobody falls over (ERR-05, 07, 09).

An `Odd` P-CSCF is the lab's own, whose words to the phone are changed on their way out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from imsphone.events import CallEnded, Deregistered, Event, Registered, Violated
from imsphone.lab.faults import restart
from imsphone.lab.network import Network
from imsphone.lab.world import World
from imsphone.machine import Address, Ask, Effect, Flow, Machine, Send
from imsphone.profile import Profile
from imsphone.sip.message import Response, parse
from imsphone.testing.virtual import VirtualPhone

HOST = "127.0.10.101"
Change = Callable[[bytes], bytes]


class Odd:
    """`machine`, with everything that it sends to the phone put through `change`."""

    def __init__(self, machine: Machine, change: Change) -> None:
        self._machine = machine
        self._change = change

    @property
    def deadline(self) -> float | None:
        return self._machine.deadline

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        return self._changed(self._machine.receive(data, flow, now))

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        return self._changed(self._machine.answer(ask, result, now))

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        return self._changed(self._machine.lost(flow, now))

    def tick(self, now: float) -> list[Effect]:
        return self._changed(self._machine.tick(now))

    def _changed(self, effects: list[Effect]) -> list[Effect]:
        return [
            Send(self._change(effect.data), effect.flow)
            if isinstance(effect, Send) and effect.flow.remote.host == HOST
            else effect
            for effect in effects
        ]


def put_in(world: World, network: Network, change: Change, **keys: object) -> VirtualPhone:
    world.detach("p-cscf")
    world.attach("p-cscf", Odd(network.pcscf, change), [network.addresses["p-cscf"]])
    profile = replace(Profile(**network.profile("alice")), **keys)  # type: ignore[arg-type]
    return VirtualPhone(world, "alice", HOST, profile, network.accounts["alice"].isim())


def heads(change: Change) -> Change:
    """A change of the header fields alone."""

    def changed(data: bytes) -> bytes:
        first, _, rest = data.partition(b"\r\n")
        fields, _, body = rest.partition(b"\r\n\r\n")
        return first + b"\r\n" + change(fields) + b"\r\n\r\n" + body

    return changed


def once(change: Change, wanted: bytes) -> Change:
    """A change of the first message that holds `wanted`."""
    left = 1

    def changed(data: bytes) -> bytes:
        nonlocal left
        if wanted not in data or not left:
            return data
        left -= 1
        return change(data)

    return changed


_COMPACT = {b"Via": b"v", b"From": b"f", b"To": b"t", b"Call-ID": b"i", b"Contact": b"m", b"Content-Type": b"c"}


def compact(fields: bytes) -> bytes:
    return re.sub(rb"(?m)^([A-Za-z-]+):", lambda name: _COMPACT.get(name[1], name[1]) + b" :", fields)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(heads(lambda fields: re.sub(rb", ?", b",\r\n\t  ", fields)), id="folded headers"),
        pytest.param(heads(lambda fields: re.sub(rb": ", b":\r\n ", fields)), id="folded behind every name"),
        pytest.param(
            heads(lambda fields: re.sub(rb"(?m)^[A-Za-z-]+(?=:)", lambda name: name[0].lower(), fields)),
            id="lower case",
        ),
        pytest.param(heads(compact), id="compact names and a blank before the colon"),
        pytest.param(
            heads(lambda fields: b"Require: path\r\nRequire: outbound\r\n" + fields), id="Require on two lines"
        ),
        pytest.param(heads(lambda fields: fields + b"\r\nX-Vendor: \xff\xfe"), id="octets that are no UTF-8"),
        pytest.param(once(lambda data: data[: len(data) // 2], b" 401 "), id="a truncated 401"),
        pytest.param(once(lambda data: data[:-40], b"application/sdp"), id="a truncated answer"),
        pytest.param(once(lambda data: data + b"\0\0garbage", b" 200 "), id="more than it says"),
    ],
)
def test_err_09_odd_words_are_understood(world: World, network: Network, change: Change) -> None:
    """ERR-09: a registration, a call and the way out, in spite of all."""
    alice = put_in(world, network, change, reg_event=False)
    assert isinstance(alice.register(), Registered)
    key = alice.call("echo")
    world.run_for(40)
    assert alice.ue.calls[key].state == "active"
    assert isinstance(alice.deregister(), Deregistered)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(heads(lambda fields: re.sub(rb"(?m)^Content-Type:.*\r\n", b"", fields)), id="no Content-Type"),
        pytest.param(heads(lambda fields: fields.replace(b"application/sdp", b"text/plain")), id="text/plain"),
        pytest.param(lambda data: data.replace(b"m=audio", b"m=\xff\xffdio"), id="a description of nothing"),
    ],
)
def test_err_09_an_answer_that_is_none_ends_the_call_and_nothing_else(
    world: World, network: Network, change: Change
) -> None:
    alice = put_in(world, network, change, reg_event=False)
    alice.register()
    alice.call("echo")
    ended = alice.next(CallEnded)
    assert isinstance(ended, CallEnded)
    assert (ended.by, ended.status) == ("local", 488)
    world.run_for(200)
    assert alice.ue.is_registered


def test_err_09_a_request_that_cannot_be_read_is_answered_400(world: World, network: Network) -> None:
    """A NOTIFY of the network without its CSeq, and one whose From is none."""
    spoil = heads(lambda fields: re.sub(rb"(?m)^Subscription-State:.*\r\n", b"", fields))
    alice = put_in(world, network, spoil)
    alice.register()
    world.run_for(5)
    told = [event for event in alice.events if isinstance(event, Violated)]
    assert told
    assert told[0].did == "answered 400"
    assert alice.ue.is_registered


@pytest.mark.parametrize("asserted", ["<sip:orig@127.0.10.31:5060;lr>", '"S-CSCF" <sip:mallory@127.0.10.102>', "<sip:"])
def test_err_07_who_cannot_know_the_service_route_is_not_believed(
    world: World, network: Network, asserted: str
) -> None:
    """ERR-07: anybody on the way may write such a body; P-Asserted-Identity has to match."""
    forged = f"P-Asserted-Identity: {asserted}\r\n".encode()
    alice = put_in(
        world,
        network,
        heads(lambda fields: re.sub(rb"(?m)^P-Asserted-Identity:.*orig@.*\r\n", lambda _: forged, fields)),
        reg_event=False,
    )
    alice.register()
    restart(network, world, "s-cscf", 1)
    world.run_for(2)
    before: list[Event] = list(alice.events)
    alice.call("echo")
    world.run_for(5)
    ended = alice.last(CallEnded)
    assert ended is not None
    assert ended.status == 504
    assert [type(event).__name__ for event in alice.events[len(before) :]] == ["CallEnded"]
    assert alice.ue.is_registered


# What a phone says wrongly ------------------------------------------------------------------------------------------

_REGISTER = """REGISTER {uri} SIP/2.0
Via: SIP/2.0/UDP 127.0.10.109:5060;branch=z9hG4bK{branch}
Max-Forwards: 70
From: <{to}>;tag=odd
To: <{to}>
Call-ID: odd
CSeq: 1 REGISTER
Contact: <sip:odd@127.0.10.109>
Authorization: Digest username="{impi}",realm="{realm}",nonce="",uri="{uri}",response=""
Content-Length: 0

"""


class Stranger:
    """Takes what comes to it, and says nothing by itself."""

    deadline: float | None = None

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        message = parse(data)
        if isinstance(message, Response) and message.is_final:
            self.statuses.append(message.status)
        return []

    def answer(self, ask: Ask, result: Any, now: float) -> list[Effect]:
        return []

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        return []

    def tick(self, now: float) -> list[Effect]:
        return []


@pytest.mark.parametrize(
    ("changes", "statuses"),
    [
        ({"uri": "sip:elsewhere.example"}, {403, 404}),
        ({"uri": "sip:user@elsewhere.example:5062"}, {403, 404}),
        ({"realm": "elsewhere.example"}, {403}),
        ({"to": "sip:nobody@elsewhere.example"}, {403, 404}),
        ({"to": "urn:service:sos"}, {400, 403, 404, 416}),
        ({"impi": "bob@elsewhere.example"}, {403, 404}),
        ({"impi": ""}, {400, 403, 404, 401}),
    ],
)
def test_err_05_a_malformed_identity_is_refused_and_the_next_phone_is_not(
    world: World, network: Network, alice: VirtualPhone, changes: dict[str, str], statuses: set[int]
) -> None:
    """ERR-05: a 4xx of whoever notices, and no node falls over it."""
    stranger = Stranger()
    world.attach("stranger", stranger, ["127.0.10.109"])
    account = network.accounts["alice"]
    usual = {"uri": f"sip:{network.realm}", "to": account.impus[0], "impi": account.impi, "realm": network.realm}
    text = _REGISTER.format(**usual | changes, branch="odd").replace("\n", "\r\n")
    flow = Flow("UDP", Address("127.0.10.109", 5060), network.addresses["p-cscf"])
    world.perform("stranger", [Send(text.encode(), flow)])
    world.run_for(5)
    assert set(stranger.statuses) <= statuses
    assert len(stranger.statuses) == 1
    assert isinstance(alice.register(), Registered)
