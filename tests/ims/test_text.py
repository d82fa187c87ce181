"""A text is one MESSAGE out and one answer back, and the other way round (RFC 3428)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError, StateError, TextTooLong
from imsphone.events import TextDelivered, TextFailed, TextReceived, TextSent, Violated
from imsphone.sip.digest import verify
from imsphone.sip.fields import Challenge
from tests.ims.conftest import Bench

SHOWN = "text/plain;charset=UTF-8"


def send(bench: Any, body: str = "hello", target: str = "bob") -> str:
    key, effects = bench.ue.text(target, body, bench.now)
    bench.take(effects)
    return str(key)


def receive(
    bench: Any,
    body: str = "hello",
    *lines: str,
    kind: str | None = SHOWN,
    branch: str = "z9hG4bKtext",
    call_id: str = "",
) -> int:
    """A MESSAGE of bob; gives the status of the answer."""
    own = f"sip:alice@{bench.home}"
    message = [
        f"MESSAGE {own} SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.10.10:5060;branch={branch}",
        "Max-Forwards: 66",
        f"From: <sip:bob@{bench.home}>;tag=far",
        f"To: <{own}>",
        f"Call-ID: {call_id or branch}",
        "CSeq: 7 MESSAGE",
        *lines,
    ]
    if kind is not None:
        message.append(f"Content-Type: {kind}")
    head = "\r\n".join(message).encode("utf-8", "surrogateescape")
    octets = body.encode("utf-8", "surrogateescape")
    bench.hear(head + b"\r\nContent-Length: %d\r\n\r\n" % len(octets) + octets)
    status: int = bench.responses[-1].status
    return status


# Out ----------------------------------------------------------------------------------------------------------------


def test_what_leaves(phone: Any) -> None:
    """TS 24.229 5.1.2A.1.1, RFC 3428 4."""
    key = send(phone, "grüß dich")
    request = phone.request
    assert (request.method, request.uri) == ("MESSAGE", f"sip:bob@{phone.home}")
    assert request.body.decode() == "grüß dich"
    assert request.headers.get("Content-Type") == "text/plain;charset=UTF-8"
    assert [route.uri.user for route in request.routes] == ["", "orig"]
    assert request.headers.get("P-Preferred-Identity") == f"<sip:alice@{phone.home}>"
    assert "Contact" not in request.headers
    assert request.from_.tag == key
    assert phone.told == [TextSent(at=phone.now, text=key, remote=f"sip:bob@{phone.home}")]


def test_it_says_where_the_phone_is(make_bench: Any) -> None:
    bench = make_bench(access_network_info="3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=00101").register()
    send(bench)
    assert bench.request.headers.get("P-Access-Network-Info") == "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=00101"


@pytest.mark.parametrize("status", ["200 OK", "202 Accepted"])
def test_it_is_delivered(phone: Any, status: str) -> None:
    key = send(phone)
    phone.reply("100 Trying")
    phone.reply(status)
    assert phone.events(TextDelivered) == [TextDelivered(at=phone.now, text=key, status=int(status[:3]))]


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("606 Not Acceptable", "refused"),
        ("500 Server Internal Error", "did not get"),
        ("404 Not Found", "knows no"),
        ("480 Temporarily Unavailable", "later"),
        ("415 Unsupported Media Type", "show"),
    ],
)
def test_why_it_was_not_taken(phone: Any, answer: str, word: str) -> None:
    key = send(phone)
    phone.reply(answer, "Retry-After: 9")
    (failed,) = phone.events(TextFailed)
    assert (failed.text, failed.status, failed.retry_after_s) == (key, int(answer[:3]), 9)
    assert answer == f"{failed.status} {failed.reason}"
    assert word in failed.sentence
    assert "bob" in failed.sentence


def test_nobody_answers(phone: Any) -> None:
    send(phone)
    phone.wait(200)
    (failed,) = phone.events(TextFailed)
    assert failed.status is None
    assert "does not answer" in failed.sentence


def test_nothing_listens(phone: Any) -> None:
    send(phone)
    phone.do(phone.ue.lost, phone.flow)
    (failed,) = phone.events(TextFailed)
    assert "nothing listens" in failed.sentence


def test_a_password_proves_it(softphone: Any) -> None:
    softphone.register()
    send(softphone)
    first = softphone.request
    softphone.reply("407 Proxy Authentication Required", 'Proxy-Authenticate: Digest realm="r", nonce="n", qop="auth"')
    second = softphone.request
    assert (second.call_id, second.from_.tag, second.cseq.number) == (first.call_id, first.from_.tag, 2)
    credentials = Challenge.parse(second.headers.get("Proxy-Authorization") or "")
    assert verify(credentials, method="MESSAGE", password=b"secret1")
    softphone.reply("200 OK")
    assert softphone.names == ["TextSent", "TextDelivered"]


def test_a_wrong_password_is_not_repeated_for_ever(softphone: Any) -> None:
    softphone.register()
    send(softphone)
    for number in range(3):
        softphone.reply("401 Unauthorized", f'WWW-Authenticate: Digest realm="r", nonce="{number}"')
    assert softphone.labels == ["MESSAGE", "MESSAGE"]
    assert [failed.status for failed in softphone.events(TextFailed)] == [401]


def too_long(bench: Any, n: int) -> str:
    try:
        send(bench, n * "x")
    except TextTooLong as error:
        return str(error)
    return ""


def test_a_message_has_1300_octets_and_no_more(phone: Any) -> None:
    """RFC 3428 8. The sentence says by how much the text is too long, and means it."""
    excess = int(too_long(phone, 999).rpartition(" by ")[2].split()[0])
    assert not phone.sent
    send(phone, (999 - excess) * "x")
    assert len(phone.sent[-1]) == 1300
    assert phone.flows[-1].transport == "UDP"
    assert too_long(phone, 1000 - excess)


def test_a_proof_counts_too(softphone: Any) -> None:
    softphone.register()
    excess = int(too_long(softphone, 999).rpartition(" by ")[2].split()[0])
    send(softphone, (999 - excess) * "x")
    softphone.reply("401 Unauthorized", 'WWW-Authenticate: Digest realm="r", nonce="n"')
    (failed,) = softphone.events(TextFailed)
    assert "with the proof of who we are" in failed.sentence


def test_over_tcp_it_may_not_be_longer(make_bench: Any) -> None:
    """RFC 3428 8: nobody knows what it goes on by."""
    bench = make_bench(transport="TCP")
    bench.do(bench.ue.register)
    bench.answer((bench.flow.over("TCP"),))
    bench.challenge()
    bench.answer(bench.success)
    bench.grant()
    excess = int(too_long(bench, 999).rpartition(" by ")[2].split()[0])
    send(bench, (999 - excess) * "x")
    assert len(bench.sent[-1]) == 1300
    assert bench.flows[-1].transport == "TCP"


def test_to_one_address_they_leave_one_after_the_other(phone: Any) -> None:
    """RFC 3428 8."""
    keys = [send(phone, "one"), send(phone, "two"), send(phone, "three"), send(phone, "else", "carol")]
    assert [request.body for request in phone.requests] == [b"one", b"else"]
    first = phone.requests[0]
    phone.reply("100 Trying", to=first)
    assert len(phone.requests) == 2
    phone.reply("200 OK", to=first)
    assert phone.request.body == b"two"
    phone.wait(200)  # nobody answers, and carol neither
    assert phone.request.body == b"three"
    phone.reply("486 Busy Here")
    assert [event.text for event in phone.events(TextSent)] == [keys[0], keys[3], keys[1], keys[2]]
    assert [event.text for event in phone.events(TextFailed)] == [keys[3], keys[1], keys[2]]
    send(phone, "four")
    assert phone.request.body == b"four"


def test_what_waits_for_an_answer_leaves_by_the_registration_of_then(phone: Any) -> None:
    send(phone, "one")
    send(phone, "two")
    first = phone.request
    phone.do(phone.ue.register)
    phone.reply("200 OK", f"Service-Route: <sip:new@scscf.{phone.home};lr>\nContact: <{phone.own_address()}>")
    phone.reply("200 OK", to=first)
    assert phone.request.body == b"two"
    assert [route.uri.user for route in phone.request.routes] == ["", "new"]


def test_what_waits_when_the_registration_is_over_fails(phone: Any) -> None:
    send(phone, "one")
    send(phone, "two")
    send(phone, "three")
    first = phone.request
    phone.do(phone.ue.deregister)
    phone.reply("200 OK")
    phone.reply("200 OK", to=first)
    assert [failed.sentence for failed in phone.events(TextFailed)] == 2 * [
        "this phone is not registered any more: the text did not leave"
    ]


def test_another_address_ends_the_wait(phone: Any) -> None:
    send(phone, "one")
    send(phone, "two")
    phone.do(phone.ue.moved)
    assert ["own address changed" in failed.sentence for failed in phone.events(TextFailed)] == [True, True]


def test_what_cannot_be_sent(bench: Any, phone: Any) -> None:
    with pytest.raises(StateError, match="register"):
        send(bench)
    with pytest.raises(ParseError):
        send(phone, target="not an address")


@pytest.mark.parametrize("target", ["112", "911", "tel:112;phone-context=x", "sip:911@ims.example", "urn:service:sos"])
def test_no_text_goes_to_emergency_services(phone: Any, make_bench: Any, target: str) -> None:
    with pytest.raises(StateError, match="is an emergency number"):
        send(phone, target=target)
    assert not phone.sent
    sos = make_bench(emergency=True, imei="35622410483840", test_psap="127.0.10.10:5060")
    with pytest.raises(StateError, match="writes to nobody"):
        send(sos, target=target)


def test_what_is_no_unicode_does_not_break_it(phone: Any) -> None:
    send(phone, "half a pair: \ud83d")
    assert phone.request.body == b"half a pair: ?"


# In -----------------------------------------------------------------------------------------------------------------


def test_it_is_shown_and_answered_with_nothing_inside(phone: Any) -> None:
    """RFC 3428 7."""
    assert receive(phone, "grüß dich", f'P-Asserted-Identity: "Bob B." <sip:robert@{phone.home}>') == 200
    answer = phone.responses[-1]
    assert answer.body == b""
    assert "Contact" not in answer.headers
    told = TextReceived(at=phone.now, remote=f"sip:robert@{phone.home}", body="grüß dich", display_name="Bob B.")
    assert phone.told == [told]


def test_whom_nobody_vouches_for_is_who_he_says(phone: Any) -> None:
    receive(phone)
    assert [told.remote for told in phone.events(TextReceived)] == [f"sip:bob@{phone.home}"]


def test_a_repeat_is_told_once(phone: Any) -> None:
    receive(phone)
    receive(phone)
    assert len(phone.sent) == 2
    assert phone.names == ["TextReceived"]


def test_what_a_fork_brings_twice_is_told_once(phone: Any) -> None:
    """RFC 3261 8.2.2.2: no repeat, for it came by another way."""
    assert receive(phone, branch="z9hG4bKone", call_id="forked") == 200
    assert receive(phone, branch="z9hG4bKtwo", call_id="forked") == 482
    assert receive(phone, branch="z9hG4bKthree") == 200
    assert phone.names == ["TextReceived", "TextReceived"]


@pytest.mark.parametrize(
    ("kind", "body", "shown"),
    [
        ("text/plain", "a", "a"),
        ("TEXT/Plain ; Charset=utf-8", "ä", "ä"),
        ('text/plain;charset="UTF-8"', "ä", "ä"),
        ("text/plain;charset=us-ascii", "a", "a"),
        ("text/plain;charset=ISO-8859-1", "\udce4", "ä"),
        (None, "", ""),
        ("text/plain", "\udcff", "\ufffd"),
    ],
)
def test_what_can_be_shown(phone: Any, kind: str | None, body: str, shown: str) -> None:
    assert receive(phone, body, kind=kind) == 200
    assert [told.body for told in phone.events(TextReceived)] == [shown]


@pytest.mark.parametrize(
    "kind",
    [
        "message/cpim",
        "multipart/mixed;boundary=b",
        "application/vnd.3gpp.sms",
        "application/im-iscomposing+xml",
        "text/html",
        "text/plain;charset=utf-7",
    ],
)
def test_what_cannot_is_refused_with_what_could(phone: Any, kind: str) -> None:
    """RFC 3261 8.2.3."""
    assert receive(phone, kind=kind) == 415
    assert phone.responses[-1].headers.get("Accept") == "text/plain;charset=UTF-8"
    assert phone.told == []


def test_what_is_packed_is_refused(phone: Any) -> None:
    assert receive(phone, "x", "Content-Encoding: gzip") == 415
    assert phone.responses[-1].headers.get("Accept-Encoding") == "identity"


def test_a_content_type_that_cannot_be_read(phone: Any) -> None:
    assert receive(phone, kind="text/plain; =") == 400
    assert [type(told) for told in phone.told] == [Violated]


def test_it_comes_in_beside_a_call(phone: Any) -> None:
    phone.invite()
    assert receive(phone) == 200
    assert phone.events(TextReceived)


def test_it_comes_in_inside_a_call(phone: Any) -> None:
    key = phone.invite()
    phone.hear(phone.far_request("MESSAGE", 2, f"Content-Type: {SHOWN}", tag=key), "psst")
    assert [response.status for response in phone.responses][-1] == 200
    assert [told.body for told in phone.events(TextReceived)] == ["psst"]
    phone.hear(phone.far_request("MESSAGE", 3, f"Content-Type: {SHOWN}", tag="another"), "psst")
    assert phone.responses[-1].status == 481


def test_nobody_is_here(bench: Any) -> None:
    assert receive(bench) == 480


@given(
    body=st.binary(max_size=80),
    kind=st.none() | st.text(max_size=40) | st.sampled_from(["text/plain;charset=", SHOWN, "multipart/mixed"]),
    sender=st.text(max_size=30),
)
def test_any_text_is_answered_and_raises_nothing(body: bytes, kind: str | None, sender: str) -> None:
    phone = Bench().register()
    lines = [
        f"MESSAGE {phone.own_address()} SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.10.10:5060;branch=z9hG4bKany",
        "From: <sip:bob@home>;tag=far",
        f"To: <sip:alice@{phone.home}>",
        "Call-ID: any",
        "CSeq: 1 MESSAGE",
        f"P-Asserted-Identity: {sender}",
        *([] if kind is None else [f"Content-Type: {kind}"]),
        f"Content-Length: {len(body)}",
    ]
    phone.hear("\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body)
    assert all(response.status in (200, 400, 415) for response in phone.responses)
