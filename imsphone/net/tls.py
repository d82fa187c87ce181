"""TLS without a socket: octets of the network on one side, octets of SIP on the other (RFC 3261 26.2, RFC 5922).

    read(network) ──▶ Session ──▶ (SIP, what goes back at once)        write(SIP) ──▶ what goes out
                         └─ over: `trouble` says why, in a sentence for a user

Whoever opens a connection checks the certificate: that an authority he knows has signed it, that it is valid now, and
that it is for the name that he looked up (RFC 5922 7): as URI:sip:NAME, as DNS:NAME where no sip: URI is there at all
or, where he has an address only, as that IP address. No wildcard matches (RFC 5922 7.2), and no common name.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path

from imsphone.errors import ParseError, ProfileError
from imsphone.machine import Address
from imsphone.profile import Profile
from imsphone.sip.uri import Uri

_READ_BYTES = 1 << 16
# X509_verify_cert_error_string(3): what is wrong with a certificate → what to do about it
_CERTIFICATE = {
    9: "is not valid yet: is the clock of this machine right?",
    10: "has expired: its operator has to renew it, unless the clock of this machine is wrong",
    18: "is signed by itself: name it by tls_ca in the profile, if that is whom you trust",
    19: "comes from an authority that this machine does not know: name that one's certificate by tls_ca in the profile",
    20: "comes from an authority that this machine does not know: name that one's certificate by tls_ca in the profile",
    21: "comes from an authority that this machine does not know: name that one's certificate by tls_ca in the profile",
}
_NO_TLS = 'does not speak TLS there: look at the port in `pcscf` (5061 is usual), or leave transport = "tls" out'
# What OpenSSL calls the trouble (a part of it is enough) → what it means
_TROUBLE = (
    ("CERTIFICATE_REQUIRED", "wants a certificate of this phone: name it by tls_cert and tls_key in the profile"),
    (
        "HANDSHAKE_FAILURE",
        "refuses TLS with this phone; it may want a certificate: tls_cert and tls_key in the profile",
    ),
    ("UNKNOWN_CA", "does not know the authority that signed the certificate of this phone (tls_cert)"),
    ("CERTIFICATE", "does not take the certificate of this phone (tls_cert)"),
    ("PROTOCOL_VERSION", "speaks no version of TLS that this phone takes, which are 1.2 and 1.3"),
    ("UNSUPPORTED_PROTOCOL", "speaks no version of TLS that this phone takes, which are 1.2 and 1.3"),
    ("NO_SHARED_CIPHER", "has no cipher in common with this phone"),
)


class Session:
    """One end of one connection. `whom` is the other end in sentences, `name` what its certificate has to name."""

    def __init__(self, context: ssl.SSLContext, whom: str, *, name: str = "", is_server: bool = False) -> None:
        self.is_up = False
        self.is_over = False
        self.trouble = ""
        self._whom = whom
        self._name = name.lower().rstrip(".")
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, is_server, None if is_server else self._name or None)
        self._waiting = bytearray()

    @property
    def n_waiting(self) -> int:
        """Octets that wait for the end of the handshake."""
        return len(self._waiting)

    @property
    def silence(self) -> str:
        """The sentence for a handshake that never came to its end."""
        return f"{self._whom} {_NO_TLS}"

    def start(self) -> bytes:
        """What to send as soon as the connection stands."""
        self._shake()
        return self._out.read()

    def write(self, data: bytes) -> bytes:
        """What to send for `data`; nothing before the handshake is over, `read` gives it then."""
        if not self.is_up:
            self._waiting += data
            return b""
        view = memoryview(data)
        while view and not self.is_over:
            try:
                view = view[self._tls.write(view) :]
            except ssl.SSLError as error:
                self._end(error)
        return self._out.read()

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """What came for us, and what goes back at once. No `data`: the other end has closed."""
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()
        if not self.is_up:
            self._shake()
        plain = bytearray()
        while self.is_up and not self.is_over:
            try:
                more = self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:
                self._end(error)
            else:
                plain += more
                self.is_over = not more
        return bytes(plain), self._out.read()

    def goodbye(self) -> bytes:
        """What to send before the connection is closed (RFC 8446 6.1)."""
        if self.is_up and not self.is_over:
            with contextlib.suppress(ssl.SSLError):  # the other end has not said goodbye yet
                self._tls.unwrap()
        return self._out.read()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            self._end(error)
            return
        if self._name and self._name not in (names := self._speaks_for()):
            self.is_over = True
            shown = ", ".join(names[:5]) or "nobody"
            self.trouble = f"the certificate of {self._whom} is for {shown}, and not for {self._name}"
            return
        self.is_up = True
        waiting, self._waiting = bytes(self._waiting), bytearray()
        self._out.write(self.write(waiting))

    def _speaks_for(self) -> list[str]:
        try:
            return _names(self._tls.getpeercert() or {})
        except (ValueError, ssl.SSLError):
            return []  # a name in it cannot be read

    def _end(self, error: ssl.SSLError) -> None:
        self.is_over = True
        if isinstance(error, ssl.SSLCertVerificationError):
            what = _CERTIFICATE.get(error.verify_code, f"is not good: {error.verify_message}")
            self.trouble = f"the certificate of {self._whom} {what}"
        elif isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            self.trouble = "" if self.is_up else self.silence
        else:
            reason = error.reason or ""
            what = next((meaning for part, meaning in _TROUBLE if part in reason), "" if self.is_up else _NO_TLS)
            self.trouble = f"{self._whom} {what}" if what else ""


class Tls:
    """What one endpoint needs for TLS: a context for each role, and by which name it knows whom."""

    def __init__(self, client: ssl.SSLContext | None = None, server: ssl.SSLContext | None = None) -> None:
        self.names: dict[Address, str] = {}
        self._client = client
        self._server = server

    def to(self, remote: Address) -> Session | None:
        """For a connection that we open; None where we open none."""
        if self._client is None:
            return None
        name = self.names.get(remote, remote.host)
        whom = str(remote) if name == remote.host else f"{name} ({remote})"
        return Session(self._client, whom, name=name)

    def of(self, remote: Address) -> Session | None:
        """For a connection that was opened to us; None where we take none."""
        return Session(self._server, str(remote), is_server=True) if self._server is not None else None


def profile_tls(profile: Profile) -> Tls | None:
    """What the profile of a phone says of TLS; None where it wants none. Raises ProfileError for unusable files."""
    if profile.transport != "TLS":
        return None
    files = (profile.tls_ca, profile.tls_cert, profile.tls_key)
    return Tls(client_context(*(Path(os.path.expanduser(file)) if file else None for file in files)))


def client_context(ca: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """For who opens connections: trusts the authorities in the file `ca`, without it those that the system trusts.

    `certificate` and `key` prove who we are, where the other end asks. Raises ProfileError for a file that is not what
    it should be, and for a key that others may read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the names of SIP are in URIs too, so it is our own business
    _restrict(context)
    if ca is None:
        context.load_default_certs()
    else:
        _load_authority(context, ca)
    if (certificate is None) != (key is None):
        raise ProfileError("tls_cert and tls_key go together: the certificate of this phone, and its key")
    if certificate is not None and key is not None:
        _load_own(context, certificate, key)
    return context


def server_context(certificate: Path, key: Path, ca: Path | None = None) -> ssl.SSLContext:
    """For who takes connections; with `ca` only from those who have a certificate of that authority.

    Raises ProfileError as `client_context` does.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context)
    _load_own(context, certificate, key)
    if ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authority(context, ca)
    return context


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # so that what is written never waits for what is read


def _load_authority(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(ca)
    except OSError as error:
        if isinstance(error, ssl.SSLError):
            raise ProfileError(f"tls_ca: {ca} holds no certificate; it should be a PEM file") from None
        raise ProfileError(f"tls_ca: {ca} cannot be read: {error.strerror}") from None


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    for name, path in (("tls_cert", certificate), ("tls_key", key)):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError as error:
            raise ProfileError(f"{name}: {path} cannot be read: {error.strerror}") from None
        if path == key and os.name != "nt" and mode & 0o077:
            raise ProfileError(f"{path} has mode {mode:04o}, so others may read it: chmod 600 {path}")
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # without one OpenSSL asks the terminal
    except OSError:
        should = "a certificate and its key, PEM files without a password"
        raise ProfileError(f"tls_cert and tls_key: {certificate} and {key} should be {should}") from None


def _names(certificate: Mapping[str, object]) -> list[str]:
    """Whom a certificate speaks for, in lower case: a DNS name counts where no sip: URI is there (RFC 5922 7.1)."""
    domains, hosts, addresses = [], [], []
    alternatives = certificate.get("subjectAltName", ())
    for kind, value in alternatives if isinstance(alternatives, tuple) else ():
        if kind == "URI":
            with contextlib.suppress(ParseError):
                uri = Uri.parse(value)
                if uri.scheme == "sip" and not uri.user:
                    domains.append(uri.host)
        elif kind == "DNS":
            hosts.append(value.lower())
        elif kind == "IP Address":
            addresses.append(str(ipaddress.ip_address(value.strip())))
    return [*(domains or hosts), *addresses]
