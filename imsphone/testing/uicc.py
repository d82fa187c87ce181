"""A UICC in software: it answers octets as a card with an ISIM and a USIM does, and has no reader.

card = SoftUicc.of(network.accounts["alice"], home_domain=network.realm)
card.answer(bytes.fromhex("00A4000402 3F00"))       under T=0: 61xx, "so much waits for GET RESPONSE"

What it computes is `usim.isim`; what it is made of is written down here a second time, from the card's side, so that
reader and card do not share a mistake. `imsphone.testing.vpcd` puts it into a virtual reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal, Self

from imsphone.lab.network import Account
from imsphone.usim.aka import AkaSuccess, SyncFailure
from imsphone.usim.isim import Isim
from imsphone.usim.tlv import Tlv

ATRS = {
    "T=0": bytes.fromhex("3B9F96801FC78031A073BE21136743200718000001A5"),
    "T=1": bytes.fromhex("3B800181"),
}
MOST_TRIES = 3
_USIM_AID = bytes.fromhex("A0000000871002FF49FF0589")
_ISIM_AID = bytes.fromhex("A0000000871004FF49FF0589")
_MF, _DIR, _ICCID = 0x3F00, 0x2F00, 0x2FE2
_OK = b"\x90\x00"


@dataclass(slots=True)
class _File:
    """An EF: transparent with one part, linear fixed with records of the same length."""

    parts: list[bytes]
    is_linear: bool = False
    needs_pin: bool = True

    def fcp(self, number: int) -> bytes:
        length = len(self.parts[0]) if self.parts else 0
        shape = b"\x42\x21" + length.to_bytes(2, "big") + bytes([len(self.parts)]) if self.is_linear else b"\x41\x21"
        size = (length * len(self.parts)).to_bytes(2, "big")
        inside = [Tlv(0x82, shape), Tlv(0x83, number.to_bytes(2, "big")), Tlv(0x8A, b"\x05"), Tlv(0x80, size)]
        return Tlv(0x62, b"".join(one.octets() for one in inside)).octets()


@dataclass(slots=True)
class _Folder:
    """The MF or an application."""

    aid: bytes
    files: dict[int, _File] = field(default_factory=dict)


class SoftUicc:
    """One card. `isim` answers its challenges; without `impi` it has no ISIM, without `imsi` no USIM.

    `pin` is what it asks for before it says anything (empty: nothing); `tries_left` how often one may be wrong.
    """

    def __init__(
        self,
        isim: Isim,
        *,
        imsi: str | None = None,
        mnc_digits: int = 2,
        impi: str | None = None,
        impus: Sequence[str] = (),
        home_domain: str | None = None,
        pcscfs: Sequence[str] = (),
        iccid: str = "8988211000000000015",
        pin: str = "",
        protocol: Literal["T=0", "T=1"] = "T=0",
    ) -> None:
        self.protocol = protocol
        self.pin = pin
        self.tries_left = MOST_TRIES
        self.answered = 0  # commands so far
        self._isim = isim
        self._master = _Folder(b"", {_ICCID: _File([_swapped(iccid, 10)], needs_pin=False)})
        self._applications: list[_Folder] = []
        if imsi is not None:
            swapped = _swapped(("9" if len(imsi) % 2 else "1") + imsi, 8)
            files = {
                0x6F07: _File([bytes([len(imsi) // 2 + 1]) + swapped]),
                0x6FAD: _File([bytes([0, 0, 0, mnc_digits])], needs_pin=False),
            }
            self._applications.append(_Folder(_USIM_AID, files))
        if impi is not None:
            files = {
                0x6F02: _File([_padded(_text(impi), 100)]),
                0x6F03: _File([_padded(_text(home_domain or ""), 100)]),
                0x6F04: _File([_padded(_text(impu), 100) for impu in impus], is_linear=True),
            }
            if pcscfs:
                files[0x6F09] = _File([_padded(_host(host), 60) for host in pcscfs], is_linear=True)
            self._applications.append(_Folder(_ISIM_AID, files))
        entries = [
            Tlv(0x61, Tlv(0x4F, one.aid).octets() + Tlv(0x50, b"imsphone").octets()) for one in self._applications
        ]
        self._master.files[_DIR] = _File(
            [_padded(one.octets(), 40) for one in entries], is_linear=True, needs_pin=False
        )
        self.power()

    @classmethod
    def of(cls, account: Account, *, has_isim: bool = True, home_domain: str = "", **more: Any) -> Self:
        """The card of a subscriber of the lab. Without ISIM it says its IMSI only."""
        who = {"impi": account.impi, "impus": account.impus, "home_domain": home_domain} if has_isim else {}
        return cls(account.isim(), imsi=account.imsi, **(who | more))

    @property
    def atr(self) -> bytes:
        """What it says when it gets current (ISO/IEC 7816-3 8)."""
        return ATRS[self.protocol]

    def power(self) -> None:
        """It gets current, or is reset: no PIN is given, the MF is selected."""
        self._folder = self._master
        self._file: _File | None = None
        self._is_verified = not self.pin
        self._waiting = b""

    def answer(self, command: bytes) -> bytes:
        """What the card answers to a command, its status included. Any octets have an answer."""
        self.answered += 1
        if len(command) < 4:
            return b"\x67\x00"
        cla, ins, p1, p2 = command[:4]
        body = command[4:]
        data, le = b"", body[0] if body else 0
        if len(body) > 1:
            data, le = body[1 : 1 + body[0]], body[1 + body[0]] if len(body) > 1 + body[0] else 0
            if len(data) != body[0]:
                return b"\x67\x00"
        if cla != 0x00:
            return b"\x6e\x00"
        act = {0xA4: self._select, 0xB0: self._binary, 0xB2: self._record, 0x20: self._verify, 0x88: self._authenticate}
        if ins == 0xC0:
            return self._rest(le)
        self._waiting = b""
        if ins not in act:
            return b"\x6d\x00"
        said, status = act[ins](p1, p2, data)
        if not said:
            return status
        if self.protocol == "T=0" and data:  # no data both ways: they wait
            self._waiting = said
            return bytes([0x61, min(len(said), 255)])
        if self.protocol == "T=0" and le and le != len(said):
            return bytes([0x6C, len(said)]) if le > len(said) else said[:le] + status
        return (said[:le] if le else said) + status

    # Commands ---------------------------------------------------------------------------------------------------------

    def _rest(self, le: int) -> bytes:
        if not self._waiting:
            return b"\x69\x85"
        wanted = le or 256
        if wanted > len(self._waiting):
            return bytes([0x6C, len(self._waiting)])
        said, self._waiting = self._waiting[:wanted], self._waiting[wanted:]
        return said + (bytes([0x61, min(len(self._waiting), 255)]) if self._waiting else _OK)

    def _select(self, p1: int, _p2: int, data: bytes) -> tuple[bytes, bytes]:
        if p1 == 0x04:
            found = next((one for one in self._applications if data and one.aid.startswith(data)), None)
            if found is None:
                return b"", b"\x6a\x82"
            self._folder, self._file = found, None
            return self._fcp_of_folder(), _OK
        number = int.from_bytes(data, "big")
        if p1 != 0x00 or len(data) != 2:
            return b"", b"\x6a\x86"
        if number == _MF:
            self._folder, self._file = self._master, None
            return self._fcp_of_folder(), _OK
        file = self._folder.files.get(number)
        if file is None:
            return b"", b"\x6a\x82"
        self._file = file
        return file.fcp(number), _OK

    def _fcp_of_folder(self) -> bytes:
        name = Tlv(0x84, self._folder.aid) if self._folder.aid else Tlv(0x83, b"\x3f\x00")
        pins = Tlv(0x90, b"\x80" if self.pin else b"\x00").octets() + Tlv(0x83, b"\x01").octets()
        pins += Tlv(0x95, b"\x08").octets() + Tlv(0x83, b"\x0a").octets()
        inside = [Tlv(0x82, b"\x78\x21"), name, Tlv(0x8A, b"\x05"), Tlv(0xC6, pins)]
        return Tlv(0x62, b"".join(one.octets() for one in inside)).octets()

    def _readable(self, is_linear: bool) -> tuple[_File | None, bytes]:
        if self._file is None:
            return None, b"\x69\x86"
        if self._file.is_linear is not is_linear:
            return None, b"\x69\x81"
        return (None, b"\x69\x82") if self._file.needs_pin and not self._is_verified else (self._file, b"")

    def _binary(self, p1: int, p2: int, _data: bytes) -> tuple[bytes, bytes]:
        file, refusal = self._readable(is_linear=False)
        if file is None:
            return b"", refusal
        rest = file.parts[0][p1 << 8 | p2 :]
        return (rest, _OK) if rest else (b"", b"\x6b\x00")

    def _record(self, p1: int, p2: int, _data: bytes) -> tuple[bytes, bytes]:
        file, refusal = self._readable(is_linear=True)
        if file is None:
            return b"", refusal
        if p2 != 0x04 or not 1 <= p1 <= len(file.parts):
            return b"", b"\x6a\x83"
        return file.parts[p1 - 1], _OK

    def _verify(self, _p1: int, p2: int, data: bytes) -> tuple[bytes, bytes]:
        if p2 != 0x01:
            return b"", b"\x6a\x88"
        if self.tries_left == 0:
            return b"", b"\x69\x83"
        if not data:
            return b"", _OK if self._is_verified else bytes([0x63, 0xC0 | self.tries_left])
        if data == self.pin.encode().ljust(8, b"\xff"):
            self.tries_left, self._is_verified = MOST_TRIES, True
            return b"", _OK
        self.tries_left, self._is_verified = self.tries_left - 1, False
        return b"", bytes([0x63, 0xC0 | self.tries_left])

    def _authenticate(self, p1: int, p2: int, data: bytes) -> tuple[bytes, bytes]:
        if not self._folder.aid or not self._is_verified:
            return b"", b"\x69\x82" if self._folder.aid else b"\x69\x85"
        if (p1, p2) != (0x00, 0x81):
            return b"", b"\x98\x64"
        if len(data) != 34 or data[0] != 16 or data[17] != 16:
            return b"", b"\x67\x00"
        outcome = self._isim.authenticate(data[1:17], data[18:])
        if isinstance(outcome, AkaSuccess):
            return b"\xdb" + b"".join(bytes([len(one)]) + one for one in (outcome.res, outcome.ck, outcome.ik)), _OK
        return (b"\xdc\x0e" + outcome.auts, _OK) if isinstance(outcome, SyncFailure) else (b"", b"\x98\x62")


def _text(said: str) -> bytes:
    return Tlv(0x80, said.encode()).octets()


def _host(host: str) -> bytes:
    try:
        address = ip_address(host)
    except ValueError:
        return Tlv(0x80, b"\x00" + host.encode()).octets()
    return Tlv(0x80, bytes([0x01 if address.version == 4 else 0x02]) + address.packed).octets()


def _padded(data: bytes, n_bytes: int) -> bytes:
    return data.ljust(n_bytes, b"\xff")


def _swapped(digits: str, n_bytes: int) -> bytes:
    digits = digits.ljust(2 * n_bytes, "f")
    return bytes(int(digits[at + 1] + digits[at], 16) for at in range(0, len(digits), 2))
