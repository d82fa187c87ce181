"""A card in a reader, through PC/SC: `usim.uicc` speaks, this carries the octets.

    Phone ── authenticate(RAND, AUTN) ──▶ Card ── dialogue ──▶ pyscard ──▶ pcscd ──▶ reader ──▶ card
             in a thread of its own        │ one transaction, so that nobody speaks in between

A card may be slow, so whoever has an event loop calls this from a thread. A card that was taken out and put in again is
taken up again, if it is the same one: its ICCID says so before any PIN is given.

PIN, CK and IK cross the reader in the clear, and `pcscd --apdu` writes them into its log; nothing here does.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from imsphone.errors import CardError
from imsphone.profile import Profile, Secret
from imsphone.store import open_secret
from imsphone.usim.aka import NoAnswer, Outcome
from imsphone.usim.apdu import Dialogue, converse
from imsphone.usim.apdu import Protocol as CardProtocol
from imsphone.usim.pin import Pin
from imsphone.usim.subscription import Subscription
from imsphone.usim.uicc import Uicc

T = TypeVar("T")
PATIENCE_S = 10.0  # with another program that has the card for itself


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader that PC/SC knows; `has_card`: something is in it, whether it answers or not."""

    name: str
    has_card: bool


def readers() -> list[Reader]:
    """All readers. Raises CardError where there is no pyscard or no PC/SC service."""
    with _Context() as context:
        return context.readers()


def open_card(profile: Profile) -> Card:
    """The card that a profile names, read. Raises CardError, ProfileError where its PIN is none."""
    pin = open_secret(profile.pin) if profile.pin else None
    return Card((profile.sim or "").removeprefix("card:"), pin)


class Card:
    """The card in the reader whose name has `wish` in it (empty: in the only one with a card), read and ready.

    `pin` is given where the card asks; with `may_retry` although a wrong one was given before. Raises CardError with
    what to do about it.
    """

    def __init__(self, wish: str = "", pin: Secret | None = None, *, may_retry: bool = False) -> None:
        self._uicc = Uicc(Pin(pin, may_retry=may_retry))
        self._lock = threading.Lock()
        self._context = _Context()
        self._wish = wish
        self._link: _Link | None = None
        self._is_closed = False
        try:
            self._link = self._connect()
            self.reader = self._link.reader
            self.subscription: Subscription = self._link.converse(self._uicc.read())
        except BaseException:
            self.close()
            raise

    def complete(self, profile: Profile) -> Profile:
        """The profile with what it leaves open and the card says."""
        return self.subscription.complete(profile)

    def authenticate(self, rand: bytes, autn: bytes) -> Outcome | NoAnswer:
        """What the card says to a challenge, or why it says nothing; it takes a while and does not raise."""
        with self._lock:
            try:
                if self._link is None:
                    self._link = self._take_up_again()
                return self._link.converse(self._uicc.authenticate(rand, autn))
            except CardError as error:
                if self._link is not None and self._link.is_lost:
                    self._link = None
                return NoAnswer(str(error))

    def close(self) -> None:
        """Leaves the card to others. Nothing is asked of it afterwards."""
        with self._lock:
            self._is_closed = True
            if self._link is not None:
                self._link.close()
            self._link = None
            self._context.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> _Link:
        return _Link(self._context, choose(self._wish, self._context.readers()))

    def _take_up_again(self) -> _Link:
        if self._is_closed:
            raise CardError(f"the card in {self.reader} is not in use any more")
        self._context.close()  # the service may be another one by now
        self._context = _Context()
        link = self._connect()
        try:
            number = link.converse(self._uicc.iccid())
            if number is None or number != self.subscription.iccid:
                raise CardError(f"another card is in {link.reader} now: start again to use it")
        except CardError:
            link.close()
            raise
        self.reader = link.reader
        return link


def choose(wish: str, found: list[Reader]) -> str:
    """The name of the reader to use. Raises CardError where none fits, or more than one."""
    if not found:
        raise CardError("no card reader is connected: plug one in (and look at it by `imsphone card`)")
    fitting = [one for one in found if one.name == wish] or [one for one in found if wish.lower() in one.name.lower()]
    names = ", ".join(f'"{one.name}"' for one in fitting or found)
    if not fitting:
        raise CardError(f'no card reader has "{wish}" in its name; there is {names}')
    filled = [one for one in fitting if one.has_card]
    if not filled:
        raise CardError(f"no card is in {names}: put one in")
    if len(filled) > 1:
        names = " or ".join(f'"card:{one.name}"' for one in filled)
        raise CardError(f"there are {len(filled)} cards: say which, sim = {names}")
    return filled[0].name


# PC/SC ----------------------------------------------------------------------------------------------------------------


class _Context:
    """A connection to the PC/SC service."""

    def __init__(self) -> None:
        try:
            from smartcard import scard
        except ImportError as error:
            raise CardError(
                f'cards are read through pyscard, which is not here ({error}): pip install "imsphone[card]" '
                "(on Debian after apt-get install pcscd libpcsclite-dev gcc)"
            ) from None
        self.scard: Any = scard
        code, self.handle = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        self.expect(code)

    def readers(self) -> list[Reader]:
        scard = self.scard
        code, names = scard.SCardListReaders(self.handle, [])
        if code == scard.SCARD_E_NO_READERS_AVAILABLE:
            return []
        self.expect(code)
        code, states = scard.SCardGetStatusChange(self.handle, 0, [(name, scard.SCARD_STATE_UNAWARE) for name in names])
        self.expect(code)
        return [Reader(name, bool(state & scard.SCARD_STATE_PRESENT)) for name, state, _ in states]

    def expect(self, code: int, reader: str = "the reader") -> None:
        """Raises CardError where `code` is not success."""
        if code != self.scard.SCARD_S_SUCCESS:
            raise CardError(self.sentence(code, reader))

    def sentence(self, code: int, reader: str) -> str:
        """What a code of PC/SC means here, and what helps."""
        said = next((said for names, said in _SENTENCES if code in (getattr(self.scard, name) for name in names)), None)
        if said is not None:
            return said.format(reader=reader)
        return f"{reader} does not do it: PC/SC says {self.scard.SCardGetErrorMessage(code).rstrip('.')} ({code:08X})"

    def close(self) -> None:
        """Afterwards it is good for nothing; twice does no harm."""
        self.scard.SCardReleaseContext(self.handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Link:
    """A card that gets current, shared with other programs; a dialogue has it for itself."""

    def __init__(self, context: _Context, reader: str) -> None:
        scard = context.scard
        self._context = context
        self.reader = reader
        self.is_lost = False
        self._both = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, self._handle, self._protocol = scard.SCardConnect(
            context.handle, reader, scard.SCARD_SHARE_SHARED, self._both
        )
        context.expect(code, reader)

    def converse(self, dialogue: Dialogue[T]) -> T:
        """Runs a dialogue as one transaction."""
        scard = self._context.scard
        code = self._begin()
        if code == scard.SCARD_W_RESET_CARD:  # another program did that
            code, self._protocol = scard.SCardReconnect(
                self._handle, scard.SCARD_SHARE_SHARED, self._both, scard.SCARD_LEAVE_CARD
            )
            self._expect(code)
            code = self._begin()
        self._expect(code)
        protocol: CardProtocol = "T=0" if self._protocol == scard.SCARD_PROTOCOL_T0 else "T=1"
        try:
            return converse(dialogue, self._transmit, protocol)
        finally:
            scard.SCardEndTransaction(self._handle, scard.SCARD_LEAVE_CARD)

    def _begin(self) -> int:
        """Waits for a program that has the card for itself, which PC/SC would do for ever."""
        scard = self._context.scard
        codes: list[int] = []
        begin = threading.Thread(target=lambda: codes.append(scard.SCardBeginTransaction(self._handle)), daemon=True)
        begin.start()
        begin.join(PATIENCE_S)
        return codes[0] if codes else int(scard.SCARD_E_SHARING_VIOLATION)  # disconnected, it gives up too

    def _transmit(self, command: bytes) -> bytes:
        scard = self._context.scard
        pci = scard.SCARD_PCI_T0 if self._protocol == scard.SCARD_PROTOCOL_T0 else scard.SCARD_PCI_T1
        code, response = scard.SCardTransmit(self._handle, pci, list(command))
        self._expect(code)
        return bytes(octet & 0xFF for octet in response)

    def _expect(self, code: int) -> None:
        if code != self._context.scard.SCARD_S_SUCCESS:
            self.is_lost = True
            self.close()
        self._context.expect(code, self.reader)

    def close(self) -> None:
        scard = self._context.scard
        scard.SCardDisconnect(self._handle, scard.SCARD_LEAVE_CARD)


_SENTENCES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("SCARD_E_NO_SERVICE", "SCARD_E_SERVICE_STOPPED"),
        "no PC/SC service runs here: start pcscd (Debian: apt-get install pcscd, systemctl start pcscd.socket)",
    ),
    (
        ("SCARD_E_UNKNOWN_READER", "SCARD_E_READER_UNAVAILABLE", "SCARD_E_NO_READERS_AVAILABLE"),
        "{reader} was unplugged: plug it in again",
    ),
    (
        ("SCARD_W_REMOVED_CARD", "SCARD_E_NO_SMARTCARD"),
        "the card was taken out of {reader}: put it in again",
    ),
    (
        ("SCARD_W_UNRESPONSIVE_CARD", "SCARD_W_UNPOWERED_CARD", "SCARD_W_UNSUPPORTED_CARD", "SCARD_E_PROTO_MISMATCH"),
        "the card in {reader} does not answer: is it put in the right way round?",
    ),
    (
        ("SCARD_E_SHARING_VIOLATION",),
        "another program has the card in {reader} for itself: end that first",
    ),
    (
        ("SCARD_W_RESET_CARD",),
        "another program has reset the card in {reader} in the middle: end that, and try again",
    ),
    (
        ("SCARD_E_NO_ACCESS", "SCARD_W_SECURITY_VIOLATION"),
        "this user may not use {reader}: polkit asks for a local session (see pcscd's README.polkit)",
    ),
    (
        ("SCARD_F_COMM_ERROR", "SCARD_E_NOT_TRANSACTED"),
        "the card in {reader} broke off: was it taken out? If not, clean its contacts; then put it in again",
    ),
)
