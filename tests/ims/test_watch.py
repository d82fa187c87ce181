"""The phone asks to be told of its registration, and believes what is told in order (TS 24.229 5.1.1.3, RFC 3680)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.events import Deregistered, RegistrationSeen, RegistrationUnseen, Violated
from imsphone.sip.message import Request

NOTIFIER = "Contact: <sip:127.0.10.30:5060>\nRecord-Route: <sip:127.0.10.10:5060;lr>"


@pytest.fixture
def watcher(make_bench: Any) -> Any:
    """A registered phone that has just sent SUBSCRIBE."""
    bench = make_bench(reg_event=True)
    bench.register()
    bench.wait(0.2)
    return bench


def subscribes(bench: Any) -> list[Request]:
    return [request for request in bench.requests if request.method == "SUBSCRIBE"]


def notify(
    bench: Any, version: int, event: str = "registered", *, state: str = "active", sub: str = "active;expires=9000",
    kind: str = "full", more: str = "", body: str | None = None, cseq: int | None = None,
) -> int:  # fmt: skip
    """The network's NOTIFY for our own contact; gives the status that it was answered with."""
    first = subscribes(bench)[0]
    contact = (
        f'<contact id="1" state="{state}" event="{event}"{more}><uri>{bench.own_address().replace("&", "&amp;")}</uri>'
        "</contact>"
    )
    xml = (
        f'<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="{version}" state="{kind}">'
        f'<registration aor="sip:alice@{bench.home}" id="a" state="{state}">{contact}</registration></reginfo>'
    )
    lines = [
        f"NOTIFY {bench.own_address()} SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.10.10:5060;branch=z9hG4bKn{version}{event}{cseq}",
        "Max-Forwards: 60",
        "Record-Route: <sip:127.0.10.10:5060;lr>",
        f"From: {first.to};tag=net",
        f"To: {first.from_}",
        f"Call-ID: {first.call_id}",
        f"CSeq: {version + 1 if cseq is None else cseq} NOTIFY",
        "Contact: <sip:127.0.10.30:5060>",
        "Event: reg",
        f"Subscription-State: {sub}",
        "Content-Type: application/reginfo+xml",
    ]
    bench.hear("\n".join(lines), xml if body is None else body)
    status: int = bench.responses[-1].status
    return status


def test_evt_01_the_subscription_follows_the_registration(watcher: Any) -> None:
    """EVT-01, TS 24.229 5.1.1.3."""
    (request,) = subscribes(watcher)
    assert request.uri == f"sip:alice@{watcher.home}"  # the default identity
    assert str(request.from_.uri) == str(request.to.uri) == request.uri
    assert [request.headers.get(name) for name in ("Event", "Accept")] == ["reg", "application/reginfo+xml"]
    assert request.expires == 600_000
    assert [route.uri.user for route in request.routes] == ["", "orig"]
    watcher.reply("200 OK", f"{NOTIFIER}\nExpires: 600000", to=request)
    assert notify(watcher, 0) == 200
    (told,) = watcher.events(RegistrationSeen)
    assert told.identities[0]["contacts"][0]["is_ours"] is True


def test_an_identity_that_ends_loses_its_gruu(watcher: Any) -> None:
    """TS 24.229 5.1.2.1; the other one still has its own."""
    watcher.reply("200 OK", f"{NOTIFIER}\nExpires: 600000", to=subscribes(watcher)[0])
    gruu = '<pub-gruu xmlns="urn:ietf:params:xml:ns:gruuinfo" uri="sip:{}@x;gr=1"/>'

    def entry(name: str, state: str) -> str:
        contact = f'<contact id="{name}" state="{state}" event="registered"><uri>{watcher.own_address()}</uri>'
        whole = f"{contact}{gruu.format(name)}</contact>"
        return f'<registration aor="sip:{name}@x" id="{name}" state="{state}">{whole}</registration>'

    for version, state in enumerate(("active", "terminated")):
        head = f'<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="{version}" state="full">'
        notify(watcher, version, body=f"{head}{entry('one', 'active')}{entry('two', state)}</reginfo>")
        status = 200 if state == "active" else 404
        for name, expected in (("one", 200), ("two", status)):
            watcher.hear(
                watcher.far_request("OPTIONS", 1, branch=f"z9hG4bK{name}{version}", tag="").replace(
                    f"OPTIONS {watcher.own_address()}", f"OPTIONS sip:{name}@x;gr=1"
                )
            )
            assert watcher.responses[-1].status == expected


def test_whoever_leaves_at_once_subscribes_to_nothing(make_bench: Any) -> None:
    bench = make_bench(reg_event=True).register()
    bench.do(bench.ue.deregister)
    bench.wait(5)
    assert subscribes(bench) == []


def test_an_answer_that_makes_no_dialog_is_asked_for_again(watcher: Any) -> None:
    watcher.reply("200 OK", "Expires: 600")
    assert watcher.events(Violated)
    watcher.wait(120)
    assert len(subscribes(watcher)) == 2
    watcher.reply("200 OK", f"{NOTIFIER}\nExpires: 600000", to=subscribes(watcher)[1])
    watcher.wait(3600)
    assert len(subscribes(watcher)) == 2


def test_evt_02_a_busy_server_is_asked_later_and_the_registration_stands(watcher: Any) -> None:
    """EVT-02, TS 34.229-1 10.1."""
    watcher.reply("503 Service Unavailable", "Retry-After: 60")
    watcher.forget()
    watcher.wait(59)
    assert subscribes(watcher) == []
    watcher.wait(2)
    assert len(subscribes(watcher)) == 1
    assert watcher.ue.is_registered


def test_evt_03_after_a_gap_the_full_state_is_fetched(watcher: Any) -> None:
    """EVT-03, RFC 3680 5.2."""
    watcher.reply("200 OK", f"{NOTIFIER}\nExpires: 9000")
    for version in (0, 1):
        notify(watcher, version)
    watcher.wait(10)
    assert notify(watcher, 3, "rejected", state="terminated", kind="partial") == 200
    assert watcher.ue.is_registered
    again = subscribes(watcher)[-1]
    assert (again.to.tag, again.cseq.number) == ("net", 2)
    watcher.reply("200 OK", f"{NOTIFIER}\nExpires: 9000", to=again)
    assert notify(watcher, 4) == 200
    assert watcher.ue.is_registered


@pytest.mark.parametrize("event", ["deactivated", "expired"])
def test_evt_04_deactivated_and_expired_mean_once_more_from_the_start(watcher: Any, event: str) -> None:
    """EVT-04 and EVT-06, TS 24.229 5.1.1.7."""
    assert notify(watcher, 0, event, state="terminated", sub="terminated;reason=noresource") == 200
    assert [told.by for told in watcher.events(Deregistered)] == ["network"]
    watcher.answer((watcher.flow,))
    assert watcher.request.method == "REGISTER"
    assert "response" in (watcher.request.headers.get("Authorization") or "")


@pytest.mark.parametrize("event", ["rejected", "unregistered"])
def test_evt_05_rejected_means_stay_out(watcher: Any, event: str) -> None:
    """EVT-05 and EVT-06: dialogs are released, nothing is registered by itself."""
    key = watcher.call()
    notify(watcher, 0, event, state="terminated", sub="terminated;reason=noresource")
    assert not watcher.ue.is_registered
    assert watcher.ue.calls[key].state == ("ended" if event == "rejected" else "calling")
    watcher.wait(4000)
    assert watcher.asked == []
    assert [request.method for request in watcher.requests].count("REGISTER") == 0


def test_evt_06_probation_is_served(watcher: Any) -> None:
    notify(watcher, 0, "probation", state="terminated", sub="terminated", more=' retry-after="100"')
    watcher.wait(99)
    assert watcher.asked == []
    watcher.wait(2)
    watcher.answer((watcher.flow,))
    assert watcher.request.method == "REGISTER"


def test_evt_07_shortened_means_prove_yourself_soon(watcher: Any) -> None:
    """EVT-07, TS 24.229 5.1.1.5A."""
    watcher.reply("200 OK", f"{NOTIFIER}\nExpires: 9000")
    notify(watcher, 0, "shortened", more=' expires="60"')
    watcher.forget()
    watcher.wait(29)
    assert watcher.requests == []
    watcher.wait(2)
    assert watcher.request.method == "REGISTER"
    watcher.challenge()
    watcher.answer(watcher.success)
    watcher.grant(3600)
    assert watcher.ue.is_registered


def test_evt_10_the_subscription_is_refreshed_in_time(watcher: Any) -> None:
    """EVT-10, TS 24.229 5.1.1.3, RFC 6665 4.1.2.2."""
    watcher.reply("200 OK", f"{NOTIFIER}\nExpires: 600")
    watcher.forget()
    watcher.wait(299)
    assert watcher.labels == []
    watcher.wait(2)
    assert subscribes(watcher)[-1].to.tag == "net"
    watcher.reply("481 Call/Transaction Does Not Exist")
    assert subscribes(watcher)[-1].to.tag == ""  # the server forgot it: a new one


def test_evt_10_too_brief_is_lengthened(watcher: Any) -> None:
    watcher.reply("423 Interval Too Brief", "Min-Expires: 700000")
    assert subscribes(watcher)[-1].expires == 700_000


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "489 Bad Event"])
def test_a_network_that_does_not_tell_is_no_reason_to_leave(watcher: Any, status: str) -> None:
    watcher.reply(status)
    (told,) = watcher.events(RegistrationUnseen)
    assert str(told.status) in status
    watcher.wait(1000)
    assert len(subscribes(watcher)) == 1
    assert watcher.ue.is_registered


def test_silence_is_asked_again(watcher: Any) -> None:
    watcher.wait(128 + 61)
    assert len({request.call_id for request in subscribes(watcher)}) == 2
    assert watcher.ue.is_registered


def test_a_subscription_that_ends_is_made_anew_but_not_in_circles(watcher: Any) -> None:
    for number in range(5):
        request = subscribes(watcher)[-1]
        watcher.reply("200 OK", f"{NOTIFIER}\nExpires: 9000", to=request)
        if number == 0:
            notify(watcher, 0, sub="terminated;reason=deactivated")
    assert len(subscribes(watcher)) == 1
    watcher.wait(5)
    assert len({request.call_id for request in subscribes(watcher)}) == 2


def test_the_last_word_after_leaving_is_answered(watcher: Any) -> None:
    watcher.reply("200 OK", f"{NOTIFIER}\nExpires: 9000")
    notify(watcher, 0)
    watcher.do(watcher.ue.deregister)
    watcher.reply("200 OK")
    assert not watcher.ue.is_registered
    assert notify(watcher, 1, "unregistered", state="terminated", sub="terminated;reason=noresource") == 200
    assert len(watcher.events(Deregistered)) == 1
    assert watcher.asked == []


@pytest.mark.parametrize(("change", "status"), [({"cseq": 0}, 500), ({"body": "<no"}, 200)])
def test_a_notify_that_makes_no_sense(watcher: Any, change: dict[str, Any], status: int) -> None:
    watcher.reply("200 OK", f"{NOTIFIER}\nExpires: 9000")
    notify(watcher, 0)
    assert notify(watcher, 1, "rejected", state="terminated", **change) == status
    assert watcher.ue.is_registered
    assert bool(watcher.events(Violated)) == ("body" in change)


@given(body=st.text(max_size=200), sub=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_no_notify_ends_a_registration_by_being_odd(make_bench: Any, body: str, sub: str) -> None:
    bench = make_bench(reg_event=True).register()
    bench.wait(0.2)
    notify(bench, 0, body=body, sub=sub or "x")
    assert bench.ue.is_registered
