"""A phone with a password answers each challenge once, whatever the request (AKA-14, RFC 7616 3.3)."""

from __future__ import annotations

from typing import Any

import pytest

from imsphone.events import RegistrationUnseen
from imsphone.profile import Secret
from imsphone.sip.digest import verify
from imsphone.sip.fields import Challenge

TO_TAG = "Contact: <sip:bob@127.0.10.50:5060>"


def challenge(
    bench: Any, nonce: str = "n1", stale: str = "", status: str = "407 Proxy Authentication Required"
) -> None:
    name = "Proxy-Authenticate" if status.startswith("407") else "WWW-Authenticate"
    bench.reply(status, f'{name}: Digest realm="r", nonce="{nonce}", qop="auth"{stale}')


@pytest.fixture
def talking(softphone: Any) -> Any:
    """A phone with a password whose call stands, and was hung up just now."""
    softphone.register()
    key = softphone.call()
    softphone.reply("200 OK", TO_TAG, softphone.sdp_answer)
    softphone.do(softphone.ue.hangup, key)
    return softphone


@pytest.mark.parametrize(
    ("status", "name"),
    [("407 Proxy Authentication Required", "Proxy-Authorization"), ("401 Unauthorized", "Authorization")],
)
def test_a_bye_is_proven(talking: Any, status: str, name: str) -> None:
    first = talking.request
    challenge(talking, status=status)
    second = talking.request
    assert (first.method, second.method) == ("BYE", "BYE")
    assert (second.call_id, second.from_, second.to) == (first.call_id, first.from_, first.to)
    assert second.cseq.number == first.cseq.number + 1
    assert second.via.branch != first.via.branch
    assert len(second.vias) == 1
    assert verify(Challenge.parse(second.headers.get(name) or ""), method="BYE", password=b"secret1")


def test_a_bye_that_is_refused_again_is_left_at_that(talking: Any) -> None:
    challenge(talking, "n1")
    challenge(talking, "n2")
    assert talking.labels.count("BYE") == 2


def test_a_stale_nonce_is_replaced_once(talking: Any) -> None:
    for number in range(4):
        challenge(talking, f"n{number}", ", stale=true" if number else "")
    assert talking.labels.count("BYE") == 3


def test_who_deregisters_waits_for_the_bye_to_be_proven(softphone: Any) -> None:
    """TS 24.229 5.1.1.6.1: all dialogs are released before."""
    softphone.register()
    softphone.call()
    softphone.reply("200 OK", TO_TAG, softphone.sdp_answer)
    softphone.do(softphone.ue.deregister)
    challenge(softphone)
    assert softphone.request.method == "BYE"
    softphone.reply("200 OK")
    assert softphone.request.method == "REGISTER"


def test_a_prack_is_proven_with_what_it_acknowledges(softphone: Any) -> None:
    softphone.register()
    softphone.call()
    softphone.reply("183 Session Progress", f"{TO_TAG}\nRequire: 100rel\nRSeq: 7", softphone.sdp_answer)
    first = softphone.request
    challenge(softphone)
    second = softphone.request
    assert (first.method, second.method) == ("PRACK", "PRACK")
    assert second.rack == first.rack
    assert verify(Challenge.parse(second.headers.get("Proxy-Authorization") or ""), method="PRACK", password=b"secret1")


def test_a_subscribe_is_proven_and_its_dialog_begins_with_the_second(make_bench: Any) -> None:
    bench = make_bench(Secret(b"secret1"), auth="digest", impu="sip:s@home", imsi=None, reg_event=True, impi="s@home")
    bench.register()
    bench.wait(0.2)
    first = bench.request
    challenge(bench)
    second = bench.request
    assert (first.method, second.method, second.cseq.number) == ("SUBSCRIBE", "SUBSCRIBE", 2)
    bench.reply("200 OK", "Contact: <sip:127.0.10.30:5060>\nExpires: 600")
    bench.wait(310)
    refresh = bench.request
    assert (refresh.method, refresh.cseq.number, refresh.to.tag) == ("SUBSCRIBE", 3, "net")
    challenge(bench, "n2")
    assert bench.request.cseq.number == 4
    challenge(bench, "n3")
    assert bench.events(RegistrationUnseen)[-1].status == 407


def test_a_sim_has_no_answer(phone: Any) -> None:
    """TS 24.229 5.1.1.5: it proves itself by REGISTER alone."""
    key = phone.call()
    phone.reply("200 OK", TO_TAG, phone.sdp_answer)
    phone.do(phone.ue.hangup, key)
    challenge(phone)
    assert phone.labels.count("BYE") == 1
