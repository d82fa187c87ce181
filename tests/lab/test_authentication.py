"""What the S-CSCF makes of an answer to its challenge; the digests are worked out here by RFC 2617 3.2.2."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.lab import cx, diameter
from imsphone.lab.authentication import REG_AWAIT_AUTH_S, Authentication, Authentications
from imsphone.lab.diameter import Avp, Avps, Message
from imsphone.machine import Ids
from imsphone.sip.fields import Challenge

RAND, AUTN, XRES = bytes(range(16)), bytes(range(16, 32)), bytes.fromhex("00ff00aa11223344")
CK, IK = bytes([0xCC] * 16), bytes([0x11] * 16)


def maa(item: list[Avp]) -> Message:
    avps = [Avp.of(diameter.RESULT_CODE, 2001), cx.tgpp(cx.SIP_AUTH_DATA_ITEM, item)]
    return Message(303, cx.APPLICATION_CX, 1, 1, Avps(avps))


AKA = maa(
    [
        cx.tgpp(cx.SIP_AUTHENTICATION_SCHEME, cx.SCHEME_AKA),
        cx.tgpp(cx.SIP_AUTHENTICATE, RAND + AUTN),
        cx.tgpp(cx.SIP_AUTHORIZATION, XRES),
        cx.tgpp(cx.CONFIDENTIALITY_KEY, CK),
        cx.tgpp(cx.INTEGRITY_KEY, IK),
    ]
)


def aka() -> Authentication:
    one = Authentication.of(AKA, "me@home", "sip:me@home", "c", 10.0, Ids(b"a"))
    assert one is not None
    return one


def digest() -> Authentication:
    ha1 = hashlib.sha256(b"me@home:home:secret").hexdigest()
    inside = [Avp.of(cx.DIGEST_ALGORITHM, "SHA-256"), Avp.of(cx.DIGEST_HA1, ha1)]
    item = [cx.tgpp(cx.SIP_DIGEST_AUTHENTICATE, inside)]
    one = Authentication.of(maa(item), "me@home", "sip:me@home", "c", 10.0, Ids(b"a"))
    assert one is not None
    return one


def answer(one: Authentication, password: bytes, nc: str = "00000001", **changes: str) -> Challenge:
    function = hashlib.sha256 if one.algorithm == "SHA-256" else hashlib.md5
    ha1 = function(b"me@home:home:" + password).hexdigest()
    ha2 = function(b"REGISTER:sip:home").hexdigest()
    params = {"username": "me@home", "realm": "home", "nonce": one.nonce, "uri": "sip:home", "qop": "auth", "nc": nc}
    params |= {"cnonce": "x", "algorithm": one.algorithm}
    params["response"] = function(f"{ha1}:{one.nonce}:{nc}:x:auth:{ha2}".encode()).hexdigest()
    return Challenge("Digest", params | changes)


def test_the_nonce_is_rand_and_autn_and_the_keys_go_with_the_401() -> None:
    one = aka()
    assert base64.b64decode(one.nonce) == RAND + AUTN
    (value,) = one.www_authenticate(AKA, "home", is_stale=True)
    assert f'ck="{CK.hex()}"' in value
    assert f'ik="{IK.hex()}"' in value
    assert "stale" not in value


def test_no_key_and_no_xres_is_shown() -> None:
    for one in (aka(), digest()):
        assert XRES.hex() not in repr(one)
        assert repr(XRES) not in repr(one)
        assert str(one.ha1) not in repr(one) or one.ha1 is None


def test_a_res_with_zeros_inside_counts_in_full() -> None:
    assert aka().judge(answer(aka(), XRES)) == "right"
    assert aka().judge(answer(aka(), XRES[:2])) == "wrong"


def test_a_password_in_sha_256() -> None:
    assert digest().judge(answer(digest(), b"secret")) == "right"
    assert digest().judge(answer(digest(), b"Secret")) == "wrong"
    assert "stale=true" in digest().www_authenticate(maa([]), "home", is_stale=True)[0].replace('"', "")


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"response": ""}, "refused"),
        ({"auts": "AAAAAAAAAAAAAAAAAAA="}, "resync"),
        ({"username": "you@home"}, "wrong"),
        ({"algorithm": "MD5"}, "wrong"),
        ({"nc": "0"}, "wrong"),
        ({"nc": "zz"}, "wrong"),
        ({"qop": "auth-int"}, "wrong"),
        ({"uri": "sip:elsewhere"}, "wrong"),
    ],
)
def test_what_else_an_answer_may_be(changes: dict[str, str], verdict: str) -> None:
    assert aka().judge(answer(aka(), XRES, **changes)) == verdict


def test_a_password_user_has_no_auts_and_no_empty_answer() -> None:
    assert digest().judge(answer(digest(), b"secret", response="")) == "wrong"
    assert digest().judge(answer(digest(), b"x", auts="AAAA")) == "wrong"


def test_the_same_count_is_a_replay_and_a_higher_one_is_not() -> None:
    one = aka()
    assert one.judge(answer(one, XRES, "00000001")) == "right"
    assert one.judge(answer(one, XRES, "00000001")) == "wrong"
    assert one.judge(answer(one, XRES, "00000002")) == "right"


def test_auts_has_fourteen_octets() -> None:
    auts = base64.b64encode(bytes(14)).decode()
    assert aka().resynchronisation(Challenge("Digest", {"auts": auts})) == RAND + bytes(14)
    for wrong in ("", "????", base64.b64encode(bytes(13)).decode()):
        assert aka().resynchronisation(Challenge("Digest", {"auts": wrong})) is None


def test_an_maa_that_holds_nothing_gives_nothing() -> None:
    assert Authentication.of(maa([]), "a", "b", "c", 0.0, Ids(b"a")) is None


def test_it_waits_four_minutes_and_the_answer_ends_the_waiting() -> None:
    waiting = Authentications()
    one = aka()
    waiting.keep(one)
    assert waiting.get("me@home", "c") is one
    assert waiting.get("me@home", "d") is None
    assert waiting.deadline == 10.0 + REG_AWAIT_AUTH_S
    assert waiting.end(10.0 + REG_AWAIT_AUTH_S) == [one]
    waiting.keep(one)
    waiting.drop(one)
    assert waiting.deadline is None
    assert len(waiting) == 0


@given(
    st.dictionaries(
        st.sampled_from("username realm nonce uri response auts qop nc cnonce algorithm".split()), st.text()
    )
)
def test_any_answer_has_a_verdict(params: dict[str, str]) -> None:
    for one in (aka(), digest()):
        assert one.judge(Challenge("Digest", params)) in ("wrong", "refused", "resync")
        one.resynchronisation(Challenge("Digest", params))
