"""Who is registered, where, and for how long (RFC 3261 10.3, TS 24.229 5.4.1): the S-CSCF's memory.

    IMPU ─┐
    IMPU ─┼──▶ Registration ──┬── Bound contact, its Path, until 12:40
    IMPU ─┘    (one profile)  └── Bound contact, its Path, until 13:05

All identities of an implicit set share one registration. A device that comes back with another contact takes the place
of its old one (TS 24.229 5.4.1.2.2 step 4A): it is the same if private identity and `+sip.instance` are, or if neither
contact names an instance. Other devices stand beside it, and a call goes to all of them.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Final

from imsphone.lab.subscriber import Profile
from imsphone.sip.fields import NameAddr
from imsphone.sip.uri import Uri

MOST_CONTACTS: Final = 10


@dataclass(frozen=True, slots=True)
class Bound:
    """One contact. `path` leads to it, nearest hop first (RFC 3327)."""

    contact: NameAddr
    path: tuple[str, ...]
    impi: str
    expires_at: float

    def header(self, now: float) -> str:
        """The Contact value of a 200, with the seconds that are left."""
        return str(self.contact.with_params(expires=str(max(0, round(self.expires_at - now)))))


@dataclass(slots=True)
class Registration:
    """One implicit set that is registered."""

    profile: Profile
    bound: list[Bound] = field(default_factory=list)

    def associated(self) -> list[str]:
        """P-Associated-URI: what may be used, the default identity first (5.4.1.2.2F)."""
        return [impu for impu in self.profile.impus if impu not in self.profile.barred]


class Registrar:
    """All registrations, by each of their identities."""

    def __init__(self) -> None:
        self._by_impu: dict[str, Registration] = {}
        self._ends: list[tuple[float, str]] = []

    @property
    def deadline(self) -> float | None:
        """When the next contact's time is over."""
        while self._ends and not self._ending(*self._ends[0]):
            heapq.heappop(self._ends)
        return self._ends[0][0] if self._ends else None

    def _ending(self, at: float, impu: str) -> bool:
        registration = self._by_impu.get(impu)
        return registration is not None and any(bound.expires_at == at for bound in registration.bound)

    def find(self, impu: str) -> Registration | None:
        """The registration that this identity is part of."""
        return self._by_impu.get(impu)

    def open(self, profile: Profile) -> Registration:
        """The registration of this profile; the profile is the newest that the HSS gave."""
        registration = self._by_impu.get(profile.impus[0])
        if registration is None:
            registration = Registration(profile)
        registration.profile = profile
        for impu in profile.impus:
            self._by_impu[impu] = registration
        return registration

    def has_room(self, registration: Registration | None, contacts: list[NameAddr], impi: str) -> bool:
        """Whether these contacts fit beside those that stay (5.4.1.2.2: else 403)."""
        staying = [] if registration is None else registration.bound
        for contact in contacts:
            staying = [bound for bound in staying if not _is_replaced(bound, contact, impi)]
        return len(staying) + len(contacts) <= MOST_CONTACTS

    def bind(self, registration: Registration, bound: Bound) -> None:
        """One more contact, or a known one for longer."""
        registration.bound = [old for old in registration.bound if not _is_replaced(old, bound.contact, bound.impi)]
        registration.bound.append(bound)
        heapq.heappush(self._ends, (bound.expires_at, registration.profile.impus[0]))

    def unbind(self, registration: Registration, contact: Uri | None, impi: str) -> None:
        """A contact goes; None: all of this private identity (`Contact: *`)."""
        registration.bound = [
            bound
            for bound in registration.bound
            if bound.impi != impi or not (contact is None or bound.contact.uri.matches(contact))
        ]

    def close(self, registration: Registration) -> None:
        """Nobody is left: forget the set."""
        for impu in registration.profile.impus:
            if self._by_impu.get(impu) is registration:
                del self._by_impu[impu]

    def end(self, now: float) -> list[Registration]:
        """Takes away every contact whose time is over; gives the registrations that have none left, closed."""
        emptied = []
        while (at := self.deadline) is not None and at <= now:
            registration = self._by_impu[heapq.heappop(self._ends)[1]]
            registration.bound = [bound for bound in registration.bound if bound.expires_at > now]
            if not registration.bound:
                self.close(registration)
                emptied.append(registration)
        return emptied

    def __len__(self) -> int:
        return len({id(registration) for registration in self._by_impu.values()})


def _is_replaced(old: Bound, contact: NameAddr, impi: str) -> bool:
    """The same address, or the same device at another one: same private identity and instance, no reg-id."""
    is_same_device = old.contact.params.get("+sip.instance") == contact.params.get("+sip.instance")
    if is_same_device and old.impi == impi and "reg-id" not in contact.params:
        return True
    return old.contact.uri.matches(contact.uri)
