"""ESP in transport mode (RFC 4303): what an IP packet carried is sealed, the IP header stays outside.

      SPI   sequence │ IV │ payload              padding  length  next header │ ICV
     └──── 8 ──────┘  0,8,16 └────────────── encrypted ─────────────────────┘  12, 16
     └──────────────────────── integrity ───────────────────────────────────┘

                     IV   ICV                                                        source
    hmac-md5-96       -   12   HMAC over all before the ICV                          RFC 2403
    hmac-sha-1-96     -   12   the same                                              RFC 2404
    aes-cbc          16    -   padded to the block                                   RFC 3602
    aes-gcm           8   16   nonce = salt ‖ IV, SPI and sequence are associated    RFC 4106
    aes-gmac          8   16   the same with everything associated, nothing hidden   RFC 4543

No randomness is needed: a GCM nonce must be new, and the sequence number is; a CBC IV must not be foreseen, and the
block cipher over the sequence number is not (NIST SP 800-38A, appendix C).
"""

from __future__ import annotations

import hmac
import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

from imsphone.ipsec.replay import ReplayWindow
from imsphone.ipsec.sa import Keys, Suite

HEAD = struct.Struct("!II")
_HASHES = {"hmac-md5-96": "md5", "hmac-sha-1-96": "sha1"}
_HMAC_BYTES = 12
_TAG_BYTES = 16
_BLOCK_BYTES = 16
_COUNTER_BYTES = 8
_LAST_SEQUENCE = (1 << 32) - 1


class Opened(NamedTuple):
    """What a packet held: the payload and the number of its protocol (17 is UDP)."""

    payload: bytes
    next_header: int
    sequence: int


class Sealer:
    """The sending end of one association; counts what it sends."""

    def __init__(self, spi: int, suite: Suite, keys: Keys) -> None:
        self.spi = spi
        self.sequence = 0
        self._transform = _transform(suite, keys)

    def seal(self, payload: bytes, next_header: int) -> bytes | None:
        """The next packet, None after the last one: the number must not come round (RFC 4303 3.3.3)."""
        if self.sequence == _LAST_SEQUENCE:
            return None
        self.sequence += 1
        pad = -(len(payload) + 2) % self._transform.align
        text = payload + bytes(range(1, pad + 1)) + bytes((pad, next_header))  # RFC 4303 2.4: 1, 2, 3, …
        return self._transform.seal(HEAD.pack(self.spi, self.sequence), self.sequence, text)


class Opener:
    """The receiving end of one association. `forged` and `replayed` count what did not come in."""

    def __init__(self, spi: int, suite: Suite, keys: Keys) -> None:
        self.spi = spi
        self.window = ReplayWindow()
        self.received = self.forged = self.replayed = 0
        self._transform = _transform(suite, keys)

    def open(self, packet: bytes) -> Opened | None:
        """What the packet held, None where it is forged, replayed or no ESP of this association."""
        if len(packet) < HEAD.size:
            return None
        spi, sequence = HEAD.unpack_from(packet)
        if spi != self.spi:
            return None
        if not self.window.admits(sequence):
            self.replayed += 1
            return None
        text = self._transform.open(packet)
        if text is None:
            self.forged += 1
            return None
        self.window.mark(sequence)
        pad, next_header = text[-2:]
        end = len(text) - 2 - pad
        if end < 0 or text[end:-2] != bytes(range(1, pad + 1)):
            self.forged += 1
            return None
        self.received += 1
        return Opened(text[:end], next_header, sequence)


class _Hmac:
    """HMAC over a text in the clear or under AES-CBC: encrypt, then prove."""

    def __init__(self, suite: Suite, keys: Keys) -> None:
        self._hash = _HASHES[suite.alg]
        self._key = keys.integrity
        self._aes = AES(keys.encryption) if suite.ealg == "aes-cbc" else None
        self.align = _BLOCK_BYTES if self._aes else 4

    def seal(self, head: bytes, sequence: int, text: bytes) -> bytes:
        if self._aes:
            iv = Cipher(self._aes, ECB()).encryptor().update(sequence.to_bytes(_BLOCK_BYTES, "big"))
            text = iv + Cipher(self._aes, CBC(iv)).encryptor().update(text)
        return head + text + self._proof(head + text)

    def open(self, packet: bytes) -> bytes | None:
        covered, proof = packet[:-_HMAC_BYTES], packet[-_HMAC_BYTES:]
        body = covered[HEAD.size :]
        least = _BLOCK_BYTES * 2 if self._aes else 4
        if len(body) < least or len(body) % self.align or not hmac.compare_digest(proof, self._proof(covered)):
            return None
        if not self._aes:
            return body
        return Cipher(self._aes, CBC(body[:_BLOCK_BYTES])).decryptor().update(body[_BLOCK_BYTES:])

    def _proof(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, self._hash)[:_HMAC_BYTES]


class _Gcm:
    """AES in Galois/Counter Mode: hiding the text (GCM), or only proving it (GMAC)."""

    align = 4

    def __init__(self, suite: Suite, keys: Keys) -> None:
        self._hides = suite.ealg == "aes-gcm"
        self._aead = AESGCM(keys.encryption if self._hides else keys.integrity)
        self._salt = keys.salt

    def seal(self, head: bytes, sequence: int, text: bytes) -> bytes:
        iv = sequence.to_bytes(_COUNTER_BYTES, "big")
        if self._hides:
            return head + iv + self._aead.encrypt(self._salt + iv, text, head)
        return head + iv + text + self._aead.encrypt(self._salt + iv, b"", head + iv + text)  # RFC 4543 3.3

    def open(self, packet: bytes) -> bytes | None:
        head, iv, rest = packet[: HEAD.size], packet[HEAD.size : HEAD.size + 8], packet[HEAD.size + 8 :]
        if len(rest) < _TAG_BYTES + 4:
            return None
        try:
            if self._hides:
                return self._aead.decrypt(self._salt + iv, rest, head)
            text, tag = rest[:-_TAG_BYTES], rest[-_TAG_BYTES:]
            self._aead.decrypt(self._salt + iv, tag, head + iv + text)
        except InvalidTag:
            return None
        return text


def _transform(suite: Suite, keys: Keys) -> _Hmac | _Gcm:
    return _Hmac(suite, keys) if suite.alg in _HASHES else _Gcm(suite, keys)
