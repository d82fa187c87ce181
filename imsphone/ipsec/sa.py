"""Security associations between a phone and its P-CSCF: four of them, two each way (TS 33.203 7.1).

            phone                                    P-CSCF
      client port_uc ──── spi_ps ────────────▶ port_ps server     what the phone asks (UDP: and answers)
                     ◀─── spi_uc ─────────────                    answers over TCP
      server port_us ◀─── spi_us ───────────── port_pc client     what the P-CSCF asks (UDP: and answers)
                     ──── spi_pc ────────────▶                    answers over TCP

Each side chooses its two SPIs and two ports and says them in Security-Client and Security-Server; all four
associations share one pair of keys, CK and IK as AKA left them in the SIM and in the network (annex I):

    hmac-md5-96     IK                       aes-cbc    CK, the IV goes with each packet
    hmac-sha-1-96   IK ‖ 4 zero octets       aes-gcm    CK, salt = KDF(CK ‖ IK, 59, "AES_GCM_SALT")
    aes-gmac        IK, salt = KDF(CK ‖ IK, 58, "AES_GMAC_SALT")
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from imsphone.machine import Address

LEAST_SPI = 256  # RFC 4303 2.1: 1 to 255 are reserved, 0 is for local use
_SALT_BYTES = 4


class Suite(NamedTuple):
    """An integrity and an encryption algorithm, named as in Security-Client (TS 33.203 annex H)."""

    alg: str
    ealg: str

    def __str__(self) -> str:
        return f"{self.alg}/{self.ealg}"


SUITES = (
    Suite("hmac-sha-1-96", "aes-cbc"),
    Suite("hmac-md5-96", "aes-cbc"),
    Suite("hmac-sha-1-96", "null"),
    Suite("hmac-md5-96", "null"),
    Suite("null", "aes-gcm"),
    Suite("aes-gmac", "null"),
)
"""What can be done here: first what every P-CSCF knows, for some read no further than the first line."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a suite works with; empty where it needs none. Never printed, never pickled."""

    integrity: bytes = field(repr=False)
    encryption: bytes = field(repr=False)
    salt: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, suite: Suite, ck: bytes, ik: bytes) -> Keys:
        """The keys of a suite out of CK and IK, 16 octets each (TS 33.203 annex I)."""
        match suite:
            case Suite("null", "aes-gcm"):
                return cls(b"", ck, _salt(0x59, b"AES_GCM_SALT", ck, ik))
            case Suite("aes-gmac", "null"):
                return cls(ik, b"", _salt(0x58, b"AES_GMAC_SALT", ck, ik))
        integrity = ik + bytes(4) if suite.alg == "hmac-sha-1-96" else ik
        return cls(integrity, ck if suite.ealg == "aes-cbc" else b"")

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("the keys of a security association are not pickled")


def _salt(fc: int, name: bytes, ck: bytes, ik: bytes) -> bytes:
    """The key derivation function of TS 33.220 B.2 with one parameter, its 32 least significant bits."""
    text = bytes([fc]) + name + len(name).to_bytes(2, "big")
    return hmac.digest(ck + ik, text, hashlib.sha256)[-_SALT_BYTES:]


class Ends(NamedTuple):
    """What one side says of itself: the SPIs by which it wants to be sent to, and its protected ports."""

    spi_c: int
    spi_s: int
    port_c: int
    port_s: int


class Association(NamedTuple):
    """One direction: packets with this SPI carry messages from `source` to `target` and from nowhere else."""

    spi: int
    source: Address
    target: Address


@dataclass(frozen=True, slots=True)
class Associations:
    """One set of four, as one side has it: `own` and `peer` are what each said of itself."""

    suite: Suite
    own_host: str
    peer_host: str
    own: Ends
    peer: Ends
    keys: Keys = field(repr=False)

    @property
    def inbound(self) -> tuple[Association, Association]:
        """What comes in: to our client port, to our server port. The SPIs are our own."""
        return (
            Association(self.own.spi_c, self.peer_server, self.own_client),
            Association(self.own.spi_s, self.peer_client, self.own_server),
        )

    @property
    def outbound(self) -> tuple[Association, Association]:
        """What goes out: from our client port, from our server port. The SPIs are the peer's."""
        return (
            Association(self.peer.spi_s, self.own_client, self.peer_server),
            Association(self.peer.spi_c, self.own_server, self.peer_client),
        )

    @property
    def own_client(self) -> Address:
        return Address(self.own_host, self.own.port_c)

    @property
    def own_server(self) -> Address:
        return Address(self.own_host, self.own.port_s)

    @property
    def peer_client(self) -> Address:
        return Address(self.peer_host, self.peer.port_c)

    @property
    def peer_server(self) -> Address:
        return Address(self.peer_host, self.peer.port_s)


# Questions to the world ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Protect:
    """From now on what passes between these ports is inside ESP.

    Answer: the transports that can go there, UDP always and TCP where this host can; None where nothing can be had.
    """

    associations: Associations


@dataclass(frozen=True, slots=True)
class Inspect:
    """What has passed these so far, and what has not? Answer: `imsphone.ipsec.shield.Passed`."""

    associations: Associations


@dataclass(frozen=True, slots=True)
class Prolong:
    """These associations are good until then, on the asker's clock, should nobody release them. Answer: True."""

    associations: Associations
    until: float


@dataclass(frozen=True, slots=True)
class Release:
    """These associations have served their time; their packets are dropped from now on. Answer: True."""

    associations: Associations
