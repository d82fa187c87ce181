"""Secrets out of a message before anybody keeps it, without moving a single octet.

A trace is made to be handed around, so nothing secret may enter it. Three places of an IMS carry keys in the clear:

    SIP, S-CSCF → P-CSCF   401, WWW-Authenticate: ck="…", ik="…"                      TS 24.229 5.4.1.2.1
    Diameter Cx, MAA       Confidentiality-Key, Integrity-Key, SIP-Authorization=XRES  TS 29.229 6.3.28, 6.3.27, 6.3.11
    Diameter Cx, MAA       Digest-HA1, as good as the password                         RFC 4740 / TS 29.229 6.3.36

The values become zeros of the same length: lengths and checksums of everything around them stay true, and Wireshark
reads the rest. What a broken Diameter message holds behind its break is blanked too, since nobody can say what it is.
RAND, AUTN, AUTS, nonces and Digest responses stay: they are sent to be seen, or are hashes.
"""

from __future__ import annotations

import re
import struct

_HEADER_BYTES = 20
_AVP = struct.Struct("!II")
_VENDOR_3GPP = 10415
_KEYS = frozenset({(625, _VENDOR_3GPP), (626, _VENDOR_3GPP), (121, 0)})
_SIP_AUTHORIZATION = (610, _VENDOR_3GPP)  # XRES in an answer; in a request RAND and AUTS, which are no secrets
_GROUPS = frozenset({(612, _VENDOR_3GPP), (635, _VENDOR_3GPP)})  # SIP-Auth-Data-Item, SIP-Digest-Authenticate

# Lower case and no white space, so that one search finds `CK = "` as well: this runs for every message.
_FLAT = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
_PARAMETER = re.compile(rb'(?<![\w-])([ci]k\s*=\s*)("[^"]*|[^\s,;"]*)', re.IGNORECASE)
_VISIBLE = re.compile(rb'[^\s"]')


def is_diameter(data: bytes) -> bool:
    """Version 1 and a length that is this message's (RFC 6733 3)."""
    return len(data) >= _HEADER_BYTES and data[0] == 1 and int.from_bytes(data[1:4], "big") == len(data)


def redact(data: bytes) -> bytes:
    """The same message, equally long, without its secrets; any octets at all may come in."""
    if is_diameter(data):
        return _redact_diameter(data)
    flat = data.translate(_FLAT, b" \t\r\n")
    if b"k=" in flat and (b"ck=" in flat or b"ik=" in flat):
        return _PARAMETER.sub(lambda found: found[1] + _VISIBLE.sub(b"0", found[2]), data)
    return data


def _redact_diameter(data: bytes) -> bytes:
    clean = bytearray(data)
    is_answer = not data[4] & 0x80
    groups = [(_HEADER_BYTES, len(data))]
    while groups:  # a stack of its own, so that nesting costs no recursion
        offset, end = groups.pop()
        while offset < end:
            avp = read_avp(data, offset, end)
            if avp is None:
                clean[offset:end] = bytes(end - offset)
                break
            code, start, stop = avp
            if code in _KEYS or (is_answer and code == _SIP_AUTHORIZATION):
                clean[start:stop] = bytes(stop - start)
            elif code in _GROUPS:
                groups.append((start, stop))
            offset = stop + -stop % 4
    return bytes(clean)


def read_avp(data: bytes, offset: int, end: int) -> tuple[tuple[int, int], int, int] | None:
    """((code, vendor), start, end of its data), None where no AVP fits here."""
    if end - offset < 8:
        return None
    code, second = _AVP.unpack_from(data, offset)
    start = offset + (12 if second & 0x80000000 else 8)
    stop = offset + (second & 0xFFFFFF)
    if not start <= stop <= end:
        return None
    vendor = int.from_bytes(data[offset + 8 : start], "big")
    return (code, vendor), start, stop
