"""What nobody is to see by accident: K, OP, OPc, a PIN or a password."""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import NoReturn

from imsphone.errors import ProfileError


class Secret:
    """Octets that nobody sees by accident: K, OP, OPc or a password.

    Printed, formatted or put into a message it is three dots; it does not pickle and does not copy; it compares in
    constant time. Whoever needs the octets says so: `reveal()`.
    """

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = bytes(data)

    def reveal(self) -> bytes:
        """The octets."""
        return self._data

    def key(self, name: str, *sizes: int) -> bytes:
        """The octets that this text spells in hex digits; blanks between them do not count.

        `sizes` are the lengths that fit, in octets, 16 where none is said; `name` is "k", "op" and the like. Raises
        ProfileError, which says how many digits there are and never which.
        """
        digits = b"".join(self._data.split())
        should = " or ".join(str(2 * size) for size in sizes or (16,))
        if not re.fullmatch(rb"[0-9A-Fa-f]*", digits):
            raise ProfileError(f"{name} holds a character that is no hex digit; it should be {should} hex digits")
        if len(digits) not in {2 * size for size in sizes or (16,)}:
            raise ProfileError(f"{name} has {len(digits)} hex digits; it should have {should}")
        return bytes.fromhex(digits.decode())

    def __repr__(self) -> str:
        return "•••"

    def __format__(self, _spec: str) -> str:
        return "•••"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and compare_digest(self._data, other._data)

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a Secret is not pickled")
