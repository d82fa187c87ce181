"""A proof that the S-CSCF waits for (TS 24.229 5.4.1.2): what it asked, and what it makes of the answer.

    MAA ──▶ Authentication ──▶ 401 nonce ··· REGISTER ──▶ right    200
                    │                                  ──▶ wrong    403
                    │                                  ──▶ refused  the phone did not believe us: ask once more
                    └── reg-await-auth: 4 minutes      ──▶ resync   AUTS: tell the HSS, ask once more

One for each private identity and Call-ID, since the answer must come with the Call-ID of the challenge (5.4.1.2.2).
XRES (or what AKAv2 makes of it) and H(A1) live here and nowhere else in the S-CSCF; CK and IK only pass through the
401 to the P-CSCF.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final, Literal

from imsphone.lab import cx
from imsphone.lab.alarms import Alarms
from imsphone.lab.diameter import Message
from imsphone.machine import Ids
from imsphone.sip.digest import aka_password, algorithm_of, verify
from imsphone.sip.fields import Challenge

REG_AWAIT_AUTH_S: Final = 240.0  # TS 24.229 table 7.8.1
MOST_REFUSALS: Final = 2  # TS 24.229 5.4.1.2.3A: two challenges in a row may fail
_AUTS_BYTES: Final = 14

Verdict = Literal["right", "wrong", "refused", "resync"]


@dataclass(frozen=True, slots=True)
class Manner:
    """How the network words an AKA challenge, within what RFC 3310, RFC 4169 and RFC 7616 leave open.

    `qop` is a list or empty for none; `server_data` follows RAND and AUTN in the nonce; without `is_padded` the nonce
    lacks its "="; `before` are challenges of other kinds, header values, which stand in front.
    """

    algorithm: str = "AKAv1-MD5"
    qop: str = "auth"
    server_data: bytes = b""
    is_padded: bool = True
    before: tuple[str, ...] = ()

    def nonce(self, challenge: bytes) -> str:
        """The nonce for RAND and AUTN (RFC 3310 3.2)."""
        text = base64.b64encode(challenge + self.server_data).decode()
        return text if self.is_padded else text.rstrip("=")


@dataclass(slots=True)
class Authentication:
    """One challenge and what is expected back. `refusals` counts those before it that the phone did not take."""

    impi: str
    impu: str
    call_id: str
    algorithm: str
    nonce: str
    opaque: str
    expires_at: float
    refusals: int = 0
    rand: bytes = b""
    password: bytes | None = field(default=None, repr=False)
    ha1: str | None = field(default=None, repr=False)
    last_nc: int = 0
    is_proven: bool = False
    manner: Manner = field(default_factory=Manner)

    @classmethod
    def of(
        cls,
        answer: Message,
        impi: str,
        impu: str,
        call_id: str,
        now: float,
        ids: Ids,
        manner: Manner = Manner(),
    ) -> Authentication | None:
        """What a MAA (result success) gives to ask with; None where it holds nothing that we can use."""
        item = answer.avps.group(cx.SIP_AUTH_DATA_ITEM, cx.VENDOR_3GPP)
        opaque = ids.tag()
        until = now + REG_AWAIT_AUTH_S
        challenge = item.get(cx.SIP_AUTHENTICATE, cx.VENDOR_3GPP)
        xres = item.get(cx.SIP_AUTHORIZATION, cx.VENDOR_3GPP)
        if challenge is not None and xres is not None:
            manner = manner or Manner()
            keys = (item.get(code, cx.VENDOR_3GPP) or b"" for code in (cx.CONFIDENTIALITY_KEY, cx.INTEGRITY_KEY))
            made = cls(impi, impu, call_id, manner.algorithm, manner.nonce(challenge), opaque, until, manner=manner)
            made.rand, made.password = challenge[:16], aka_password(manner.algorithm, xres, *keys)
            return made
        digest = item.group(cx.SIP_DIGEST_AUTHENTICATE, cx.VENDOR_3GPP)
        ha1 = digest.text(cx.DIGEST_HA1)
        if ha1 is None:
            return None
        algorithm = digest.text(cx.DIGEST_ALGORITHM) or "MD5"
        return cls(impi, impu, call_id, algorithm, ids.data(16).hex(), opaque, until, ha1=ha1)

    def www_authenticate(self, answer: Message, realm: str, *, is_stale: bool) -> list[str]:
        """The challenges for the 401, each a header of its own (5.4.1.2.1A, 5.4.1.2.1B).

        Ours bears CK and IK of the MAA for the P-CSCF.
        """
        params = {"realm": realm, "nonce": self.nonce, "opaque": self.opaque, "algorithm": self.algorithm}
        if self.manner.qop:
            params["qop"] = self.manner.qop
        if is_stale and self.password is None:
            params["stale"] = "true"
        item = answer.avps.group(cx.SIP_AUTH_DATA_ITEM, cx.VENDOR_3GPP)
        for name, code in (("ck", cx.CONFIDENTIALITY_KEY), ("ik", cx.INTEGRITY_KEY)):
            key = item.get(code, cx.VENDOR_3GPP)
            if key is not None:
                params[name] = key.hex()
        return [*self.manner.before, str(Challenge("Digest", params))]

    def judge(self, credentials: Challenge) -> Verdict:
        """What an answer to this very challenge (same nonce) is worth."""
        if self.password is not None and credentials.get("auts"):
            return "resync"
        if self.password is not None and not credentials.get("response"):
            return "refused"  # 5.4.1.2.3A: AUTN did not convince the phone
        if algorithm_of(credentials) != self.algorithm.upper() or credentials.get("username") != self.impi:
            return "wrong"
        if credentials.get("qop"):
            nc = _hexadecimal(credentials.get("nc"))
            if nc <= self.last_nc:  # RFC 7616 3.4: a replay
                return "wrong"
            self.last_nc = nc
        is_right = verify(credentials, method="REGISTER", password=self.password, ha1=self.ha1)
        return "right" if is_right else "wrong"

    def resynchronisation(self, credentials: Challenge) -> bytes | None:
        """RAND and AUTS for the HSS, None where AUTS is not 14 octets in base64 (RFC 3310 3.2)."""
        try:
            auts = base64.b64decode(credentials.get("auts"), validate=True)
        except (binascii.Error, ValueError):
            return None
        return self.rand + auts if len(auts) == _AUTS_BYTES else None


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


class Authentications:
    """All that wait for an answer, by private identity and Call-ID."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Authentication] = {}
        self._ends = Alarms[tuple[str, str]]()

    @property
    def deadline(self) -> float | None:
        """When the next reg-await-auth fires."""
        return self._ends.deadline

    def get(self, impi: str, call_id: str) -> Authentication | None:
        """The one that an answer with this Call-ID belongs to."""
        return self._waiting.get((impi, call_id))

    def keep(self, authentication: Authentication) -> None:
        """A 401 has left, or one that was answered is good for longer."""
        key = (authentication.impi, authentication.call_id)
        self._waiting[key] = authentication
        self._ends.set(key, authentication.expires_at)

    def drop(self, authentication: Authentication) -> None:
        """Its answer has come."""
        key = (authentication.impi, authentication.call_id)
        self._waiting.pop(key, None)
        self._ends.set(key, None)

    def end(self, now: float) -> list[Authentication]:
        """Those whose answer never came."""
        return [self._waiting.pop(key) for key in self._ends.due(now)]

    def __len__(self) -> int:
        return len(self._waiting)
