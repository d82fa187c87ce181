"""What goes to a card and what comes back, as octets (ETSI TS 102 221 10, ISO/IEC 7816-3 12).

    command    CLA INS P1 P2 │ Lc data │ Le          response    data │ SW1 SW2

T=0 knows no command with data both ways: Le stays at home, the card says 61xx ("xx octets wait") and GET RESPONSE
fetches them; a wrong Le is answered 6Cxx with the right one. `exchange` does both, whichever protocol it is.

Who speaks with a card is a *dialogue*, a generator that yields commands and is sent responses. It touches no reader, so
that all of it is tested without one; `converse` runs it on something that transmits.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from imsphone.errors import CardError

Protocol = Literal["T=0", "T=1"]
T = TypeVar("T")

MOST_COMMANDS = 600  # of one conversation: reading a card takes about 40
_MOST_PARTS = 16  # GET RESPONSE after one command

SELECT, READ_BINARY, READ_RECORD, VERIFY, AUTHENTICATE, GET_RESPONSE = 0xA4, 0xB0, 0xB2, 0x20, 0x88, 0xC0
_NAMES = {
    SELECT: "SELECT",
    READ_BINARY: "READ BINARY",
    READ_RECORD: "READ RECORD",
    VERIFY: "VERIFY PIN",
    AUTHENTICATE: "AUTHENTICATE",
    GET_RESPONSE: "GET RESPONSE",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One command of class 00. `le`: how many octets are wanted, 256 for whatever there is, 0 for none."""

    ins: int
    p1: int = 0
    p2: int = 0
    data: bytes = field(default=b"", repr=False)  # it may be a PIN
    le: int = 0

    def octets(self, protocol: Protocol) -> bytes:
        """As it goes to the card."""
        header = bytes([0x00, self.ins, self.p1, self.p2])
        if self.data:
            le = bytes([self.le & 0xFF]) if self.le and protocol == "T=1" else b""  # ISO/IEC 7816-3 12.2.5: case 4
            return header + bytes([len(self.data)]) + self.data + le
        if self.le:
            return header + bytes([self.le & 0xFF])
        return header + (b"\x00" if protocol == "T=0" else b"")  # 12.2.2: case 1, P3 is 00

    def __str__(self) -> str:
        return _NAMES.get(self.ins, f"INS {self.ins:02X}")


@dataclass(frozen=True, slots=True)
class Response:
    """What the card answered: data, and the two status octets as one number."""

    sw: int
    data: bytes = field(default=b"", repr=False)  # it may be CK and IK

    @classmethod
    def of(cls, octets: bytes) -> Response:
        """Of what the reader gives back. Raises CardError where there is no status."""
        if len(octets) < 2:
            raise CardError("the card answers nothing that is an answer: is it put in the right way round?")
        return cls(int.from_bytes(octets[-2:], "big"), octets[:-2])

    @property
    def is_done(self) -> bool:
        """Whether the card did it: 9000, or 91xx where it has something to propose besides (10.2.1.1)."""
        return self.sw == 0x9000 or self.sw >> 8 in (0x91, 0x92)

    @property
    def has_data(self) -> bool:
        """Whether it did it, or gave what it has with a warning (10.2.1.3)."""
        return self.is_done or (self.sw >> 8 in (0x62, 0x63) and bool(self.data))


Dialogue = Generator[Command, Response, T]


def exchange(command: Command) -> Dialogue[Response]:
    """One command and its whole answer, however many parts the card gives it in."""
    response = yield command
    if response.sw >> 8 == 0x6C and command.le:  # ISO/IEC 7816-3 12.2.3: the card says which Le it likes
        response = yield replace(command, le=response.sw & 0xFF or 256)
    data = b""
    for _ in range(_MOST_PARTS):
        if response.sw >> 8 != 0x61:
            return Response(response.sw, data + response.data)
        data += response.data
        response = yield Command(GET_RESPONSE, le=response.sw & 0xFF or 256)
        if response.sw >> 8 == 0x6C:
            response = yield Command(GET_RESPONSE, le=response.sw & 0xFF or 256)
    raise CardError(f"the card never comes to the end of its answer to {command}: take it out and put it in again")


def converse(dialogue: Dialogue[T], transmit: Callable[[bytes], bytes], protocol: Protocol) -> T:
    """Runs a dialogue to its end and gives its result. What `transmit` and the dialogue raise goes through."""
    try:
        command = next(dialogue)
        for _ in range(MOST_COMMANDS):
            command = dialogue.send(Response.of(transmit(command.octets(protocol))))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        dialogue.close()
    raise CardError(f"the card had {MOST_COMMANDS} commands and wants more: it is no UICC, or a broken one")


def explain(sw: int) -> str:
    """What a status means, in words (ETSI TS 102 221 10.2.1, TS 31.102 7.3)."""
    if sw >> 4 == 0x63C:
        return f"the PIN is wrong, {tries(sw & 15)}"
    said = _STATUS.get(sw) or _STATUS.get(sw & 0xFF00, "")
    return f"{said} ({sw:04X})" if said else f"status {sw:04X}"


def tries(count: int) -> str:
    """How many tries are left, in words."""
    return "1 try is left" if count == 1 else f"{count or 'no'} tries are left"


_STATUS = {
    0x6200: "a warning",
    0x6281: "what is returned may be corrupted",
    0x6282: "the file ends before that",
    0x6283: "the file or application is deactivated",
    0x6285: "the file is terminated",
    0x6400: "the card could not do it, nothing has changed",
    0x6500: "the card could not do it, something has changed",
    0x6581: "its memory has a fault",
    0x6700: "the length is wrong",
    0x6800: "logical channels or secure messaging are not supported",
    0x6900: "not allowed",
    0x6981: "that is not how this file is built",
    0x6982: "the PIN has to be given first",
    0x6983: "the PIN is blocked",
    0x6984: "the PIN is disabled or cannot be used",
    0x6985: "the conditions for it are not met",
    0x6986: "no file is selected",
    0x6A80: "the data are wrong",
    0x6A81: "the function is not supported",
    0x6A82: "there is no such file or application",
    0x6A83: "there is no such record",
    0x6A86: "P1 or P2 is wrong",
    0x6A87: "the length does not go with P1 and P2",
    0x6A88: "there is no such key",
    0x6B00: "the place is outside of the file",
    0x6D00: "it does not know the instruction",
    0x6E00: "it does not know the class",
    0x6F00: "a technical problem without a name",
    0x9300: "its toolkit is busy",
    0x9850: "a counter is at its end",
    0x9862: "the MAC is wrong",
    0x9863: "the session of the security context is not valid or has expired",
    0x9864: "it does not know this security context: the application is for 2G only",
    0x9865: "the key is not fresh",
    0x9866: "its memory is full",
    0x9867: "its memory is full",
}
