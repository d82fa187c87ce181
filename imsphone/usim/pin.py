"""A PIN is given once, and never at a venture: three wrong ones block the card.

    6982 ─▶ VERIFY without a PIN ─┬▶ 9000           the card has it already
                                  ├▶ 63C3           all tries are left ─▶ VERIFY with it ─┬▶ 9000
                                  ├▶ 63C2, 63C1     one was wrong: only if told           └▶ 63C2  wrong, and that is it
                                  └▶ 6983, 63C0     blocked

The card is asked how many tries are left before one is used (ETSI TS 102 221 11.1.9: VERIFY PIN with no data costs
none). A right PIN gives back all three, so fewer mean that the last one given was wrong; that may have been ours, in a
run before this one, and who starts a phone again and again must not block its card by that. A card that does not say
counts as one with fewer.
"""

from __future__ import annotations

import re

from imsphone.errors import CardError, ProfileError
from imsphone.profile import Secret
from imsphone.usim.apdu import VERIFY, Command, Dialogue, exchange, explain, tries
from imsphone.usim.files import KeyReference

_PIN_BYTES = 8
_ALL_TRIES = 3  # ETSI TS 102 221 11.1.9.1.1
_BLOCKED = 0x6983


class Pin:
    """The PIN of a profile, for as long as its card is in use. `secret` is 4 to 8 digits, None where none was given.

    `may_retry`: somebody who knows what it costs has said so. Raises ProfileError where it is no PIN.
    """

    def __init__(self, secret: Secret | None, *, may_retry: bool = False) -> None:
        if secret is not None and not re.fullmatch(rb"[0-9]{4,8}", secret.reveal()):
            raise ProfileError("pin should be 4 to 8 digits")
        self._secret = secret
        self._may_retry = may_retry
        self._refused = ""

    def give(self, reference: KeyReference) -> Dialogue[None]:
        """Gives it to the card, once its state allows it. Raises CardError where the card does not get or take it."""
        if self._refused:
            raise CardError(self._refused)
        response = yield from exchange(Command(VERIFY, 0, reference.number))
        if response.is_done:
            return
        left = response.sw & 15 if response.sw >> 4 == 0x63C else 0 if response.sw == _BLOCKED else None
        if left == 0:
            raise CardError("the card's PIN is blocked: put it into a phone and give the PUK there")
        if self._secret is None:
            known = f" ({tries(left)})" if left else ""
            raise CardError(
                f'the card wants its PIN{known}: put it away by "imsphone profile '
                'set-secret NAME" and write pin = "keyring:NAME"'
            )
        if (left or 0) < _ALL_TRIES and not self._may_retry:
            why = f"had a wrong PIN before, {tries(left)}" if left else "does not say how many tries its PIN has left"
            raise CardError(
                f'the card {why}: be sure of the PIN, then give it once by "imsphone card --pin keyring:NAME --retry"'
            )
        digits = self._secret.reveal().ljust(_PIN_BYTES, b"\xff")  # ETSI TS 102 221 9.5.1
        response = yield from exchange(Command(VERIFY, 0, reference.number, digits))
        if not response.is_done:
            self._refused = f"the card does not take the PIN of the profile: {explain(response.sw)}"
            raise CardError(self._refused)
