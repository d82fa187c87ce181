"""What the files of a card hold: octets in, words out (TS 31.102 4.2, TS 31.103 4.2, ETSI TS 102 221 11.1.1.3 and 13).

    MF ─┬ 2FE2 EF_ICCID            the number of the card
        ├ 2F00 EF_DIR              which applications there are
        ├ USIM ─┬ 6F07 EF_IMSI     08 09 10 10 00 00 00 00 10        two digits an octet, the lower half first
        │       └ 6FAD EF_AD       the length of the MNC
        └ ISIM ─┬ 6F02 EF_IMPI     80 len user@realm
                ├ 6F03 EF_DOMAIN   80 len domain
                ├ 6F04 EF_IMPU     80 len sip:user@domain            records, the first is the default one
                └ 6F09 EF_P-CSCF   80 len 00 name, 01 IPv4, 02 IPv6  records, the first is tried first

All readers here take any octets; where a file holds nothing of use they say None, and raise ParseError where it holds
something else than it should.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from imsphone.errors import ParseError
from imsphone.usim.tlv import first, parse

MF, EF_DIR, EF_ICCID = 0x3F00, 0x2F00, 0x2FE2
EF_IMSI, EF_AD = 0x6F07, 0x6FAD
EF_IMPI, EF_DOMAIN, EF_IMPU, EF_PCSCF = 0x6F02, 0x6F03, 0x6F04, 0x6F09

Application = Literal["ISIM", "USIM"]
AIDS: dict[Application, bytes] = {  # ETSI TS 101 220 annex E: the RID of 3GPP and the code of the application
    "ISIM": bytes.fromhex("A0000000871004"),
    "USIM": bytes.fromhex("A0000000871002"),
}
_TEXT = 0x80  # the tag of a text in TS 31.103 4.2


@dataclass(frozen=True, slots=True)
class KeyReference:
    """A PIN of an application: its number in VERIFY, and whether it is asked for."""

    number: int
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class Fcp:
    """What a card says of a file that was selected. `record_bytes` is 0 where it has no records."""

    is_application: bool
    size: int
    record_bytes: int
    records: int
    pins: tuple[KeyReference, ...]

    @classmethod
    def parse(cls, data: bytes) -> Fcp:
        """Of the answer to SELECT (ETSI TS 102 221 11.1.1.3). Raises ParseError."""
        template = first(parse(data), 0x62)
        if template is None:
            raise ParseError("an FCP template, tag 62")
        objects = parse(template)
        descriptor = first(objects, 0x82)
        if not descriptor:
            raise ParseError("a file descriptor, tag 82")
        size = int.from_bytes((first(objects, 0x80) or b"")[:4], "big")
        has_records = descriptor[0] & 0x07 in (0x02, 0x06) and len(descriptor) >= 5  # 11.1.1.4.3: linear fixed, cyclic
        return cls(
            is_application=descriptor[0] & 0x38 == 0x38,
            size=size,
            record_bytes=int.from_bytes(descriptor[2:4], "big") if has_records else 0,
            records=descriptor[4] if has_records else 0,
            pins=_pins(first(objects, 0xC6) or b""),
        )

    @property
    def pin(self) -> KeyReference | None:
        """The PIN that a user gives for this application, None where it has none (9.5.1)."""
        ours = [one for one in self.pins if 0x01 <= one.number <= 0x08 or one.number == 0x11]
        return next((one for one in ours if one.is_enabled), ours[0] if ours else None)


def _pins(data: bytes) -> tuple[KeyReference, ...]:
    """The PIN status template (11.1.1.4.10): 90 a bit for each PIN, then 83 its number, 95 before it how it is used."""
    enabled, usage = b"", 0xFF
    found: list[KeyReference] = []
    for tag, value in parse(data):
        if tag == 0x90:
            enabled = value
        elif tag == 0x95 and value:
            usage = value[0]
        elif tag == 0x83 and value:
            octet, bit = divmod(len(found), 8)
            is_on = octet < len(enabled) and bool(enabled[octet] & 0x80 >> bit)
            found.append(KeyReference(value[0], is_on and usage != 0))
            usage = 0xFF
    return tuple(found)


# The files ------------------------------------------------------------------------------------------------------------


def applications(records: list[bytes]) -> list[bytes]:
    """The AIDs in the records of EF_DIR (13.1); a record that is none is passed over."""
    found = []
    for record in records:
        try:
            template = first(parse(record), 0x61)
            aid = first(parse(template), 0x4F) if template else None
        except ParseError:
            continue
        if aid:
            found.append(aid)
    return found


def imsi(data: bytes) -> str | None:
    """Of EF_IMSI (TS 31.102 4.2.2)."""
    length = data[0] if data else 0
    if length in (0x00, 0xFF):
        return None
    if length > 8 or len(data) < 1 + length:
        raise ParseError("an IMSI of at most 8 octets")
    halves = _digits(data[1 : 1 + length])[1:]  # the first half is the parity
    digits = halves.rstrip("F")
    if not digits.isdecimal() or not 6 <= len(digits) <= 15:
        raise ParseError("an IMSI of 6 to 15 digits", 1)
    return digits


def iccid(data: bytes) -> str | None:
    """Of EF_ICCID (ETSI TS 102 221 13.2)."""
    digits = _digits(data[:10]).rstrip("F")
    if digits and not digits.isalnum():
        raise ParseError("an ICCID of digits")
    return digits or None


def mnc_digits(data: bytes) -> Literal[2, 3] | None:
    """Of EF_AD (TS 31.102 4.2.18): the length of the MNC in the IMSI, where the card is young enough to say it."""
    said = data[3] & 0x0F if len(data) > 3 else 0
    return 2 if said == 2 else 3 if said == 3 else None


def text(data: bytes) -> str | None:
    """Of EF_IMPI, EF_DOMAIN or a record of EF_IMPU (TS 31.103 4.2.2 to 4.2.4)."""
    value = first(parse(data), _TEXT)
    return _utf8(value) if value else None


def pcscf(data: bytes) -> str | None:
    """Of a record of EF_P-CSCF (TS 31.103 4.2.8): a name or an IP address."""
    value = first(parse(data), _TEXT)
    if not value or len(value) < 2:
        return None
    kind, address = value[0], value[1:]
    if kind == 0x00:
        return _utf8(address)
    if (kind, len(address)) not in ((0x01, 4), (0x02, 16)):
        raise ParseError("a name, 4 octets of IPv4 or 16 of IPv6", 2)
    return str(ip_address(address))


def _utf8(value: bytes) -> str:
    try:
        said = value.rstrip(b"\x00\xff").decode()
    except UnicodeDecodeError as error:
        raise ParseError("UTF-8", error.start) from None
    if not said.isprintable():
        raise ParseError("text that can be printed")
    return said


def _digits(data: bytes) -> str:
    return "".join(f"{octet & 15:X}{octet >> 4:X}" for octet in data)
