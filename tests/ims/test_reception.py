"""Requests that come from nowhere: which are let in, and what the others hear."""

from __future__ import annotations

from typing import Any

import pytest

from imsphone.events import Violated


def at_the_door(phone: Any, method: str, uri: str = "", extra: str = "", body: str = "") -> Any:
    text = phone.far_request(method, 1, extra, tag="")
    phone.hear(text.replace(phone.own_address(), uri, 1) if uri else text, body)
    return phone.responses[-1]


@pytest.mark.parametrize("uri", ["sip:alice@{home}", "tel:+4930123456", "sip:001010000000001@{home}"])
def test_our_identities_are_us(phone: Any, uri: str) -> None:
    assert at_the_door(phone, "INVITE", uri.format(home=phone.home), body=phone.sdp_offer).status == 100


@pytest.mark.parametrize("uri", ["sip:mallory@{home}", "sip:127.0.20.1:5060", "tel:+1"])
def test_others_do_not_live_here(phone: Any, uri: str) -> None:
    assert at_the_door(phone, "INVITE", uri.format(home=phone.home), body=phone.sdp_offer).status == 404
    assert phone.told == []


def test_who_is_not_registered_takes_no_calls(bench: Any) -> None:
    assert at_the_door(bench, "INVITE", body=bench.sdp_offer).status == 480


@pytest.mark.parametrize("method", ["BYE", "PRACK", "UPDATE", "CANCEL"])
def test_what_lives_in_dialogs_alone_finds_none(phone: Any, method: str) -> None:
    assert at_the_door(phone, method).status == 481


@pytest.mark.parametrize(("method", "status"), [("PUBLISH", 405), ("SUBSCRIBE", 405), ("NOTIFY", 481), ("DANCE", 501)])
def test_methods_that_the_phone_lacks(phone: Any, method: str, status: int) -> None:
    response = at_the_door(phone, method)
    assert response.status == status
    if status == 481:  # RFC 6665 4.1.3: a NOTIFY of no subscription of ours
        return
    assert response.allow == [
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "PRACK",
        "UPDATE",
        "OPTIONS",
        "NOTIFY",
        "MESSAGE",
    ]  # RFC 3261 8.2.1


def test_options_tells_what_an_invite_would_meet(phone: Any) -> None:
    response = at_the_door(phone, "OPTIONS")
    assert (response.status, response.supported) == (200, ["100rel"])
    assert response.headers.get("Accept") == "application/sdp, text/plain"
    phone.invite("")
    phone.hear(phone.far_request("OPTIONS", 9, tag=""))
    assert phone.responses[-1].status == 486  # RFC 3261 11.2


def test_an_extension_that_nobody_knows_is_named(phone: Any) -> None:
    response = at_the_door(phone, "OPTIONS", extra="Require: 100rel, teleport")
    assert (response.status, response.headers.get("Unsupported")) == (420, "teleport")


def test_whom_a_request_is_for_comes_before_what_it_wants(phone: Any) -> None:
    # RFC 3261 8.2: 8.2.2.1 before 8.2.2.3, and both before being busy
    assert at_the_door(phone, "INVITE", f"sip:mallory@{phone.home}", "Require: teleport").status == 404
    phone.invite("")
    phone.hear(
        phone.far_request("INVITE", 9, "Require: teleport", tag="").replace("far-call", "other"), phone.sdp_offer
    )
    assert phone.responses[-1].status == 420


def test_an_invite_that_makes_no_dialog_is_bad(phone: Any) -> None:
    text = phone.far_request("INVITE", 1, tag="").replace("Contact: <sip:bob@127.0.10.50:5060>\n", "")
    phone.hear(text, phone.sdp_offer)
    assert phone.labels == ["400"]
    assert phone.events(Violated)[0].did == "answered 400"


def test_an_ack_of_nothing_is_not_answered(phone: Any) -> None:
    phone.hear(phone.far_request("ACK", 1, tag="unknown"))
    phone.hear(phone.far_request("ACK", 1, branch="z9hG4bKx", tag=""))
    assert phone.sent == []
