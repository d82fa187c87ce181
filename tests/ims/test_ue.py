"""The whole phone: what a user may ask, leaving in order, and that nothing from outside breaks it."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsphone.errors import ParseError, ProfileError, StateError
from imsphone.machine import Address, Authenticate, OpenMedia, Resolve
from imsphone.sip.message import Request, parse
from imsphone.usim.aka import AkaSuccess, MacFailure, SyncFailure


def test_a_phone_that_is_not_registered_calls_nobody(bench: Any) -> None:
    with pytest.raises(StateError, match="not registered"):
        bench.ue.call("bob", bench.now)


def test_a_target_that_is_none_is_said_at_once(phone: Any) -> None:
    with pytest.raises(ParseError, match="a number"):
        phone.ue.call("to whom?", phone.now)
    assert phone.ue.calls == {}


def test_a_call_that_is_not_there(phone: Any) -> None:
    for act in (phone.ue.hangup, phone.ue.answer_call, phone.ue.reject):
        with pytest.raises(StateError, match=r"no .*call nowhere"):
            act("nowhere", phone.now)
    key = phone.call()
    with pytest.raises(StateError, match="no incoming call"):
        phone.ue.answer_call(key, phone.now)


@pytest.mark.parametrize("status", [100, 200, 302, 700])
def test_a_rejection_is_a_refusal(phone: Any, status: int) -> None:
    key = phone.invite("")
    with pytest.raises(StateError, match="400 to 699"):
        phone.ue.reject(key, phone.now, status)


def test_a_profile_that_cannot_work_makes_no_phone(make_bench: Any) -> None:
    with pytest.raises(ProfileError, match="codecs names AMR-WB"):
        make_bench(codecs=("AMR-WB",))
    with pytest.raises(ProfileError, match="password"):
        make_bench(auth="digest")


# Leaving (TS 24.229 5.1.1.6.1) ----------------------------------------------------------------------------------------


def test_calls_are_ended_before_the_contact_is_taken_back(phone: Any) -> None:
    key = phone.invite("")
    phone.do(phone.ue.answer_call, key)
    phone.hear(phone.far_request("ACK", 1, branch="z9hG4bKack", tag=key))
    phone.forget()
    phone.do(phone.ue.deregister)
    assert phone.labels == ["BYE"]
    phone.reply("200 OK")
    assert phone.labels == ["BYE", "REGISTER"]
    assert phone.request.expires == 0
    phone.reply("200 OK")
    assert phone.names == ["CallEnded", "Registering", "Deregistered"]


def test_a_call_being_set_up_is_cancelled_first(phone: Any) -> None:
    phone.call()
    invite = phone.request
    phone.reply("180 Ringing", "Contact: <sip:x@127.0.10.50>")
    phone.do(phone.ue.deregister)
    assert phone.labels == ["INVITE", "CANCEL"]
    phone.reply("487 Request Terminated", to=invite)
    assert phone.labels == ["INVITE", "CANCEL", "ACK", "REGISTER"]


def test_a_far_end_that_is_silent_holds_nobody_for_ever(phone: Any) -> None:
    phone.call()
    phone.reply("180 Ringing", "Contact: <sip:x@127.0.10.50>")
    phone.do(phone.ue.deregister)
    phone.wait(9)
    assert phone.labels[-1] == "REGISTER"


def test_a_call_that_rings_here_is_refused_on_leaving(phone: Any) -> None:
    phone.invite("")
    phone.do(phone.ue.deregister)
    assert phone.labels == ["100", "180", "603", "REGISTER"]


def test_leaving_twice_is_a_mistake(phone: Any) -> None:
    phone.do(phone.ue.deregister)
    phone.reply("200 OK")
    with pytest.raises(StateError, match="not registered"):
        phone.do(phone.ue.deregister)


def test_a_call_outlives_the_registration_that_made_it(make_bench: Any) -> None:
    phone = make_bench().register(60)
    key = phone.invite("")
    phone.do(phone.ue.answer_call, key)
    phone.hear(phone.far_request("ACK", 1, branch="z9hG4bKack", tag=key))
    phone.wait(61)
    assert not phone.ue.is_registered
    phone.forget()
    phone.do(phone.ue.hangup, key)
    assert phone.labels == ["BYE"]


# Bounds and secrets ---------------------------------------------------------------------------------------------------


def test_a_phone_that_is_called_all_day_does_not_grow(phone: Any) -> None:
    for number in range(500):
        text = phone.far_request("INVITE", 1, "", branch=f"z9hG4bK{number}", tag="").replace("far-call", f"c{number}")
        phone.hear(text, phone.sdp_offer)
        phone.answer(phone.media)
        (key,) = (key for key, call in phone.ue.calls.items() if call.state != "ended")
        phone.do(phone.ue.hangup, key)
    assert len(phone.ue.calls) <= 65
    phone.wait(200)
    assert len(phone.ue.calls) == 0


def test_keys_and_passwords_are_seen_nowhere(softphone: Any, bench: Any) -> None:
    softphone.do(softphone.ue.register)
    softphone.answer((softphone.flow,))
    softphone.reply("401 Unauthorized", 'WWW-Authenticate: Digest realm="r", nonce="n"')
    assert b"secret1" not in b"".join(softphone.sent)
    assert "secret1" not in repr(softphone.told)
    bench.register()
    seen = b"".join(bench.sent) + repr(bench.told).encode()
    for secret in (bench.success.res, bench.success.ck, bench.success.ik):
        assert secret not in seen
        assert secret.hex().encode() not in seen


# Anything at all ------------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(data=st.binary(max_size=400))
def test_any_octets_raise_nothing(data: bytes, make_bench: Any) -> None:
    phone = make_bench().register()
    phone.hear(data)
    phone.hear(b"SIP/2.0 200 OK\r\n" + data)
    phone.hear(b"INVITE sip:a SIP/2.0\r\n" + data)


METHODS = ["INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "OPTIONS", "INFO", "REGISTER"]
EXTRAS = [
    "", "Require: 100rel\nRSeq: 1", "Require: 100rel\nRSeq: 2\nContact: <sip:x@y>", "Contact: <sip:x@127.0.10.50>",
    "Supported: 100rel", "RAck: 1 1 INVITE", "Min-Expires: 9999999", "Retry-After: 5", "Contact: *", "Contact: <",
    'WWW-Authenticate: Digest realm="r", nonce="' + "A" * 44 + '", algorithm=AKAv1-MD5, qop="auth"',
    'Record-Route: <sip:127.0.10.10;lr>, "', "P-Asserted-Identity: <tel:+1>", "Content-Type: text/plain",
    "Service-Route: <sip:a;lr>\nP-Associated-URI: <sip:b@c>, <tel:5>\nExpires: 30", "Expires: 0", "Require: x",
]  # fmt: skip
STATUSES = ["100 T", "180 R", "183 P", "200 OK", "202 A", "302 M", "401 U", "403 F", "407 P", "423 I", "486 B", "503 S"]
RESULTS = [
    None, (), 5, "text", Address("127.0.20.1", 40000), AkaSuccess(b"r", b"c" * 16, b"i" * 16), SyncFailure(b"a" * 14),
    MacFailure(),
]  # fmt: skip
ACTS = "register deregister call ring act answer answer_well request prack reply wait lost".split()
STEPS = st.tuples(st.sampled_from(ACTS), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))


class Storm:
    """Does to a phone whatever the numbers say, in any order."""

    def __init__(self, phone: Any) -> None:
        self.phone = phone

    def step(self, what: str, one: int, two: int, three: int) -> None:
        getattr(self, f"_{what}")(one, two, three)

    def _ask(self, act: Any, *arguments: Any) -> None:
        with suppress(StateError, ParseError):
            self.phone.do(act, *arguments)

    def _register(self, *_: int) -> None:
        self._ask(self.phone.ue.register)

    def _deregister(self, *_: int) -> None:
        self._ask(self.phone.ue.deregister)

    def _call(self, *_: int) -> None:
        self._ask(lambda now: self.phone.ue.call("bob", now)[1])

    def _act(self, one: int, two: int, _three: int) -> None:
        keys = [*self.phone.ue.calls, "none"]
        acts = (self.phone.ue.answer_call, self.phone.ue.hangup, self.phone.ue.reject)
        self._ask(acts[one % 3], keys[two % len(keys)])

    def _answer(self, one: int, two: int, _three: int) -> None:
        if self.phone.asked:
            ask = self.phone.asked.pop(one % len(self.phone.asked))
            self.phone.take(self.phone.ue.answer(ask, RESULTS[two % len(RESULTS)], self.phone.now))

    def _answer_well(self, *_: int) -> None:
        good = {Resolve: (self.phone.flow,), Authenticate: self.phone.success, OpenMedia: self.phone.media}
        while self.phone.asked:
            self.phone.answer(good[type(self.phone.asked[0].question)])

    def _request(self, one: int, two: int, three: int) -> None:
        tags = ["", "unknown", *self.phone.ue.calls]
        method, extra = METHODS[one % len(METHODS)], EXTRAS[two % len(EXTRAS)]
        branch = ["z9hG4bKcall", f"z9hG4bK{one}{two}"][three % 2]
        text = self.phone.far_request(method, 1 + two % 7, extra, branch=branch, tag=tags[three % len(tags)])
        body = ["", self.phone.sdp_offer, self.phone.sdp_answer, "junk"][(one + three) % 4]
        self.phone.hear(text, body)

    def _ring(self, one: int, *_: int) -> None:
        extra = ["", "Supported: 100rel", "Require: 100rel"][one % 3]
        self.phone.hear(
            self.phone.far_request("INVITE", 1, extra, branch=f"z9hG4bKring{one}", tag=""),
            self.phone.sdp_offer if one % 4 else "",
        )
        self._answer_well()

    def _prack(self, one: int, two: int, _three: int) -> None:
        numbers = [response.rseq for response in self.phone.responses if response.rseq]
        if numbers and self.phone.ue.calls:
            key = list(self.phone.ue.calls)[-1]
            text = self.phone.far_request("PRACK", 2 + two % 9, f"RAck: {numbers[-1]} 1 INVITE", tag=key)
            self.phone.hear(text, ["", self.phone.sdp_answer, "junk"][one % 3])

    def _reply(self, one: int, two: int, three: int) -> None:
        sent = [message for data in self.phone.sent if isinstance(message := parse(data), Request)]
        if not sent:
            return
        to = sent[-1 - one % min(len(sent), 6)]
        extra = EXTRAS[(two + three) % len(EXTRAS)]
        if to.method == "REGISTER" and three % 2:
            extra = re.sub(r";\+sip.*", "", f"Contact: {to.headers.get('Contact')}") + ";expires=100"
        body = self.phone.sdp_answer if to.method == "INVITE" and three % 3 else ""
        self.phone.reply(STATUSES[two % len(STATUSES)], extra, body, to=to, tag=["a", "b", ""][three % 3])

    def _wait(self, one: int, *_: int) -> None:
        self.phone.wait([0.1, 3.0, 40.0, 130.0][one % 4])

    def _lost(self, one: int, *_: int) -> None:
        flow = self.phone.flow.over("TCP") if one % 2 else self.phone.flow
        self.phone.do(self.phone.ue.lost, flow)


@settings(max_examples=400, deadline=None)
@given(is_registered=st.booleans(), steps=st.lists(STEPS, max_size=40))
def test_any_input_in_any_order_raises_nothing(
    is_registered: bool, steps: list[tuple[str, int, int, int]], make_bench: Any
) -> None:
    phone = make_bench()
    if is_registered:
        phone.register(100)
    storm = Storm(phone)
    for step in steps:
        storm.step(*step)
        for call in phone.ue.calls.values():
            assert call.state in ("calling", "progressed", "ringing", "incoming", "active", "ended")
    phone.wait(1000)
    ends: dict[str, int] = {}
    for event in phone.told:
        if type(event).__name__ == "CallEnded":
            ends[event.call] = ends.get(event.call, 0) + 1
    assert all(count == 1 for count in ends.values()), "a call ended twice"
