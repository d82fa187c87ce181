"""STUN as a keep-alive between a phone and its edge proxy, on the very flow of their SIP (RFC 5626 4.4.2, RFC 8489).

    00 01 │ length 00 00 │ 21 12 A4 42 │ transaction, 12 octets             Binding request
    01 01 │ length       │ 21 12 A4 42 │ transaction │ XOR-MAPPED-ADDRESS   success: the source as the server saw it

The first octet tells it from SIP, whose messages begin with a letter.
"""

from __future__ import annotations

import ipaddress

from imsphone.machine import Address

_COOKIE = bytes.fromhex("2112a442")
_REQUEST, _SUCCESS = b"\x00\x01", b"\x01\x01"
_XOR_MAPPED_ADDRESS = b"\x00\x20"
_HEADER_BYTES = 20
TRANSACTION_BYTES = 12


def is_stun(data: bytes) -> bool:
    """Whether this datagram is STUN."""
    return len(data) >= _HEADER_BYTES and data[0] < 64 and data[4:8] == _COOKIE


def is_request(data: bytes) -> bool:
    """Whether this STUN message is a Binding request."""
    return data[:2] == _REQUEST


def is_success(data: bytes) -> bool:
    """Whether this STUN message is the good answer to one."""
    return data[:2] == _SUCCESS


def transaction_of(data: bytes) -> bytes:
    """The 12 octets that tie an answer to its request."""
    return data[8:_HEADER_BYTES]


def request(transaction: bytes) -> bytes:
    """A Binding request without attributes."""
    return _REQUEST + bytes(2) + _COOKIE + transaction


def success(data: bytes, source: Address) -> bytes:
    """The answer to the request `data` that came from `source` (an IP literal)."""
    transaction = transaction_of(data)
    host = ipaddress.ip_address(source.host)
    mask = _COOKIE + transaction
    port = source.port ^ int.from_bytes(_COOKIE[:2], "big")
    octets = bytes(a ^ b for a, b in zip(host.packed, mask, strict=False))
    value = bytes([0, 1 if host.version == 4 else 2]) + port.to_bytes(2, "big") + octets
    attribute = _XOR_MAPPED_ADDRESS + len(value).to_bytes(2, "big") + value
    return _SUCCESS + len(attribute).to_bytes(2, "big") + _COOKIE + transaction + attribute
