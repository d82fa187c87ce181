"""Digest authentication, both sides: RFC 7616 (MD5, SHA-256), and AKA on top of it (RFC 3310, RFC 4169).

    response = H( H(A1) : nonce : nc : cnonce : qop : H(A2) )        qop auth or auth-int
    response = H( H(A1) : nonce : H(A2) )                            no qop (RFC 2069)
    A1 = username : realm : password          A2 = method : uri      auth-int: and : H(body)

With AKA the nonce is base64 of RAND‖AUTN (and maybe the server's own data). AKAv1's password is RES: octets, not text,
so that a RES that holds 0x00 counts in full (RFC 3310 3.3). AKAv2's is base64 of PRF(RES‖IK‖CK, "http-digest-akav2-
password"), PRF being HMAC with the hash of the algorithm, so that who knows RES alone cannot answer (RFC 4169 3).
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
    "AKAV1-SHA-256": ("sha256", False),
    "AKAV2-MD5": ("md5", False),
    "AKAV2-SHA-256": ("sha256", False),
}
_AKA_V2_PASSWORD = b"http-digest-akav2-password"


def algorithm_of(challenge: Challenge) -> str:
    """The algorithm in upper case; MD5 where none is named (RFC 7616 3.3)."""
    return (challenge.get("algorithm") or "MD5").upper()


def is_aka(challenge: Challenge) -> bool:
    """Whether the challenge is one for the SIM."""
    return algorithm_of(challenge).startswith("AKAV")


def choose(challenges: Iterable[Challenge], *, want_aka: bool) -> Challenge | None:
    """The first challenge that we can answer (RFC 7616 3.7): AKA for a SIM, the others for a password."""
    for challenge in challenges:
        if challenge.scheme.lower() != "digest" or algorithm_of(challenge) not in _ALGORITHMS:
            continue
        if is_aka(challenge) == want_aka and (not challenge.get("qop") or _qop(challenge)):
            return challenge
    return None


def aka_password(algorithm: str, res: bytes, ck: bytes, ik: bytes) -> bytes:
    """The password that AKA makes: RES with AKAv1, with AKAv2 one that needs the keys too (RFC 4169 3)."""
    if not algorithm.upper().startswith("AKAV2"):
        return res
    function = _ALGORITHMS[algorithm.upper()][0]
    return base64.b64encode(hmac.new(res + ik + ck, _AKA_V2_PASSWORD, function).digest())


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


def _qop(challenge: Challenge) -> str:
    """The quality of protection to take of those offered: auth before auth-int, the empty string where neither is."""
    offered = [qop.strip().lower() for qop in challenge.get("qop").split(",")]
    return next((qop for qop in ("auth", "auth-int") if qop in offered), "")


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
    body: bytes = b"",
) -> str:
    """The Authorization value that answers `challenge`; `body` is the request's, for qop auth-int.

    `password` is the secret's octets, `aka_password` for AKA. With `auts` (14 octets) it asks for resynchronisation,
    the response being over an empty password (RFC 3310 3.4); with `is_refusal` the response is empty: the network's MAC
    was wrong (TS 24.229 5.1.1.5.3).
    """
    params = {"username": username, "realm": challenge.get("realm"), "nonce": challenge.get("nonce"), "uri": uri}
    if challenge.get("algorithm"):
        params["algorithm"] = challenge.get("algorithm")
    if challenge.get("opaque"):
        params["opaque"] = challenge.get("opaque")
    if challenge.get("qop"):
        params |= {"qop": _qop(challenge), "nc": f"{nc:08x}", "cnonce": cnonce}
    if auts is not None:
        params["auts"] = base64.b64encode(auts).decode()
        password = b""
    if is_refusal:
        params["response"] = ""
    else:
        algorithm = algorithm_of(challenge)
        params["response"] = _response(params, method, a1(params, password, algorithm), algorithm, body)
    return Challenge("Digest", params).print(bare=frozenset(("qop",)))


def a1(params: dict[str, str], password: bytes, algorithm: str) -> str:
    """H(username:realm:password) in hexadecimal: what a server may keep instead of a password."""
    function = _ALGORITHMS[algorithm][0]
    text = f"{params.get('username', '')}:{params.get('realm', '')}:".encode("utf-8", "surrogateescape")
    return hashlib.new(function, text + password, usedforsecurity=False).hexdigest()


def verify(
    credentials: Challenge, *, method: str, password: bytes | None = None, ha1: str | None = None, body: bytes = b""
) -> bool:
    """Whether the response in an Authorization fits the password, or the kept H(A1). Any credentials, no exception."""
    algorithm = algorithm_of(credentials)
    if algorithm not in _ALGORITHMS or (credentials.get("qop") or "auth") not in ("auth", "auth-int"):
        return False
    secret = a1(credentials.params, password, algorithm) if password is not None else ha1
    if secret is None:
        return False
    expected = _response(credentials.params, method, secret, algorithm, body)
    given = credentials.get("response").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(expected.encode(), given)


def _response(params: dict[str, str], method: str, ha1: str, algorithm: str, body: bytes) -> str:
    function, is_session = _ALGORITHMS[algorithm]

    def digest(text: str) -> str:
        return hashlib.new(function, text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()

    def tail() -> str:
        return f":{hashlib.new(function, body, usedforsecurity=False).hexdigest()}" if qop == "auth-int" else ""

    nonce, qop = params.get("nonce", ""), params.get("qop", "")
    if is_session:
        ha1 = digest(f"{ha1}:{nonce}:{params.get('cnonce', '')}")
    ha2 = digest(f"{method}:{params.get('uri', '')}{tail()}")
    if not qop:
        return digest(f"{ha1}:{nonce}:{ha2}")  # RFC 2069
    return digest(f"{ha1}:{nonce}:{params.get('nc', '')}:{params.get('cnonce', '')}:{qop}:{ha2}")
