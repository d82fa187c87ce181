"""Subscriptions by RFC 6665 4.1; the NOTIFY may come before the 200."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.sip.message import Request
from imsphone.sip.subscription import Subscription, SubscriptionState


def subscribe() -> Request:
    request = Request("SUBSCRIBE", "sip:alice@home")
    for name, value in (
        ("From", "<sip:alice@home>;tag=mine"),
        ("To", "<sip:alice@home>"),
        ("Call-ID", "c1"),
        ("CSeq", "1 SUBSCRIBE"),
        ("Contact", "<sip:me@127.0.0.1>"),
        ("Event", "reg"),
        ("Accept", "application/reginfo+xml"),
    ):
        request.headers.add(name, value)
    return request


def notify(cseq: int = 7, state: str = "active;expires=99", event: str = "reg", tag: str = "theirs") -> Request:
    request = Request("NOTIFY", "sip:me@127.0.0.1")
    for name, value in (
        ("Record-Route", "<sip:p1;lr>, <sip:p2;lr>"),
        ("From", f"<sip:alice@home>;tag={tag}"),
        ("To", "<sip:alice@home>;tag=mine"),
        ("Call-ID", "c1"),
        ("CSeq", f"{cseq} NOTIFY"),
        ("Contact", "<sip:server>"),
        ("Event", event),
        ("Subscription-State", state),
    ):
        request.headers.add(name, value)
    return request


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("active;expires=600", SubscriptionState("active", 600)),
        ("Terminated; reason=Rejected;retry-after=9", SubscriptionState("terminated", None, "rejected", 9)),
        ("pending", SubscriptionState("pending")),
        ("refreshing;expires=soon", SubscriptionState("active")),  # RFC 6665 4.1.2.4
    ],
)
def test_states(text: str, state: SubscriptionState) -> None:
    assert SubscriptionState.parse(text) == state


@pytest.mark.parametrize(("reason", "allows"), [("rejected", False), ("noresource", False), ("deactivated", True)])
def test_a_reason_says_whether_to_come_again(reason: str, allows: bool) -> None:
    assert SubscriptionState.parse(f"terminated;reason={reason}").allows_another is allows


def test_the_200_makes_the_dialog_and_a_refresh_stays_in_it() -> None:
    subscription = Subscription(subscribe())
    response = subscribe().answer(200, tag="theirs")
    response.headers.add("Contact", "<sip:server>")
    response.headers.add("Record-Route", "<sip:p2;lr>, <sip:p1;lr>")
    subscription.accepted(response)
    refresh = subscription.refresh(600)
    assert (refresh.uri, refresh.cseq.number, refresh.to.tag) == ("sip:server", 2, "theirs")
    assert [route.uri.host for route in refresh.routes] == ["p1", "p2"]
    assert [refresh.headers.get(name) for name in ("Event", "Expires")] == ["reg", "600"]


def test_a_notify_that_overtakes_the_200_makes_the_dialog() -> None:
    subscription = Subscription(subscribe())
    assert subscription.is_own(notify())
    assert subscription.notified(notify()) == SubscriptionState("active", 99)
    refresh = subscription.refresh(60)
    assert (refresh.uri, refresh.cseq.number, refresh.to.tag, refresh.from_.tag) == ("sip:server", 2, "theirs", "mine")
    assert [route.uri.host for route in refresh.routes] == ["p1", "p2"]


def test_a_notify_out_of_order_is_no_news() -> None:
    subscription = Subscription(subscribe())
    assert subscription.notified(notify(7))
    assert subscription.notified(notify(7)) is None
    assert subscription.notified(notify(8))


@pytest.mark.parametrize("stranger", [notify(event="presence"), notify(tag="other")])
def test_a_notify_of_somebody_else_is_none_of_ours(stranger: Request) -> None:
    subscription = Subscription(subscribe())
    subscription.notified(notify())
    assert not subscription.is_own(stranger)


@given(st.text(max_size=60))
def test_any_text_is_a_state_or_none(text: str) -> None:
    try:
        SubscriptionState.parse(text)
    except ParseError:
        return
