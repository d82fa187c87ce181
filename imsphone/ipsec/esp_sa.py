"""Keys for Wireshark: the lines of its table esp_sa, by which it looks inside the ESP packets of a capture.

    "IPv4","10.0.0.5","10.0.0.1","0x9c7f0a31","AES-CBC [RFC3602]","0x…","HMAC-SHA-1-96 [RFC2404]","0x…"

Whoever has such a file can read and forge what these associations carry. It is made when a user asks for it by name.
"""

from __future__ import annotations

from collections.abc import Iterable

from imsphone.ipsec.sa import Associations, Suite

_ENCRYPTION = {"null": "NULL", "aes-cbc": "AES-CBC [RFC3602]", "aes-gcm": "AES-GCM with 16 octet ICV [RFC4106]"}
_INTEGRITY = {"null": "NULL", "hmac-sha-1-96": "HMAC-SHA-1-96 [RFC2404]", "hmac-md5-96": "HMAC-MD5-96 [RFC2403]"}


def knows(suite: Suite) -> bool:
    """Whether Wireshark can look inside: of GMAC (RFC 4543) it knows nothing."""
    return suite.alg in _INTEGRITY


def lines(associations: Associations) -> Iterable[str]:
    """A line for each of the four associations, with its line end; none where Wireshark does not know the suite."""
    suite, keys = associations.suite, associations.keys
    if not knows(suite):
        return
    for spi, source, target in (*associations.outbound, *associations.inbound):
        fields = (
            "IPv6" if ":" in source.host else "IPv4",
            source.host,
            target.host,
            f"0x{spi:08x}",
            _ENCRYPTION[suite.ealg],
            _octets(keys.encryption + keys.salt),  # RFC 4106 8.1: the salt follows the key
            _INTEGRITY[suite.alg],
            _octets(keys.integrity),
        )
        yield ",".join(f'"{field}"' for field in fields) + "\n"


def _octets(key: bytes) -> str:
    return f"0x{key.hex()}" if key else ""
