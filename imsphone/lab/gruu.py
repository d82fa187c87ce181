"""GRUUs as the S-CSCF gives them and reads them again (TS 24.229 5.4.7A, RFC 5627).

    public      sip:alice@realm;gr=urn:uuid:…      the device's instance-id is hashed: it may be an IMEI (RFC 7255)
    temporary   sip:tgruu.<sealed>@realm;gr        <sealed> = nonce, E(identity, device, Call-ID): nobody else reads it,
                                                   and nothing has to be remembered (RFC 5627 A.2)

A temporary one is another each time, and all of them stay good until the device registers with another Call-ID.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from imsphone.lab.registrar import Bound
from imsphone.lab.subscriber import canonical_impu
from imsphone.machine import Ids
from imsphone.sip.uri import Uri

INSTANCE = "+sip.instance"
_PREFIX = "tgruu."
_NONCE_BYTES = 12
_MARK_BYTES = 12


class Named(NamedTuple):
    """Whom a GRUU means: an identity on one device, with a temporary one in one series of REGISTERs."""

    impu: str
    device: str
    mark: bytes = b""


class Gruus:
    """The GRUUs of one S-CSCF; the same `ids` give the same ones after a restart."""

    def __init__(self, realm: str, ids: Ids) -> None:
        self._realm = realm
        self._ids = ids
        self._key = ids.data(16)
        self._cipher = AESGCM(ids.data(16))

    def of(self, impu: str, bound: Bound) -> tuple[str, str] | None:
        """The public and a temporary GRUU of this identity at this contact, None where there can be none."""
        if not impu.startswith("sip:") or INSTANCE not in bound.contact.params:
            return None
        nonce = self._ids.data(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, self._mark(bound) + impu.encode(), None)
        name = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        return f"{impu};gr={self._device(bound)}", f"sip:{_PREFIX}{name}@{self._realm};gr"

    def read(self, uri: Uri) -> Named | None:
        """Whom this GRUU means, None where it is none of ours."""
        device = uri.params.get("gr")
        if device:
            return Named(canonical_impu(uri), device)
        try:
            name = uri.user.removeprefix(_PREFIX)
            sealed = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4))
            opened = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (binascii.Error, ValueError, InvalidTag):
            return None
        return Named(opened[_MARK_BYTES:].decode(), "", opened[:_MARK_BYTES])

    def leads_to(self, named: Named, bound: Bound) -> bool:
        """Whether this contact is the one that is meant."""
        if INSTANCE not in bound.contact.params:
            return False
        return named.mark == self._mark(bound) if named.mark else named.device == self._device(bound)

    def _device(self, bound: Bound) -> str:
        text = self._digest(bound.contact.params[INSTANCE] or "", 16).hex()
        return f"urn:uuid:{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def _mark(self, bound: Bound) -> bytes:
        return self._digest(f"{bound.contact.params[INSTANCE]} {bound.call_id}", _MARK_BYTES)

    def _digest(self, text: str, n_bytes: int) -> bytes:
        data = text.encode("utf-8", "surrogateescape")
        return hashlib.blake2b(data, key=self._key, digest_size=n_bytes).digest()
