"""A UICC, asked what `usim.isim` answers in software: who are you, and what do you say to this challenge?

    SELECT EF_DIR ─▶ which applications ─▶ SELECT ISIM ─▶ EF_IMPI, EF_DOMAIN, EF_IMPU, EF_P-CSCF
                                              └ none, or it is empty ─▶ SELECT USIM ─▶ EF_IMSI, EF_AD
    Authenticate(RAND, AUTN) ─▶ SELECT it ─▶ AUTHENTICATE 00 81 ─┬▶ DB RES CK IK    AkaSuccess
                                              ▲        │         ├▶ DC AUTS         SyncFailure
                                              └─ PIN ◀─┘ 6982    └▶ 9862            MacFailure

Each act is a dialogue (`usim.apdu`) that selects what it needs, since others may have spoken with the card meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from imsphone.errors import CardError, ParseError
from imsphone.usim import files
from imsphone.usim.aka import AkaSuccess, MacFailure, Outcome, SyncFailure
from imsphone.usim.apdu import (
    AUTHENTICATE,
    READ_BINARY,
    READ_RECORD,
    SELECT,
    Command,
    Dialogue,
    Response,
    exchange,
    explain,
)
from imsphone.usim.files import AIDS, Application, Fcp, KeyReference
from imsphone.usim.pin import Pin
from imsphone.usim.subscription import Subscription

T = TypeVar("T")

_BY_FILE, _BY_NAME, _FCP = 0x00, 0x04, 0x04  # SELECT (ETSI TS 102 221 11.1.1.2): P1, P1, P2
_AKA_CONTEXT = 0x81  # TS 31.103 7.1.2, TS 31.102 7.1.2: IMS AKA with the ISIM, 3G with the USIM
_WANTS_PIN, _WRONG_MAC = 0x6982, 0x9862
_SUCCESS, _SYNC_FAILURE = 0xDB, 0xDC
_PART_BYTES = 255
_MOST_BYTES = 1024
_MOST_RECORDS = 32


class Uicc:
    """The card of one phone. `pin` is given when the card asks for it."""

    def __init__(self, pin: Pin) -> None:
        self._pin = pin
        self._aids: dict[Application, bytes] = dict(AIDS)
        self._reference: KeyReference | None = None  # while no application is selected
        self._application: Application | None = None
        self._has_pin = False  # the card says that it asks for one
        self._was_given = False  # in this act

    def iccid(self) -> Dialogue[str | None]:
        """The number of the card, for which no PIN is asked; selects the MF."""
        if (yield from self._select_file(files.MF)) is None:
            return None
        return _useful(files.iccid, (yield from self._transparent(files.EF_ICCID)))

    def read(self) -> Dialogue[Subscription]:
        """Who the card says its holder is. Raises CardError: no application for us, its PIN, an answer that is none."""
        self._was_given = False
        iccid = yield from self.iccid()
        listed = files.applications((yield from self._records(files.EF_DIR)))
        for name, aid in AIDS.items():
            self._aids[name] = next((one for one in listed if one.startswith(aid)), aid)
        for read in (self._read_isim, self._read_usim):
            if (found := (yield from read())) is not None:
                self._application = found.application
                return replace(found, iccid=iccid, pin="given" if self._has_pin or self._was_given else "not asked for")
        raise CardError(
            "the card has neither an ISIM nor a USIM with an IMSI in it: it is a SIM for 2G, or was never personalised"
        )

    def authenticate(self, rand: bytes, autn: bytes) -> Dialogue[Outcome]:
        """What the card says to RAND and AUTN. Raises CardError where it says nothing of use."""
        if len(rand) != 16 or len(autn) != 16:
            return MacFailure("RAND and AUTN have not 16 octets each: the network's challenge is no AKA challenge")
        self._was_given = False
        application = self._application or "ISIM"
        if not (yield from self._select_application(application)):
            raise CardError(f"the {application} of the card is gone: is it another card?")
        challenge = b"".join(bytes([len(part)]) + part for part in (rand, autn))
        response = yield from self._with_pin(Command(AUTHENTICATE, 0, _AKA_CONTEXT, challenge, 256))
        if response.sw == _WRONG_MAC:
            return MacFailure()
        if not response.is_done:
            raise CardError(f"the card's {application} does not authenticate: {explain(response.sw)}")
        try:
            return _outcome(response.data)
        except ParseError as error:
            raise CardError(f"what the card's {application} answers to AUTHENTICATE cannot be read: {error}") from None

    # Applications -----------------------------------------------------------------------------------------------------

    def _read_isim(self) -> Dialogue[Subscription | None]:
        if not (yield from self._select_application("ISIM")):
            return None
        impi = _useful(files.text, (yield from self._transparent(files.EF_IMPI)))
        if impi is None:
            return None
        domain = _useful(files.text, (yield from self._transparent(files.EF_DOMAIN)))
        impus = yield from self._records(files.EF_IMPU)
        pcscfs = yield from self._records(files.EF_PCSCF)
        return Subscription(
            "ISIM",
            impi=impi,
            impus=tuple(impu for record in impus if (impu := _useful(files.text, record))),
            home_domain=domain,
            pcscfs=tuple(host for record in pcscfs if (host := _useful(files.pcscf, record))),
        )

    def _read_usim(self) -> Dialogue[Subscription | None]:
        if not (yield from self._select_application("USIM")):
            return None
        imsi = _useful(files.imsi, (yield from self._transparent(files.EF_IMSI)))
        if imsi is None:
            return None
        mnc_digits = files.mnc_digits((yield from self._transparent(files.EF_AD)) or b"")
        return Subscription("USIM", imsi=imsi, mnc_digits=mnc_digits)

    def _select_application(self, name: Application) -> Dialogue[bool]:
        response = yield from exchange(Command(SELECT, _BY_NAME, _FCP, self._aids[name], 256))
        if not response.has_data:
            return False
        fcp = _fcp(response)
        self._has_pin = fcp.pin is not None and fcp.pin.is_enabled
        self._reference = fcp.pin or KeyReference(1, True)
        return True

    # Files ------------------------------------------------------------------------------------------------------------

    def _select_file(self, number: int) -> Dialogue[Fcp | None]:
        """In the application that is selected; None where there is no such file."""
        response = yield from exchange(Command(SELECT, _BY_FILE, _FCP, number.to_bytes(2, "big"), 256))
        return _fcp(response) if response.has_data else None

    def _transparent(self, number: int) -> Dialogue[bytes | None]:
        """All of a transparent file, None where it is not there or not for us."""
        fcp = yield from self._select_file(number)
        if fcp is None:
            return None
        data = b""
        size = min(fcp.size, _MOST_BYTES)
        while len(data) < size:
            le = min(size - len(data), _PART_BYTES)
            response = yield from self._with_pin(Command(READ_BINARY, len(data) >> 8, len(data) & 0xFF, le=le))
            if not response.has_data or not response.data:
                break
            data += response.data
        return data or None

    def _records(self, number: int) -> Dialogue[list[bytes]]:
        """All records of a file, none where it is not there or not for us."""
        found: list[bytes] = []
        fcp = yield from self._select_file(number)
        if fcp is None:
            return found
        for record in range(1, min(fcp.records, _MOST_RECORDS) + 1):
            command = Command(READ_RECORD, record, 0x04, le=min(fcp.record_bytes, _PART_BYTES))  # 11.1.5: absolute
            response = yield from self._with_pin(command)
            if not response.has_data:
                break
            found.append(response.data)
        return found

    def _with_pin(self, command: Command) -> Dialogue[Response]:
        """A command, and once more after the PIN where the card wants that first; the PIN once an act."""
        response = yield from exchange(command)
        if response.sw == _WANTS_PIN and self._reference and self._reference.is_enabled and not self._was_given:
            self._was_given = True
            yield from self._pin.give(self._reference)
            response = yield from exchange(command)
        return response


def _fcp(response: Response) -> Fcp:
    try:
        return Fcp.parse(response.data)
    except ParseError as error:
        raise CardError(f"what the card says of its files cannot be read ({error}): it is no UICC") from None


def _useful(parse: Callable[[bytes], T | None], data: bytes | None) -> T | None:
    """What a file holds, None where that is nothing or cannot be read."""
    try:
        return parse(data) if data else None
    except ParseError:
        return None


def _outcome(data: bytes) -> Outcome:
    """The data that AUTHENTICATE gives back (TS 31.102 7.1.2.1, TS 31.103 7.1.2.1). Raises ParseError."""
    if data[:1] == bytes([_SUCCESS]):
        parts, at = [], 1
        for name, least, most in (("RES", 4, 32), ("CK", 16, 16), ("IK", 16, 16)):
            length = data[at] if at < len(data) else 0
            part = data[at + 1 : at + 1 + length]
            if not least <= length <= most or len(part) != length:
                raise ParseError(f"{name} of {least} octets" + (" or more" if most > least else ""), at)
            parts.append(part)
            at += 1 + length
        return AkaSuccess(*parts)  # Kc may follow, for GSM
    if data[:2] == bytes([_SYNC_FAILURE, 14]) and len(data) >= 16:
        return SyncFailure(data[2:16])
    raise ParseError("DB with RES, CK and IK, or DC with AUTS of 14 octets")
