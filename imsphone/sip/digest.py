"""Digest authentication, both sides: RFC 7616 (MD5, SHA-256), and AKA on top of it (RFC 3310 AKAv1-MD5).

    response = H( H(A1) : nonce : nc : cnonce : qop : H(A2) )        qop auth
    A1 = username : realm : password          A2 = method : uri

With AKA the nonce is base64 of RAND‖AUTN (and maybe the server's own data), and the password is RES: octets, not text,
so that a RES that holds 0x00 counts in full (RFC 3310 3.3).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from imsphone.errors import ParseError
from imsphone.sip.fields import Challenge

# algorithm → hash function, whether A1 is the session's
_ALGORITHMS = {
    "MD5": ("md5", False),
    "MD5-SESS": ("md5", True),
    "SHA-256": ("sha256", False),
    "SHA-256-SESS": ("sha256", True),
    "AKAV1-MD5": ("md5", False),
}
_AKA = frozenset(("AKAV1-MD5",))


def algorithm_of(challenge: Challenge) -> str:
    """The algorithm in upper case; MD5 where none is named (RFC 7616 3.3)."""
    return (challenge.get("algorithm") or "MD5").upper()


def is_aka(challenge: Challenge) -> bool:
    """Whether the challenge is one for the SIM."""
    return algorithm_of(challenge) in _AKA


def choose(challenges: Iterable[Challenge], *, want_aka: bool) -> Challenge | None:
    """The first challenge that we can answer (RFC 7616 3.7): AKA for a SIM, the others for a password."""
    for challenge in challenges:
        if challenge.scheme.lower() != "digest" or algorithm_of(challenge) not in _ALGORITHMS:
            continue
        if is_aka(challenge) == want_aka and (not challenge.get("qop") or "auth" in _qops(challenge)):
            return challenge
    return None


def aka_nonce(challenge: Challenge) -> tuple[bytes, bytes]:
    """RAND and AUTN, 16 octets each, out of the nonce (RFC 3310 3.2). Raises ParseError."""
    nonce = challenge.get("nonce")
    try:
        data = base64.b64decode(nonce + "=" * (-len(nonce) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ParseError("a base64 nonce") from None
    if len(data) < 32:
        raise ParseError("a nonce of at least 32 octets: RAND and AUTN")
    return data[:16], data[16:32]


def _qops(challenge: Challenge) -> list[str]:
    return [qop.strip().lower() for qop in challenge.get("qop").split(",")]


def first_authorization(username: str, realm: str, uri: str, algorithm: str | None = None) -> str:
    """The Authorization of a first REGISTER: who asks, and nothing proven yet (TS 24.229 5.1.1.2.2 a).

    Empty nonce and response, as the clause asks of IMS AKA.
    """
    params = {"username": username, "realm": realm, "nonce": "", "uri": uri, "response": ""}
    if algorithm is not None:
        params["algorithm"] = algorithm
    return str(Challenge("Digest", params))


def authorize(
    challenge: Challenge,
    *,
    method: str,
    uri: str,
    username: str,
    password: bytes,
    cnonce: str,
    nc: int = 1,
    auts: bytes | None = None,
    is_refusal: bool = False,
) -> str:
    """The Authorization value that answers `challenge`.

    `password` is the secret's octets, RES for AKA. With `auts` (14 octets) it asks for resynchronisation, the response
    being over an empty password (RFC 3310 3.4); with `is_refusal` the response is empty: the network's MAC was wrong
    (TS 24.229 5.1.1.5.3).
    """
    params = {"username": username, "realm": challenge.get("realm"), "nonce": challenge.get("nonce"), "uri": uri}
    if challenge.get("algorithm"):
        params["algorithm"] = challenge.get("algorithm")
    if challenge.get("opaque"):
        params["opaque"] = challenge.get("opaque")
    if challenge.get("qop"):
        params |= {"qop": "auth", "nc": f"{nc:08x}", "cnonce": cnonce}
    if auts is not None:
        params["auts"] = base64.b64encode(auts).decode()
        password = b""
    if is_refusal:
        params["response"] = ""
    else:
        params["response"] = _response(
            params, method, a1(params, password, algorithm_of(challenge)), algorithm_of(challenge)
        )
    return Challenge("Digest", params).print(bare=frozenset(("qop",)))


def a1(params: dict[str, str], password: bytes, algorithm: str) -> str:
    """H(username:realm:password) in hexadecimal: what a server may keep instead of a password."""
    function = _ALGORITHMS[algorithm][0]
    text = f"{params.get('username', '')}:{params.get('realm', '')}:".encode("utf-8", "surrogateescape")
    return hashlib.new(function, text + password, usedforsecurity=False).hexdigest()


def verify(credentials: Challenge, *, method: str, password: bytes | None = None, ha1: str | None = None) -> bool:
    """Whether the response in an Authorization fits the password, or the kept H(A1). Any credentials, no exception."""
    algorithm = algorithm_of(credentials)
    if algorithm not in _ALGORITHMS or (credentials.get("qop") or "auth") != "auth":
        return False
    secret = a1(credentials.params, password, algorithm) if password is not None else ha1
    if secret is None:
        return False
    expected = _response(credentials.params, method, secret, algorithm)
    given = credentials.get("response").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(expected.encode(), given)


def _response(params: dict[str, str], method: str, ha1: str, algorithm: str) -> str:
    function, is_session = _ALGORITHMS[algorithm]

    def digest(text: str) -> str:
        return hashlib.new(function, text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()

    nonce, qop = params.get("nonce", ""), params.get("qop", "")
    if is_session:
        ha1 = digest(f"{ha1}:{nonce}:{params.get('cnonce', '')}")
    ha2 = digest(f"{method}:{params.get('uri', '')}")
    if not qop:
        return digest(f"{ha1}:{nonce}:{ha2}")  # RFC 2069
    return digest(f"{ha1}:{nonce}:{params.get('nc', '')}:{params.get('cnonce', '')}:{qop}:{ha2}")
