"""The S-CSCF tells whoever of the set subscribed, and only him (TS 24.229 5.4.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from imsphone.lab.network import REALM, Network
from imsphone.lab.world import World


def subscribe(who: Any, expires_s: int = 600, target: str = "", call_id: str = "sub") -> str:
    uri = target or f"sip:{who.name}@{REALM}"
    who.send(
        f"SUBSCRIBE {uri} SIP/2.0\nVia: {{via}}\nMax-Forwards: 70\nRoute: {who.service_route}\n"
        f"From: <sip:{who.name}@{REALM}>;tag=1\nTo: <{uri}>\nCall-ID: {call_id}\nCSeq: 1 SUBSCRIBE\nEvent: reg\n"
        f"Contact: <sip:{who.name}@{who.address}>\nExpires: {expires_s}\n\n"
    )
    answer: str = who.next("SIP/2.0")
    return answer


def state(notify: str) -> str:
    found = re.search(r"^Subscription-State: (.*?)\r?$", notify, re.MULTILINE)
    assert found is not None
    return found[1]


def test_who_subscribes_is_told_all_at_once(alice: Any, network: Network) -> None:
    alice.come_in()
    answer = subscribe(alice)
    assert answer.startswith("SIP/2.0 200")
    assert "Expires: 600" in answer
    notify = alice.next("NOTIFY")
    alice.reply(notify, "200 OK", tag="1")
    assert state(notify) == "active;expires=600"
    assert f"@{alice.address}</uri>" in notify
    assert f'aor="{network.accounts["alice"].impus[0]}"' in notify
    assert len(network.scscf.notifier) == 1


def test_nobody_else_is_told(alice: Any, bob: Any, network: Network) -> None:
    alice.come_in()
    bob.come_in()
    answer = subscribe(alice, target=f"sip:bob@{REALM}")
    assert not answer.startswith("SIP/2.0 200")
    assert len(network.scscf.notifier) == 0


def test_a_poll_is_one_notify(alice: Any, network: Network) -> None:
    """RFC 6665 4.4.3."""
    alice.come_in()
    assert subscribe(alice, expires_s=0).startswith("SIP/2.0 200")
    assert state(alice.next("NOTIFY")) == "terminated;reason=timeout"
    assert len(network.scscf.notifier) == 0


def test_a_second_device_is_news(alice: Any, handset: Callable[..., Any]) -> None:
    alice.come_in()
    subscribe(alice)
    alice.reply(alice.next("NOTIFY"), "200 OK", tag="1")
    other = handset("alice", "127.0.0.13", name="other")
    other.isim = alice.isim
    other.come_in(contact='<sip:alice@127.0.0.13>;+sip.instance="<urn:2>"')
    notify = alice.next("NOTIFY")
    assert notify.count("<uri>") == 4  # two contacts, two identities
    assert 'version="1"' in notify


def test_who_does_not_take_a_notify_is_forgotten(alice: Any, network: Network, world: World) -> None:
    alice.come_in()
    subscribe(alice)
    alice.reply(alice.next("NOTIFY"), "481 Call/Transaction Does Not Exist", tag="1")
    world.run_for(1)
    assert len(network.scscf.notifier) == 0


def test_a_subscription_ends_with_its_time(alice: Any, network: Network, world: World) -> None:
    alice.come_in()
    subscribe(alice)
    alice.reply(alice.next("NOTIFY"), "200 OK", tag="1")
    world.run_for(601)
    assert len(network.scscf.notifier) == 0
