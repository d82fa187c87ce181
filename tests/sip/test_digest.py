"""Digest by the examples of RFC 2617 and RFC 7616, and AKA over it by RFC 3310."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.sip.digest import (
    a1,
    aka_nonce,
    aka_password,
    algorithm_of,
    authorize,
    choose,
    first_authorization,
    is_aka,
    verify,
)
from imsphone.sip.fields import Challenge

RFC_2617 = Challenge.parse(
    'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
    'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
# TS 35.208 4.3, test set 1: RAND, AUTN (SQN xor AK, AMF, MAC-A) and RES
RAND, AUTN = bytes.fromhex("23553cbe9637a89d218ae64dae47bf35"), bytes.fromhex("55f328b43577b9b94a9ffac354dfafb3")
RES = bytes.fromhex("a54211d5e3ba50bf")
REALM = "ims.mnc001.mcc001.3gppnetwork.org"
AKA = Challenge(
    "Digest",
    {
        "realm": REALM,
        "nonce": base64.b64encode(RAND + AUTN).decode(),
        "algorithm": "AKAv1-MD5",
        "qop": "auth",
        "opaque": "o",
    },
)


def answer_7616(algorithm: str) -> Challenge:
    return Challenge.parse(
        authorize(
            Challenge.parse(RFC_7616.format(algorithm)),
            method="GET",
            uri="/dir/index.html",
            username="Mufasa",
            password=b"Circle of Life",
            cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        )
    )


def answer_aka(**more: object) -> Challenge:
    return Challenge.parse(
        authorize(
            AKA,
            method="REGISTER",
            uri=f"sip:{REALM}",
            username=f"001010000000001@{REALM}",
            password=RES,
            cnonce="0a4f113b",
            **more,  # type: ignore[arg-type]
        )
    )


def test_rfc_2617_3_5() -> None:
    text = authorize(
        RFC_2617,
        method="GET",
        uri="/dir/index.html",
        username="Mufasa",
        password=b"Circle Of Life",
        cnonce="0a4f113b",
    )
    assert Challenge.parse(text).get("response") == "6629fae49393a05397450978507c4ef1"
    assert text == (
        'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'uri="/dir/index.html", opaque="5ccc069c403ebaf9f0171e9517f40e41", qop=auth, nc=00000001, '
        'cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1"'
    )


def test_without_qop_as_rfc_2069() -> None:
    # The example of RFC 2069 2.4 with the response of its erratum 749
    challenge = Challenge.parse('Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"')
    text = authorize(
        challenge, method="GET", uri="/dir/index.html", username="Mufasa", password=b"CircleOfLife", cnonce="x"
    )
    credentials = Challenge.parse(text)
    assert credentials.get("response") == "1949323746fe6a43ef61f9606e7febea"
    assert "cnonce" not in credentials.params
    assert "nc" not in credentials.params


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_3_9_1(algorithm: str, response: str) -> None:
    credentials = answer_7616(algorithm)
    assert credentials.get("response") == response
    assert credentials.get("algorithm") == algorithm
    assert verify(credentials, method="GET", password=b"Circle of Life")
    assert not verify(credentials, method="PUT", password=b"Circle of Life")
    assert not verify(credentials, method="GET", password=b"Circle of Strife")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "MD5-sess", "SHA-256-sess", "AKAv1-MD5"])
def test_both_sides_agree(algorithm: str) -> None:
    credentials = answer_7616(algorithm)
    assert verify(credentials, method="GET", password=b"Circle of Life")
    kept = a1(credentials.params, b"Circle of Life", algorithm.upper())
    assert verify(credentials, method="GET", ha1=kept)
    assert not verify(credentials, method="GET", ha1=kept[::-1])


def test_sess_hashes_the_nonces_into_a1() -> None:
    # RFC 7616 3.4.2: worked out with md5sum
    assert answer_7616("MD5-sess").get("response") == "e783283f46242139c486a698fec7211d"


@pytest.mark.parametrize("change", [{"qop": "auth-int"}, {"algorithm": "NONE"}, {"response": ""}, {"nonce": "x"}])
def test_what_does_not_verify(change: dict[str, str]) -> None:
    credentials = answer_7616("MD5")
    assert not verify(Challenge("Digest", credentials.params | change), method="GET", password=b"Circle of Life")
    assert not verify(credentials, method="GET")


# AKA: RFC 3310 --------------------------------------------------------------------------------------------------------


def test_aka_takes_rand_and_autn_out_of_the_nonce() -> None:
    assert is_aka(AKA)
    assert not is_aka(RFC_2617)
    assert aka_nonce(AKA) == (RAND, AUTN)
    longer = base64.b64encode(RAND + AUTN + b"server").decode().rstrip("=")
    assert aka_nonce(Challenge("Digest", {"nonce": longer})) == (RAND, AUTN)


@pytest.mark.parametrize("nonce", ["", "AAAA", "§" * 44, "*" * 44, base64.b64encode(bytes(31)).decode()])
def test_a_nonce_that_is_too_short_or_no_base64(nonce: str) -> None:
    with pytest.raises(ParseError):
        aka_nonce(Challenge("Digest", {"nonce": nonce}))


def test_aka_digest_takes_res_for_the_password() -> None:
    credentials = answer_aka()
    assert credentials.get("response") == "402ab8df9f3a4d63a9f47c2f90e02938"  # worked out with md5sum
    assert credentials.get("algorithm") == "AKAv1-MD5"
    assert credentials.get("opaque") == "o"
    assert verify(credentials, method="REGISTER", password=RES)


def test_a_zero_octet_in_res_counts_in_full() -> None:
    whole, cut = (
        authorize(AKA, method="REGISTER", uri="sip:x", username="u", password=res, cnonce="1")
        for res in (b"\x01\x00\x02\x03", b"\x01")
    )
    assert whole != cut
    assert verify(Challenge.parse(whole), method="REGISTER", password=b"\x01\x00\x02\x03")


def test_resynchronisation_has_auts_and_an_empty_password() -> None:
    # RFC 3310 3.4
    credentials = answer_aka(auts=bytes(range(14)))
    assert base64.b64decode(credentials.get("auts")) == bytes(range(14))
    assert credentials.get("response") == "da492ad7b08bb89514f214f8c2fdb82b"  # worked out with md5sum
    assert verify(credentials, method="REGISTER", password=b"")


def test_a_refusal_has_an_empty_response() -> None:
    # TS 24.229 5.1.1.5.3: the MAC was wrong
    credentials = answer_aka(is_refusal=True)
    assert credentials.params["response"] == ""
    assert "auts" not in credentials.params


def test_the_first_register_proves_nothing_yet() -> None:
    # TS 24.229 5.1.1.2.2
    text = first_authorization("u@r", "r", "sip:r")
    assert text == 'Digest username="u@r", realm="r", nonce="", uri="sip:r", response=""'
    assert first_authorization("u@r", "r", "sip:r", "AKAv1-MD5").endswith("algorithm=AKAv1-MD5")


# Choosing: RFC 7616 3.7 -----------------------------------------------------------------------------------------------


def test_the_first_that_we_can_answer() -> None:
    basic, unknown, strange, plain = (
        Challenge.parse(text)
        for text in ('Basic realm="a"', "Digest algorithm=SHA-3", 'Digest qop="auth-conf"', "Digest nonce=1")
    )
    assert choose([basic, unknown, strange, plain, RFC_2617], want_aka=False) is plain
    assert choose([AKA, RFC_2617], want_aka=False) is RFC_2617
    assert choose([RFC_2617, AKA], want_aka=True) is AKA
    assert choose([basic, unknown], want_aka=False) is None
    assert choose([], want_aka=True) is None
    assert algorithm_of(plain) == "MD5"


@given(st.dictionaries(st.sampled_from(["algorithm", "qop", "nonce", "response", "uri", "nc"]), st.text()), st.text())
def test_any_credentials_are_verified_without_an_exception(params: dict[str, str], method: str) -> None:
    assert not verify(Challenge("Digest", params), method=method, password=b"x")


# AKAv2 and auth-int --------------------------------------------------------------------------------------------------


def test_the_password_of_akav2_needs_the_keys_too() -> None:
    """RFC 4169 3, worked out with RFC 2104's HMAC of the standard library."""
    res, ck, ik = b"\x00RES\xff678", bytes(range(16)), bytes(range(16, 32))
    assert aka_password("AKAv1-MD5", res, ck, ik) == res
    for algorithm, function in (("AKAv2-MD5", "md5"), ("akav2-sha-256", "sha256")):
        digest = hmac.new(res + ik + ck, b"http-digest-akav2-password", function).digest()
        assert aka_password(algorithm, res, ck, ik) == base64.b64encode(digest)


@pytest.mark.parametrize("algorithm", ["AKAv1-MD5", "AKAv1-SHA-256", "AKAv2-MD5", "AKAv2-SHA-256", "MD5", "SHA-256"])
@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth-int,auth", ""])
def test_both_sides_agree_in_every_algorithm_and_quality(algorithm: str, qop: str) -> None:
    offered = f', qop="{qop}"' if qop else ""
    challenge = Challenge.parse(f'Digest realm="r", nonce="bm9uY2U=", opaque="o", algorithm={algorithm}{offered}')
    assert choose([challenge], want_aka=is_aka(challenge)) is challenge
    text = authorize(
        challenge, method="REGISTER", uri="sip:r", username="me", password=b"\x00pw", cnonce="c", body=b"body"
    )
    sent = Challenge.parse(text)
    assert sent.get("qop") == ("auth" if "auth" in qop.split(",") else qop)
    assert sent.get("opaque") == "o"
    assert verify(sent, method="REGISTER", password=b"\x00pw", body=b"body")
    assert not verify(sent, method="REGISTER", password=b"\x00pW", body=b"body")
    assert verify(sent, method="REGISTER", password=b"\x00pw", body=b"other") == (qop != "auth-int")


def test_auth_int_covers_the_body() -> None:
    """The formula of RFC 2617 3.2.2.3, worked out here."""
    challenge = Challenge.parse('Digest realm="r", nonce="n", qop="auth-int"')
    sent = Challenge.parse(
        authorize(challenge, method="PUT", uri="/x", username="u", password=b"p", cnonce="c", body=b"hello")
    )

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    ha1, ha2 = md5("u:r:p"), md5(f"PUT:/x:{md5('hello')}")
    assert sent.get("response") == md5(f"{ha1}:n:00000001:c:auth-int:{ha2}")
