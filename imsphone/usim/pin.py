"""A PIN is given once, and never at a venture: three wrong ones block the card.

    6982 ─▶ VERIFY without a PIN ─┬▶ 9000              nothing is asked for
                                  ├▶ 63C3, 63C2 ──▶ VERIFY with it ─┬▶ 9000
                                  ├▶ 63C1  the last try: only if told└▶ 63Cx  wrong: not a second time
                                  └▶ 6983  blocked

The card is asked how many tries are left before any is used (ETSI TS 102 221 11.1.9.1: VERIFY PIN with no data does
not count as a try). A card that does not say is treated as one with its last try.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from imsphone.errors import CardError, ProfileError
from imsphone.profile import Secret
from imsphone.usim.apdu import VERIFY, Command, Dialogue, exchange, explain, tries
from imsphone.usim.files import KeyReference

_PIN_BYTES = 8
_BLOCKED = 0x6983


@dataclass(frozen=True, slots=True)
class PinState:
    """What a card says of a PIN, without any being given. `tries_left` is None where it does not say."""

    is_enabled: bool
    is_verified: bool
    tries_left: int | None

    def __str__(self) -> str:
        if not self.is_enabled:
            return "not asked for"
        if self.tries_left == 0:
            return "blocked"
        if self.is_verified:
            return "given"
        return "wanted" if self.tries_left is None else f"wanted, {tries(self.tries_left)}"


def state(reference: KeyReference) -> Dialogue[PinState]:
    """Asks about a PIN."""
    response = yield from exchange(Command(VERIFY, 0, reference.number))
    left = response.sw & 15 if response.sw >> 4 == 0x63C else 0 if response.sw == _BLOCKED else None
    return PinState(reference.is_enabled, reference.is_enabled and response.is_done, left)


class Pin:
    """The PIN of a profile, for as long as its card is in use. `secret` is 4 to 8 digits, None where none was given.

    `may_use_last_try`: somebody who knows what it costs has said so. Raises ProfileError where it is no PIN.
    """

    def __init__(self, secret: Secret | None, *, may_use_last_try: bool = False) -> None:
        if secret is not None and not re.fullmatch(rb"[0-9]{4,8}", secret.reveal()):
            raise ProfileError("pin should be 4 to 8 digits")
        self._secret = secret
        self._may_use_last_try = may_use_last_try
        self._refused = ""

    def give(self, reference: KeyReference) -> Dialogue[None]:
        """Gives it to the card, once its state allows it. Raises CardError where the card does not get or take it."""
        if self._refused:
            raise CardError(self._refused)
        seen = yield from state(reference)
        if seen.is_verified:
            return
        if seen.tries_left == 0:
            raise CardError("the card's PIN is blocked: put it into a phone and give the PUK there")
        if self._secret is None:
            raise CardError(
                f'the card wants its PIN ({tries(seen.tries_left or 1)}): put it away by "imsphone profile '
                'set-secret NAME" and write pin = "keyring:NAME"'
            )
        if (seen.tries_left or 1) == 1 and not self._may_use_last_try:
            why = "has one try left for its PIN" if seen.tries_left else "does not say how many tries its PIN has left"
            raise CardError(
                f"the card {why}, so it was not given: be sure of it, then give it once by "
                '"imsphone card --pin keyring:NAME --last-try"'
            )
        digits = self._secret.reveal().ljust(_PIN_BYTES, b"\xff")  # ETSI TS 102 221 9.5.1
        response = yield from exchange(Command(VERIFY, 0, reference.number, digits))
        if not response.is_done:
            self._refused = f"the card does not take the PIN of the profile: {explain(response.sw)}"
            raise CardError(self._refused)
