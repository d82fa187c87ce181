"""The secrets of a software SIM, as a profile names them, and the functions that they make.

    algorithm    k               constant
    milenage     16 octets       op or opc, 16
    tuak         16 or 32        top or topc, 32

The constant comes either as the operator gave it (OP, TOP) or already bound to K (OPc, TOPc).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from imsphone.errors import ProfileError
from imsphone.profile import Profile, Secret
from imsphone.usim.aka import Algorithms
from imsphone.usim.milenage import Milenage
from imsphone.usim.tuak import Tuak

Algorithm = Literal["milenage", "tuak"]

_NAMES = {"milenage": ("op", "opc"), "tuak": ("top", "topc")}
_K_BYTES = {"milenage": (16,), "tuak": (16, 32)}
_CONSTANT_BYTES = {"milenage": 16, "tuak": 32}


@dataclass(frozen=True, slots=True)
class Keys:
    """K and the operator's constant; `is_bound`: the constant is OPc or TOPc."""

    algorithm: Algorithm
    k: bytes = field(repr=False)
    constant: bytes = field(repr=False)
    is_bound: bool = True
    res_bytes: int = 8

    @classmethod
    def of(cls, profile: Profile, open_secret: Callable[[str], Secret]) -> Keys:
        """The keys of a profile, each reference opened by `open_secret`. Raises ProfileError for one that is none."""
        names = _NAMES[profile.algorithm]
        given = [name for name in names if getattr(profile, name)]
        if not profile.k or len(given) != 1:
            missing = f"k or {names[1]} is missing: a SIM needs both ({names[0]} would do, but not beside it)"
            raise ProfileError(missing)
        k = open_secret(profile.k).key("k", *_K_BYTES[profile.algorithm])
        constant = open_secret(getattr(profile, given[0])).key(given[0], _CONSTANT_BYTES[profile.algorithm])
        return cls(profile.algorithm, k, constant, given[0] == names[1], profile.res_bits // 8)

    def algorithms(self) -> Algorithms:
        """The functions f1 to f5*."""
        if self.algorithm == "milenage":
            return (Milenage if self.is_bound else Milenage.from_op)(self.k, self.constant)
        return (Tuak if self.is_bound else Tuak.from_top)(self.k, self.constant, res_bytes=self.res_bytes)

    @property
    def constant_name(self) -> str:
        """What the profile calls the constant."""
        return _NAMES[self.algorithm][self.is_bound]

    @property
    def other_name(self) -> str:
        """What the profile calls the other form of it."""
        return _NAMES[self.algorithm][not self.is_bound]

    def __reduce__(self) -> NoReturn:
        raise TypeError("Keys are not pickled")
