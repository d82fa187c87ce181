"""An authority of one's own, for a network on one's own machine: it signs certificates that are good for a month.

authority = Authority.new("imsphone lab")     authority.certificate: what phones are told to trust (tls_ca)
certificate, key = authority.sign("pcscf.ims.example", ...)

`certified` does both and puts the files where phones and the server find them.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from imsphone.net.addresses import family_of
from imsphone.net.tls import Tls, server_context

_VALID = datetime.timedelta(days=30)
_SLACK = datetime.timedelta(minutes=5)  # clocks differ


@dataclass(frozen=True, slots=True)
class Authority:
    """`certificate` is PEM; the key stays here."""

    certificate: bytes
    _own: x509.Certificate
    _key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, name: str) -> Authority:
        """One that nobody has heard of yet."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            **dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False),
            encipher_only=False,
            decipher_only=False,
        )
        subject = _named(name)
        own = (
            _begun(subject, subject, key, datetime.datetime.now(datetime.UTC))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(own.public_bytes(serialization.Encoding.PEM), own, key)

    def sign(self, *names: str, since: datetime.datetime | None = None) -> tuple[bytes, bytes]:
        """A certificate for `names` (domains, "sip:" URIs, IP addresses) and its key, both PEM.

        It is good for 30 days, from `since` where that is not now.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _begun(_named(names[0]), self._own.subject, key, since or datetime.datetime.now(datetime.UTC))
            .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM), private


def certified(folder: Path, *names: str) -> Tls:
    """A new authority and a server of these names: `folder` gets ca.pem, server.pem and server.key. Raises OSError."""
    authority = Authority.new("imsphone lab")
    certificate, key = authority.sign(*names)
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "server.pem").write_bytes(certificate)
    put_key(folder / "server.key", key)
    return Tls(server=server_context(folder / "server.pem", folder / "server.key"))


def put_key(path: Path, key: bytes) -> None:
    """Writes a key so that only its owner can read it. Raises OSError."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, since: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since - _SLACK)
        .not_valid_after(since + _VALID)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _alternative(name: str) -> x509.GeneralName:
    if family_of(name) is not None:
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.UniformResourceIdentifier(name) if ":" in name else x509.DNSName(name)
