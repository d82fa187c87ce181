"""Dialogs: RFC 3261 12, with the routes of 16.12.1 and the exchange of RFC 3665 3.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.sip.dialog import Dialog
from imsphone.sip.message import Request, Response
from imsphone.sip.uri import Uri


def invite(contact: str = "<sip:alice@client.atlanta.example.com>", routes: tuple[str, ...] = ()) -> Request:
    request = Request("INVITE", "sip:bob@biloxi.example.com")
    for name, value in (
        ("Via", "SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74b43"), ("Max-Forwards", "70"),
        *(("Record-Route", route) for route in routes),
        ("From", "Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl"), ("To", "Bob <sip:bob@biloxi.example.com>"),
        ("Call-ID", "3848276298220188511@atlanta.example.com"), ("CSeq", "1 INVITE"),
    ):  # fmt: skip
        request.headers.add(name, value)
    if contact:
        request.headers.add("Contact", contact)
    return request


def answer(request: Request, status: int, contact: str = "<sip:bob@client.biloxi.example.com>") -> Response:
    response = request.answer(status, tag="314159")
    if contact:
        response.headers.add("Contact", contact)
    return response


ROUTES = ("<sip:ss2.biloxi.example.com;lr>", "<sip:ss1.atlanta.example.com;lr>")  # RFC 3665 3.2 F4


def test_both_ends_of_rfc_3665_3_2() -> None:
    at_bob = invite(routes=ROUTES)
    alice = Dialog.from_response(invite(), answer(at_bob, 200))
    bob = Dialog.from_request(at_bob, "314159")
    assert alice.key == ("3848276298220188511@atlanta.example.com", "9fxced76sl", "314159")
    assert bob.key == ("3848276298220188511@atlanta.example.com", "314159", "9fxced76sl")
    assert alice.is_confirmed
    assert not bob.is_confirmed

    ack = alice.request("ACK", cseq=1)  # F12
    assert (ack.uri, str(ack.cseq)) == ("sip:bob@client.biloxi.example.com", "1 ACK")
    assert ack.headers.lines("Route") == ["<sip:ss1.atlanta.example.com;lr>", "<sip:ss2.biloxi.example.com;lr>"]
    assert ack.headers.get("To") == '"Bob" <sip:bob@biloxi.example.com>;tag=314159'
    assert ack.headers.get("From") == '"Alice" <sip:alice@atlanta.example.com>;tag=9fxced76sl'
    assert ack.max_forwards == 70

    bye = bob.request("BYE")  # F16
    assert bye.uri == "sip:alice@client.atlanta.example.com"
    assert bye.headers.lines("Route") == list(ROUTES)
    assert (bye.from_.tag, bye.to.tag) == ("314159", "9fxced76sl")
    assert Dialog.key_of(bye) == alice.key
    assert Dialog.key_of(ack) == bob.key


def test_cseq_of_ours_grows_and_the_acks_does_not() -> None:
    alice = Dialog.from_response(invite(), answer(invite(), 200))
    assert [str(alice.request(method).cseq) for method in ("UPDATE", "BYE")] == ["2 UPDATE", "3 BYE"]
    assert str(alice.request("ACK", cseq=1).cseq) == "1 ACK"
    assert str(alice.request("BYE").cseq) == "4 BYE"
    assert str(Dialog.from_request(invite(), "t").request("BYE").cseq) == "1 BYE"


def test_cseq_of_theirs_must_grow() -> None:
    # RFC 3261 12.2.2
    bob = Dialog.from_request(invite(), "t")
    alice = Dialog.from_response(invite(), answer(invite(), 200))
    assert bob.accepts(alice.request("UPDATE", cseq=2))
    assert not bob.accepts(alice.request("UPDATE", cseq=2))
    assert not bob.accepts(alice.request("UPDATE", cseq=1))
    assert bob.accepts(alice.request("BYE", cseq=9))
    assert alice.accepts(bob.request("BYE", cseq=0))  # the first one may have any number


def test_a_fork_makes_a_dialog_for_each_tag() -> None:
    request = invite()
    early = [Dialog.from_response(request, request_answer) for request_answer in forked(request)]
    assert len({dialog.key for dialog in early}) == 2
    assert not any(dialog.is_confirmed for dialog in early)


def forked(request: Request) -> list[Response]:
    responses = [request.answer(183, tag=tag) for tag in ("a", "b")]
    for response in responses:
        response.headers.add("Contact", f"<sip:bob@{response.to.tag}>")
    return responses


def test_a_2xx_takes_routes_and_target_anew() -> None:
    # RFC 3261 13.2.2.4
    request = invite()
    dialog = Dialog.from_response(request, answer(invite(routes=ROUTES[:1]), 183, "<sip:bob@early>"))
    dialog.confirm(answer(invite(routes=ROUTES), 200, "<sip:bob@late>"))
    assert dialog.is_confirmed
    assert dialog.target.host == "late"
    assert dialog.route_set == [ROUTES[1], ROUTES[0]]
    dialog.refresh_target(answer(invite(), 200, ""))
    assert dialog.target.host == "late"


def test_what_makes_no_dialog() -> None:
    with pytest.raises(ParseError, match="tag"):
        Dialog.from_response(invite(), invite().answer(180))
    with pytest.raises(ParseError, match="Contact"):
        Dialog.from_response(invite(), answer(invite(), 200, ""))
    with pytest.raises(ParseError, match="Contact"):
        Dialog.from_request(invite(contact=""), "t")


def test_a_callee_of_old_has_no_tag() -> None:
    # RFC 3261 12.1.2: MUST be prepared to receive a response without a tag in the To field
    response = invite().answer(200)
    response.headers.add("Contact", "<sip:bob@old>")
    dialog = Dialog.from_response(invite(), response)
    assert dialog.key[2] == ""
    assert "tag" not in (dialog.request("BYE").headers.get("To") or "")


def test_an_early_dialog_may_lack_a_contact() -> None:
    # RFC 3261 table 2: optional in a 1xx, mandatory in a 2xx
    dialog = Dialog.from_response(invite(), answer(invite(), 180, ""))
    assert dialog.target == Uri.parse("sip:bob@biloxi.example.com")


def test_a_strict_router_gets_the_request_uri() -> None:
    # RFC 3261 12.2.1.1, the example: strict routers as RFC 2543 had them
    routes = ("<sip:proxy1>", "<sip:proxy2>", "<sip:proxy3;lr>", "<sip:proxy4>")
    dialog = Dialog.from_request(invite(contact="<sip:user@remoteua>", routes=routes), "t")
    request = dialog.request("METHOD")
    assert request.uri == "sip:proxy1"
    assert request.headers.lines("Route") == [*routes[1:], "<sip:user@remoteua>"]


def test_a_request_uri_holds_no_method_and_no_headers() -> None:
    # RFC 3261 19.1.1 table 1
    dialog = Dialog.from_request(invite(contact="<sip:a@h;method=BYE;transport=tcp?Subject=x>"), "t")
    assert dialog.request("BYE").uri == "sip:a@h;transport=tcp"


@given(st.lists(st.integers(0, 20), max_size=10))
def test_accepted_numbers_only_grow(numbers: list[int]) -> None:
    bob = Dialog.from_request(invite(), "t")
    sender = Dialog.from_response(invite(), answer(invite(), 200))
    accepted = [number for number in numbers if bob.accepts(sender.request("INFO", cseq=number))]
    assert accepted == sorted(set(accepted))
    assert all(number > 1 for number in accepted)
