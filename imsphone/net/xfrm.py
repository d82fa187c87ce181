"""The kernel's IPsec over netlink: the messages that set security associations and policies up (<linux/xfrm.h>).

    nlmsghdr │ usersa_info: selector, id, lifetimes, counters │ XFRMA_ALG_…: name, key       NEWSA, UPDSA
    nlmsghdr │ userpolicy_info: selector, direction           │ XFRMA_TMPL: ESP, transport   NEWPOLICY, UPDPOLICY

Above the socket all is packing of octets, which tests compare with what iproute2 sends. An association's selector names
both ports and no protocol, for UDP and TCP share it (TS 33.203 7.1); a policy is made for each of the two, since a tool
that lists policies reads ports with a protocol only.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import suppress
from ipaddress import ip_address
from typing import Literal, NamedTuple

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import LEAST_SPI, SUITES, Association, Keys, Suite
from imsphone.machine import Address

REQID = 33203  # by which a policy finds our associations, and a reader of `ip xfrm state` finds us
PROTOCOLS = (socket.IPPROTO_UDP, socket.IPPROTO_TCP)
Direction = Literal["in", "out"]

# <linux/netlink.h>, <linux/xfrm.h>
_NETLINK_XFRM = 6
_HEADER = struct.Struct("=IHHII")
_ERROR, _REQUEST, _ACK, _EXCL, _CREATE = 2, 0x001, 0x004, 0x200, 0x400
_NEWSA, _DELSA, _GETSA, _NEWPOLICY, _DELPOLICY, _UPDPOLICY, _UPDSA = 0x10, 0x11, 0x12, 0x13, 0x14, 0x19, 0x1A
_ALG_AUTH, _ALG_CRYPT, _TMPL, _ALG_AEAD, _ALG_AUTH_TRUNC = 1, 2, 5, 18, 20
_SELECTOR = struct.Struct("=16s16sHHHHHBBB3xiI")
_ID = struct.Struct("=16s4sB3x")
_LIFETIME = struct.Struct("=8Q")
_CURRENT = struct.Struct("=4Q")
_STATS = struct.Struct("=3I")
_STATE_TAIL = struct.Struct("=IIHBBB7x")
_STATE_ID = struct.Struct("=16s4sHBx")
_POLICY_TAIL = struct.Struct("=IIBBBB4x")
_POLICY_ID_TAIL = struct.Struct("=IB3x")
_TEMPLATE = struct.Struct("=16s4sB3xH2x16sIBBBx3I")
_ATTRIBUTE = struct.Struct("=HH")
_WHOLE_PORT = 0xFFFF
_NO_LIMIT = (1 << 64) - 1
_REPLAY_WINDOW = 32
_TRANSPORT_MODE, _ALLOW, _BLOCK = 0, 0, 1
_AFTER_DEMANDS = 1  # priority: the least number is looked at first
_ANY_ALGORITHM = 0xFFFFFFFF
_DIRECTIONS = {"in": 0, "out": 1}
_ANSWER_BYTES = 65536
_HASHES = {"hmac-md5-96": b"hmac(md5)", "hmac-sha-1-96": b"hmac(sha1)"}
_NOBODYS = Association(0, Address("127.0.0.1", 0), Address("127.0.0.1", 0))
_HMAC_BITS, _GCM_BITS = 96, 128  # of the integrity check value


class Way(NamedTuple):
    """What a policy is about: packets of one protocol from one address and port to another, coming in or going out.

    Between two ports ESP is demanded. Where one of them is 0, which is any, nothing passes that no such demand covers.
    """

    source: Address
    target: Address
    direction: Direction
    protocol: int


class Passed(NamedTuple):
    """What an association of the kernel has counted."""

    packets: int
    replayed: int
    forged: int


# Messages without their header --------------------------------------------------------------------------------------


def state(association: Association, suite: Suite, keys: Keys, lifetime_s: int) -> bytes:
    """The body of NEWSA and UPDSA: one association, which the kernel forgets `lifetime_s` after it was made."""
    source, target, spi = association.source, association.target, association.spi
    body = _selector(source, target, 0) + _ID.pack(_octets(target), _spi(spi), socket.IPPROTO_ESP) + _octets(source)
    body += _lifetime(lifetime_s) + _CURRENT.pack(0, 0, 0, 0) + _STATS.pack(0, 0, 0)
    body += _STATE_TAIL.pack(0, REQID, _family(target), _TRANSPORT_MODE, _REPLAY_WINDOW, 0)
    return body + _algorithms(suite, keys)


def state_id(association: Association) -> bytes:
    """The body of DELSA and GETSA."""
    target = association.target
    return _STATE_ID.pack(_octets(target), _spi(association.spi), _family(target), socket.IPPROTO_ESP)


def policy(way: Way, lifetime_s: int) -> bytes:
    """The body of NEWPOLICY and UPDPOLICY: this way nothing but ESP of ours, or nothing at all."""
    source, target, direction, protocol = way
    body = _selector(source, target, protocol) + _lifetime(lifetime_s) + _CURRENT.pack(0, 0, 0, 0)
    if not (source.port and target.port):
        return body + _POLICY_TAIL.pack(_AFTER_DEMANDS, 0, _DIRECTIONS[direction], _BLOCK, 0, 0)
    body += _POLICY_TAIL.pack(0, 0, _DIRECTIONS[direction], _ALLOW, 0, 0)
    every = (_ANY_ALGORITHM,) * 3
    family, mode = _family(target), _TRANSPORT_MODE
    template = (_octets(target), bytes(4), socket.IPPROTO_ESP, family, _octets(source), REQID, mode, 0, 0, *every)
    return body + _attribute(_TMPL, _TEMPLATE.pack(*template))


def policy_id(way: Way) -> bytes:
    """The body of DELPOLICY."""
    return _selector(way.source, way.target, way.protocol) + _POLICY_ID_TAIL.pack(0, _DIRECTIONS[way.direction])


def passed(body: bytes) -> Passed:
    """What the answer to GETSA has counted."""
    at = _SELECTOR.size + _ID.size + 16 + _LIFETIME.size
    _bytes, packets, _added, _used = _CURRENT.unpack_from(body, at)
    _window, replayed, forged = _STATS.unpack_from(body, at + _CURRENT.size)
    return Passed(packets, replayed, forged)


def _algorithms(suite: Suite, keys: Keys) -> bytes:
    if suite.ealg == "aes-gcm":
        return _aead(b"rfc4106(gcm(aes))", keys.encryption + keys.salt)  # RFC 4106 8.1: the salt ends the key
    if suite.alg == "aes-gmac":
        return _aead(b"rfc4543(gcm(aes))", keys.integrity + keys.salt)
    name, bits = _HASHES[suite.alg], len(keys.integrity) * 8
    told = _attribute(_ALG_AUTH_TRUNC, struct.pack("=64sII", name, bits, _HMAC_BITS) + keys.integrity)
    cipher = b"cbc(aes)" if suite.ealg == "aes-cbc" else b"ecb(cipher_null)"
    return told + _attribute(_ALG_CRYPT, struct.pack("=64sI", cipher, len(keys.encryption) * 8) + keys.encryption)


def _aead(name: bytes, key: bytes) -> bytes:
    return _attribute(_ALG_AEAD, struct.pack("=64sII", name, len(key) * 8, _GCM_BITS) + key)


def _attribute(kind: int, data: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(data), kind) + data + bytes(-len(data) % 4)


def _selector(source: Address, target: Address, protocol: int) -> bytes:
    bits = 32 if _family(target) == socket.AF_INET else 128
    to, by = ((socket.htons(end.port), _WHOLE_PORT if end.port else 0) for end in (target, source))
    return _SELECTOR.pack(_octets(target), _octets(source), *to, *by, _family(target), bits, bits, protocol, 0, 0)


def _lifetime(lifetime_s: int) -> bytes:
    """No limit but the last second, counted from the making."""
    return _LIFETIME.pack(_NO_LIMIT, _NO_LIMIT, _NO_LIMIT, _NO_LIMIT, 0, lifetime_s, 0, 0)


def _octets(address: Address) -> bytes:
    return ip_address(address.host).packed.ljust(16, b"\0")


def _family(address: Address) -> int:
    return socket.AF_INET if ip_address(address.host).version == 4 else socket.AF_INET6


def _spi(spi: int) -> bytes:
    return spi.to_bytes(4, "big")


# The socket ---------------------------------------------------------------------------------------------------------


class Xfrm:
    """Speaks to the kernel. Everything raises NetworkError with the remedy where the kernel refuses."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_XFRM)
        except OSError as error:
            raise NetworkError(refusal(error.errno or 0)) from None
        self._count = 0

    def add_state(self, association: Association, suite: Suite, keys: Keys, lifetime_s: int) -> None:
        """One more association."""
        self._command(_NEWSA, _CREATE | _EXCL, state(association, suite, keys, lifetime_s))

    def prolong_state(self, association: Association, suite: Suite, keys: Keys, lifetime_s: int) -> None:
        """Another lifetime, from the making; keys and counters stay as they are."""
        self._command(_UPDSA, 0, state(association, suite, keys, lifetime_s))

    def remove_state(self, association: Association) -> None:
        """One association less; no word where the kernel has forgotten it already."""
        self._forget(_DELSA, state_id(association))

    def passed(self, association: Association) -> Passed:
        """What has gone through it; nothing where it is not there any more."""
        try:
            return passed(self._exchange(_GETSA, 0, state_id(association)))
        except ProcessLookupError:
            return Passed(0, 0, 0)

    def add_policy(self, way: Way, lifetime_s: int) -> None:
        """From now on nothing but ESP this way."""
        self._command(_NEWPOLICY, _CREATE | _EXCL, policy(way, lifetime_s))

    def prolong_policy(self, way: Way, lifetime_s: int) -> None:
        """Another lifetime, from now."""
        self._command(_UPDPOLICY, 0, policy(way, lifetime_s))

    def remove_policy(self, way: Way) -> None:
        """No word where the kernel has forgotten it already."""
        self._forget(_DELPOLICY, policy_id(way))

    def expect_permission(self) -> None:
        """Raises PermissionError where the kernel takes no orders from this process."""
        with suppress(ProcessLookupError):
            self._exchange(_GETSA, 0, state_id(_NOBODYS))

    def expect_esp(self, is_v6: bool) -> None:
        """Raises NetworkError where the kernel knows no ESP; what it is tried with is gone again."""
        host = Address("::1" if is_v6 else "127.0.0.1", 0)
        trial = Association(LEAST_SPI + int.from_bytes(os.urandom(3), "big"), host, host)
        suite = SUITES[0]
        self.add_state(trial, suite, Keys.of(suite, bytes(16), bytes(16)), 1)
        self.remove_state(trial)

    def close(self) -> None:
        """Ends the conversation; what was added stays."""
        self._socket.close()

    def _command(self, kind: int, flags: int, body: bytes) -> None:
        try:
            self._exchange(kind, flags, body)
        except OSError as error:
            raise NetworkError(refusal(error.errno or 0)) from None

    def _forget(self, kind: int, body: bytes) -> None:
        with suppress(ProcessLookupError, FileNotFoundError):  # ESRCH of an association, ENOENT of a policy
            self._exchange(kind, 0, body)

    def _exchange(self, kind: int, flags: int, body: bytes) -> bytes:
        """The body of the answer, empty where that is an acknowledgement. Raises OSError."""
        self._count += 1
        if kind != _GETSA:
            flags |= _ACK
        header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, self._count, 0)
        self._socket.send(header + body)
        answer = self._socket.recv(_ANSWER_BYTES)
        _length, kind, _flags, _number, _port = _HEADER.unpack_from(answer)
        if kind != _ERROR:
            return answer[_HEADER.size :]
        (negative,) = struct.unpack_from("=i", answer, _HEADER.size)
        if negative:
            raise OSError(-negative, os.strerror(-negative))
        return b""


def refusal(number: int) -> str:
    """Why the kernel does not keep an association, and what to do."""
    match number:
        case errno.EPROTONOSUPPORT | errno.EAFNOSUPPORT | errno.ESRCH:
            remedy = 'load its modules (esp4, esp6, xfrm_user), or let imsphone make ESP itself: ipsec_by = "own"'
            return f"the kernel of this machine knows no ESP: {remedy}"
        case errno.ENOSYS | errno.ENOENT | errno.ENODEV:
            remedy = "load the modules of its algorithms, or name others in security_suites"
            return f"the kernel of this machine knows ESP, but not with these algorithms: {remedy}"
        case errno.EEXIST:
            remedy = "`ip xfrm state` and `ip xfrm policy` show whose; it can be removed with them"
            return f"the kernel keeps an association or a policy for these ports already: {remedy}"
        case errno.EPERM:
            return "this program may not set up the kernel's ESP: it has no CAP_NET_ADMIN"
    return f"the kernel refuses the security association: {os.strerror(number)}"
