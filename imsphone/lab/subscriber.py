"""What the home network knows of one subscriber: who he is, how he proves it, and who serves him.

    private identity (IMPI) ──┬── public identity (IMPU), the default one
      algorithms or H(A1)     ├── public identity              one implicit set: registering one registers all
      SQN, S-CSCF, state      └── public identity, barred      (TS 23.228 5.2.1a)

An IMPU is stored and compared in its canonical form: `sip:user@host` without port and parameters, `tel:` without
separators (TS 23.003 13.4, TS 29.228 6.4 asks the CSCFs for the same).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal
from xml.etree import ElementTree

from imsphone.errors import ParseError
from imsphone.sip.uri import Uri
from imsphone.usim.aka import Algorithms
from imsphone.usim.isim import IND_BITS

DigestAlgorithm = Literal["MD5", "SHA-256"]


def canonical_impu(uri: Uri) -> str:
    """The form of a public identity in which it is stored and compared.

    A SIP URI that is a telephone number (`user=phone`, number with +) stands for its tel: URI (TS 24.229 5.3.2.1).
    """
    if uri.scheme == "sip" and uri.params.get("user") == "phone" and uri.user.startswith("+"):
        uri = Uri("tel", uri.user.partition(";")[0])
    return str(uri.bare()._replace(port=None))


def impi_of(impu: Uri) -> str:
    """The private identity that a public one stands for where none is given (TS 24.229 5.4.1.2.1)."""
    bare = impu.bare()._replace(port=None)
    return str(bare).partition(":")[2]


@dataclass(slots=True)
class Subscriber:
    """One subscription. `impus` hold canonical forms, the default identity first; `barred` are some of them.

    He has either `algorithms` (IMS AKA) or `ha1`, the hexadecimal H(A1) of `algorithm` (SIP Digest). `sqn` is the
    highest SQN given out (48 bits), `server_name` the S-CSCF that serves him, the empty string where none does,
    `server_host` its Diameter identity.
    """

    impi: str
    impus: tuple[str, ...]
    barred: frozenset[str] = frozenset()
    algorithms: Algorithms | None = field(default=None, repr=False)
    ha1: str = field(default="", repr=False)
    algorithm: DigestAlgorithm = "MD5"
    amf: bytes = b"\x80\x00"
    sqn: int = 0
    server_name: str = ""
    server_host: str = ""
    is_registered: bool = False
    has_unregistered_services: bool = False
    may_roam: bool = True

    @classmethod
    def with_aka(
        cls, impi: str, impus: tuple[str, ...], algorithms: Algorithms, barred: frozenset[str] = frozenset()
    ) -> Subscriber:
        """A subscriber with a SIM that computes `algorithms`."""
        return cls(impi, impus, barred, algorithms=algorithms)

    @classmethod
    def with_password(
        cls, impi: str, impus: tuple[str, ...], password: str, realm: str, algorithm: DigestAlgorithm = "MD5"
    ) -> Subscriber:
        """A subscriber with a password; only H(A1) is kept (RFC 7616 3.4.2)."""
        digest = hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5
        return cls(impi, impus, ha1=digest(f"{impi}:{realm}:{password}".encode()).hexdigest(), algorithm=algorithm)

    def next_sqn(self) -> int:
        """The SQN of the next vector: SEQ and IND both one further (TS 33.102 C.1.1.1, C.1.2)."""
        seq = (self.sqn >> IND_BITS) + 1
        index = (self.sqn + 1) % (1 << IND_BITS)
        self.sqn = (seq << IND_BITS | index) & (1 << 48) - 1
        return self.sqn

    def profile(self) -> bytes:
        """The user profile of a SAA (TS 29.228 Annex B and E), XML in UTF-8."""
        root = ElementTree.Element("IMSSubscription")
        ElementTree.SubElement(root, "PrivateID").text = self.impi
        service = ElementTree.SubElement(root, "ServiceProfile")
        for impu in self.impus:
            identity = ElementTree.SubElement(service, "PublicIdentity")
            if impu in self.barred:
                ElementTree.SubElement(identity, "BarringIndication").text = "1"
            ElementTree.SubElement(identity, "Identity").text = impu
        return b'<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(root, encoding="unicode").encode()


@dataclass(frozen=True, slots=True)
class Profile:
    """The same profile as the S-CSCF reads it: the implicit set in its order, and which of it is barred."""

    impi: str
    impus: tuple[str, ...]
    barred: frozenset[str]

    @classmethod
    def parse(cls, data: bytes) -> Profile:
        """Read the XML of User-Data. Raises ParseError."""
        try:
            root = ElementTree.fromstring(data)
        except ElementTree.ParseError as error:
            raise ParseError(f"an IMSSubscription in XML ({error})") from None
        impus = []
        barred = set()
        for identity in root.iterfind("ServiceProfile/PublicIdentity"):
            impu = (identity.findtext("Identity") or "").strip()
            impus.append(impu)
            if (identity.findtext("BarringIndication") or "").strip() in ("1", "true"):
                barred.add(impu)
        if not impus:
            raise ParseError("a PublicIdentity in the user profile")
        return cls((root.findtext("PrivateID") or "").strip(), tuple(impus), frozenset(barred))

    @property
    def default(self) -> str | None:
        """The default public identity: the first that is not barred (TS 24.229 5.4.1.2.2F)."""
        return next((impu for impu in self.impus if impu not in self.barred), None)
