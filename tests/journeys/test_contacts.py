"""Registrations as the catalogue of checks asks for them (REG), each test one row, most of them inside IPsec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from imsphone.errors import StateError
from imsphone.events import (
    CallEnded,
    Deregistered,
    Registered,
    RegistrationFailed,
    RegistrationSeen,
)
from imsphone.ipsec.agreement import proposals
from imsphone.lab.faults import refuse
from imsphone.lab.network import Network
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.machine import Send
from imsphone.profile import Profile
from imsphone.sip.digest import aka_nonce
from imsphone.sip.message import Message, Request, Response, parse
from imsphone.testing.virtual import VirtualPhone
from imsphone.trace import Record

HOST = "127.0.10.101"
Ladder = Callable[..., None]


class Scene:
    """A network with these terms, and alice's phone in it."""

    def __init__(self, terms: Terms | None = None, **keys: object) -> None:
        self.world = World()
        self.network = Network(seed=b"contacts", terms=terms)
        self.network.attach(self.world)
        self.isim = self.network.accounts["alice"].isim()
        self.alice = self.phone("alice", HOST, **keys)

    def phone(self, name: str, host: str, **keys: object) -> VirtualPhone:
        profile = replace(Profile(**self.network.profile("alice")), **keys)  # type: ignore[arg-type]
        return VirtualPhone(self.world, name, host, profile, self.isim)

    def records(self, direction: str = "sent", who: str = "alice") -> list[Record]:
        assert self.world.trace is not None
        found = [one for one in self.world.trace.records() if (one.who, one.direction) == (who, direction)]
        return [one for one in found if one.protocol == "SIP"]

    def messages(self, direction: str = "sent", who: str = "alice") -> list[Message]:
        return [parse(one.data) for one in self.records(direction, who)]

    def registers(self) -> list[Request]:
        return [one for one in self.messages() if isinstance(one, Request) and one.method == "REGISTER"]

    def answers(self, method: str = "REGISTER") -> list[Response]:
        heard = self.messages("received")
        return [one for one in heard if isinstance(one, Response) and one.cseq.method == method]


@pytest.mark.parametrize("suite", ["hmac-sha-1-96/aes-cbc", "hmac-md5-96/aes-cbc"])
def test_reg_01_and_02_initial_registration(suite: str) -> None:
    """REG-01, REG-02, TS 34.229-1 8.1: each integrity algorithm in a round of its own."""
    scene = Scene(security="ipsec", security_suites=(suite,))
    event = scene.alice.register()
    assert isinstance(event, Registered)
    assert event.protection == suite
    scene.world.run_for(2)
    first, second = scene.registers()
    challenge, granted = scene.answers()
    assert (first.call_id, first.cseq.number + 1) == (second.call_id, second.cseq.number)
    assert [record.is_protected for record in scene.records()] == [False] + [True] * (len(scene.records()) - 1)
    assert challenge.status == 401
    (asked,) = challenge.challenges()
    assert asked.get("algorithm") == "AKAv1-MD5"
    assert asked.get("qop")
    assert [len(part) for part in aka_nonce(asked)] == [16, 16]
    assert "Security-Server" in challenge.headers
    assert second.headers.get_all("Security-Verify") == challenge.headers.get_all("Security-Server")
    assert granted.status == 200
    assert granted.associated_uris
    assert granted.service_routes
    assert granted.contacts[0].params["expires"]


def test_reg_04_whatever_else_a_register_says_it_is_challenged() -> None:
    """REG-04: what is optional in an initial REGISTER changes nothing of the answer."""
    for keys in ({"gruu": False}, {"imei": "35622410483840"}, {"expires_s": 600_000}, {"user_agent": ""}):
        scene = Scene(**keys)  # type: ignore[arg-type]
        scene.alice.register()
        assert [answer.status for answer in scene.answers()] == [401, 200]


@pytest.mark.parametrize("asked_s", [600_000, 3600, 60, 1])
def test_reg_05_never_longer_than_asked(asked_s: int) -> None:
    scene = Scene(Terms(min_expires_s=60, max_expires_s=7200), expires_s=asked_s)
    event = scene.alice.register()
    assert isinstance(event, Registered)
    assert event.expires_s == max(60, min(asked_s, 7200))
    assert (423 in [answer.status for answer in scene.answers()]) == (asked_s < 60)


def test_reg_07_a_barred_identity_registers_and_is_never_seen_again() -> None:
    """REG-07, TS 24.229 5.1.1.2.1 b, c."""
    scene = Scene(security="ipsec", imei="35622410483840")
    registered = scene.alice.register()
    assert isinstance(registered, Registered)
    scene.world.run_for(2)
    scene.alice.call("echo")
    scene.world.run_for(2)
    barred = scene.alice.profile.impu or ""
    assert barred in bytes(scene.registers()[0]).decode()
    later = [one for one in scene.messages() if one.cseq.method != "REGISTER"]
    assert {one.cseq.method for one in later} >= {"SUBSCRIBE", "INVITE", "ACK", "NOTIFY"}
    assert not [one for one in later if barred.removeprefix("sip:") in bytes(one).decode()]
    shown = [event.as_json() for event in scene.alice.events if getattr(event, "at", 0) >= registered.at]
    assert barred not in str(shown)
    assert registered.impu == registered.impus[0] == f"sip:alice@{scene.network.realm}"


def test_reg_08_three_tell_the_same_set() -> None:
    """REG-08: P-Associated-URI, the reg event and the HSS name the same identities, a number among them."""
    scene = Scene()
    registered = scene.alice.register()
    scene.world.run_for(2)
    seen = scene.alice.last(RegistrationSeen)
    account = scene.network.accounts["alice"]
    configured = [impu for impu in account.impus if impu not in account.barred]
    assert isinstance(registered, Registered)
    assert seen is not None
    assert list(registered.impus) == configured
    assert [one["impu"] for one in seen.identities] == configured
    assert any(impu.startswith("tel:") for impu in configured)


@pytest.mark.parametrize(("granted_s", "refresh_s"), [(120, 60), (1200, 600), (1800, 1200)])
def test_reg_09_the_refresh_is_in_time_and_has_new_ends(granted_s: int, refresh_s: int) -> None:
    """REG-09, TS 24.229 5.1.1.4, TS 34.229-1 8.2: twice, so that the second one verifies what the first one agreed."""
    scene = Scene(Terms(max_expires_s=granted_s), security="ipsec", reg_event=False)
    scene.alice.register()
    scene.world.run_for(2.5 * refresh_s)
    registered = [event for event in scene.alice.events if isinstance(event, Registered)]
    assert [event.is_refresh for event in registered] == [False, True, True]
    sent = [record for record in scene.records() if record.data.startswith(b"REGISTER")]
    refreshes = [record for record, request in zip(sent, scene.registers(), strict=True) if _opens(request)]
    for before, record in zip(registered, refreshes[1:], strict=False):
        assert record.at - before.at == pytest.approx(refresh_s)
        assert record.is_protected
    ends = [proposals(parse(record.data).headers.get_all("Security-Client"))[0].ends for record in refreshes]
    assert len({one.port_s for one in ends}) == 1
    for name in ("port_c", "spi_c", "spi_s"):
        assert len({getattr(one, name) for one in ends}) == len(ends) == 3
    agreed = [answer.headers.get_all("Security-Server") for answer in scene.answers() if answer.status == 401]
    verified = [parse(record.data).headers.get_all("Security-Verify") for record in refreshes[1:]]
    assert verified == agreed[:2]


def _opens(request: Request) -> bool:
    """Whether a REGISTER begins a registration or a refresh, and does not answer the challenge of one."""
    return request.cseq.number % 2 == 1


def test_reg_11_the_old_association_stays_until_the_new_one_is_proven() -> None:
    """REG-11, TS 33.203 7.4: an unprotected REGISTER proves nothing, whoever sent it."""
    scene = Scene(security="ipsec", reg_event=False)
    scene.alice.register()
    held = scene.world.shield("p-cscf").counted()
    stranger = scene.phone("stranger", "127.0.10.109", security="ipsec", reg_event=False)
    stranger.isim = None
    stranger.do(stranger.ue.register)
    scene.world.run_for(5)
    counted = {one.association for one in scene.world.shield("p-cscf").counted()}
    assert counted >= {one.association for one in held}
    key = scene.alice.call("echo")
    scene.world.run_for(3)
    assert scene.alice.ue.calls[key].state == "active"


def test_reg_12_and_then_there_is_silence() -> None:
    """REG-12: the 200 is inside ESP, the last NOTIFY came, and the old association answers nothing."""
    scene = Scene(security="ipsec")
    scene.alice.register()
    scene.world.run_for(2)
    scene.alice.deregister()
    scene.world.run_for(300)
    last = scene.records("received")[-1]
    assert last.is_protected
    assert scene.answers()[-1].status == 200
    assert not scene.answers()[-1].contacts
    assert scene.network.scscf.registering.registrar.find(f"sip:alice@{scene.network.realm}") is None
    assert scene.world.trace is not None
    packets = [one for one in scene.world.trace.records() if (one.who, one.protocol) == ("alice", "ESP")]
    sent = next(one for one in packets if one.direction == "sent")
    before = len(scene.world.trace)
    scene.world.perform("alice", [Send(sent.data, sent.flow)])
    scene.world.run_for(10)
    assert len(scene.world.trace) == before + 2  # it left, it came, and that was all
    assert scene.world.shield("p-cscf").counted() == []


def test_reg_13_all_devices_of_a_user_leave_at_once() -> None:
    """REG-13, RFC 3261 10.2.2: `Contact: *` with Expires 0; the other device is told."""
    scene = Scene(imei="35622410483840")
    other = scene.phone("other", "127.0.10.103", imei="35622410483857")
    scene.alice.register()
    other.register()
    scene.world.run_for(2)
    scene.alice.do(lambda now: scene.alice.ue.deregister(now, everywhere=True))
    assert isinstance(scene.alice.next(Deregistered), Deregistered)
    last = scene.registers()[-1]
    assert (last.headers.get("Contact"), last.expires) == ("*", 0)
    scene.world.run_for(2)
    assert not other.ue.is_registered
    assert not [event for event in scene.alice.events if isinstance(event, RegistrationFailed)]


def test_reg_13_a_core_that_refuses_the_star_is_told_of_and_the_own_contact_goes() -> None:
    scene = Scene(imei="35622410483840")
    other = scene.phone("other", "127.0.10.103", imei="35622410483857")
    scene.alice.register()
    other.register()
    scene.world.run_for(2)
    refuse(scene.network.pcscf, 403)
    scene.alice.do(lambda now: scene.alice.ue.deregister(now, everywhere=True))
    scene.alice.next(Deregistered)
    failed = scene.alice.last(RegistrationFailed)
    assert failed is not None
    assert (failed.is_final, failed.status) == (False, 403)
    assert "Contact: *" in failed.sentence
    scene.world.run_for(2)
    assert other.ue.is_registered
    (bound,) = scene.network.scscf.registering.registrar.find(f"sip:alice@{scene.network.realm}").bound  # type: ignore[union-attr]
    assert bound.contact.uri.host == "127.0.10.103"


@pytest.mark.parametrize("state", ["active", "ringing", "incoming"])
def test_reg_14_every_dialog_is_released_before_the_register(state: str) -> None:
    """REG-14, TS 24.229 5.1.1.6.1."""
    scene = Scene(security="ipsec", reg_event=False)
    scene.alice.register()
    if state == "incoming":
        _, effects = scene.network.far_end.call(f"sip:alice@{scene.network.realm}", scene.world.now)
        scene.world.perform("far-end", effects)
    else:
        scene.alice.call("echo" if state == "active" else "silent")
    scene.world.run_for(3)
    (call,) = scene.alice.ue.calls.values()
    assert call.state == state
    before = len(scene.messages())
    scene.alice.deregister()
    assert isinstance(scene.alice.last(CallEnded), CallEnded)
    later = [f"{one.cseq.method} {getattr(one, 'status', '')}".strip() for one in scene.messages()[before:]]
    goodbye = {"active": "BYE", "ringing": "CANCEL", "incoming": "INVITE 603"}[state]
    assert later.index(goodbye) < later.index("REGISTER")


def test_reg_18_no_keep_alives_where_the_network_grants_none() -> None:
    """REG-18, RFC 6223 4.3: the Via offers, the answer does not take it."""
    scene = Scene(reg_event=False)
    scene.alice.register()
    scene.world.run_for(1000)
    assert "keep" in scene.registers()[0].via.params
    assert scene.world.trace is not None
    assert not [one for one in scene.world.trace.records() if one.data[:2] == b"\0\1"]


def test_reg_18_they_keep_to_eighty_per_cent_of_the_time() -> None:
    world = World()
    network = Network(seed=b"keep", keep_s=60)
    network.attach(world)
    profile = Profile(**network.profile("alice"), reg_event=False)
    VirtualPhone(world, "alice", HOST, profile, network.accounts["alice"].isim()).register()
    world.run_for(600)
    assert world.trace is not None
    pings = [
        one.at for one in world.trace.records() if (one.who, one.direction, one.data[:2]) == ("alice", "sent", b"\0\1")
    ]
    assert all(48 <= b - a <= 60.1 for a, b in pairwise(pings))


def test_reg_07_each_listed_identity_may_call_and_no_other() -> None:
    """TS 24.229 5.1.2A.1.1: P-Preferred-Identity is a choice, which the network asserts if it is one of the set."""
    scene = Scene(reg_event=False)
    registered = scene.alice.register()
    assert isinstance(registered, Registered)
    barred = scene.alice.profile.impu
    with pytest.raises(StateError, match="not ours"):
        scene.alice.call("echo", identity=barred)
    for impu in registered.impus:
        key = scene.alice.call("echo", identity=impu)
        scene.world.run_for(3)
        invite = [one for one in scene.messages() if isinstance(one, Request) and one.method == "INVITE"][-1]
        passed = [one for one in scene.messages(who="p-cscf") if isinstance(one, Request) and one.method == "INVITE"]
        assert str(invite.from_.uri) == impu
        assert str(passed[-1].addresses("P-Asserted-Identity")[0].uri) == impu
        scene.alice.hangup(key)
        scene.world.run_for(3)
