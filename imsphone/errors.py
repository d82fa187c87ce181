"""What can go wrong, on one page.

    ImsPhoneError
    ├─ ProfileError            a key of the profile is missing or wrong: which one, and what it should be
    ├─ StateError              not now: names the state and what is allowed
    ├─ Rejected                the network said no: .status .reason .retry_after_s .response
    │  ├─ RegistrationRejected
    │  ├─ CallRejected
    │  └─ TextRejected
    ├─ TextTooLong             more than one MESSAGE may carry
    ├─ NetworkError            nothing resolves, nothing answers: .tried lists what was asked
    ├─ AuthenticationError     the network did not prove itself, or refuses our proof
    ├─ CardError               a card or its reader: not there, taken out, wants its PIN, cannot do it
    └─ AudioError              a sound device, a sound file or a codec
    ParseError(ValueError)     .offset .expected; only from parse functions that the caller called

Local mistakes raise, with a sentence that names the thing and the remedy. The peer's mistakes never raise: a machine
answers or drops them and tells `Violated`.
"""

from __future__ import annotations


class ImsPhoneError(Exception):
    """The root: everything that imsphone raises on purpose, but for ParseError."""


class ProfileError(ImsPhoneError):
    """A key of the profile is missing or wrong; the sentence names it and says what it should be."""


class StateError(ImsPhoneError):
    """The call or the phone is in no state for this; the sentence names the state and what is allowed."""


class Rejected(ImsPhoneError):
    """The network answered with a final refusal."""

    def __init__(
        self,
        status: int,
        reason: str,
        *,
        explanation: str = "",
        retry_after_s: int | None = None,
        response: bytes = b"",
    ) -> None:
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.response = response
        super().__init__(f"{status} {reason}" + (f": {explanation}" if explanation else ""))


class RegistrationRejected(Rejected):
    """The network refused the registration."""


class CallRejected(Rejected):
    """The call was not taken: busy, declined, no answer, no such user."""


class TextRejected(Rejected):
    """The text was not taken: no such user, not there, not allowed."""


class TextTooLong(ImsPhoneError):
    """The text is longer than one MESSAGE may carry; the sentence says by how much."""


class NetworkError(ImsPhoneError):
    """Nothing resolves or nothing answers; `tried` lists the addresses that were asked."""

    def __init__(self, sentence: str, tried: tuple[str, ...] = ()) -> None:
        self.tried = tried
        super().__init__(sentence)


class AuthenticationError(ImsPhoneError):
    """AKA failed: the network's MAC does not fit our key, or the network does not take our RES."""


class CardError(ImsPhoneError):
    """A card or its reader cannot do what was asked; the sentence says what to do about it."""


class AudioError(ImsPhoneError):
    """A sound device, a sound file or a codec cannot do what was asked."""


class ParseError(ValueError):
    """A text is not what it should be: `expected` says what, `offset` where."""

    def __init__(self, expected: str, offset: int = 0) -> None:
        self.expected = expected
        self.offset = offset
        super().__init__(f"expected {expected} at offset {offset}")
