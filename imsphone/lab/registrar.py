"""Who is registered, where, and for how long (RFC 3261 10.3, TS 24.229 5.4.1): the S-CSCF's memory.

    IMPU ─┐
    IMPU ─┼──▶ Registration ──┬── Bound contact, its Path, until 12:40
    IMPU ─┘    (one profile)  └── Bound contact, its Path, until 13:05

All identities of an implicit set share one registration. A device that comes back with another contact takes the place
of its old one (TS 24.229 5.4.1.2.2 step 4A): it is the same if private identity and `+sip.instance` are, or if neither
contact names an instance. Other devices stand beside it, and a call goes to all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from imsphone.lab.alarms import Alarms
from imsphone.lab.emergency import is_contact
from imsphone.lab.subscriber import Profile
from imsphone.sip.fields import NameAddr
from imsphone.sip.grammar import quote
from imsphone.sip.uri import Uri

MOST_CONTACTS: Final = 10


@dataclass(frozen=True, slots=True)
class Bound:
    """One contact. `path` leads to it, nearest hop first (RFC 3327); `call_id` and `cseq` are of its last REGISTER."""

    contact: NameAddr
    path: tuple[str, ...]
    impi: str
    expires_at: float
    call_id: str = ""
    cseq: int = 0

    def header(self, now: float, gruus: tuple[str, str] | None = None) -> str:
        """The Contact value of a 200, with the seconds that are left and its public and temporary GRUU."""
        contact = self.contact.with_params(expires=str(max(0, round(self.expires_at - now))))
        if gruus is not None:
            contact = contact.with_params(**{"pub-gruu": quote(gruus[0]), "temp-gruu": quote(gruus[1])})
        return str(contact)


@dataclass(slots=True)
class Registration:
    """One implicit set that is registered."""

    profile: Profile
    bound: list[Bound] = field(default_factory=list)

    def is_overtaken(self, contact: Uri | None, call_id: str, cseq: int) -> bool:
        """Whether a later REGISTER than this one has set this contact (None: any) already (RFC 3261 10.3 step 6, 7)."""
        return any(
            bound.call_id == call_id and cseq <= bound.cseq
            for bound in self.bound
            if contact is None or bound.contact.uri.matches(contact)
        )

    def associated(self) -> list[str]:
        """P-Associated-URI: what may be used, the default identity first (5.4.1.2.2F)."""
        return [impu for impu in self.profile.impus if impu not in self.profile.barred]


class Registrar:
    """All registrations, by each of their identities."""

    def __init__(self) -> None:
        self._by_impu: dict[str, Registration] = {}
        self._ends = Alarms[str]()  # by the first identity of the set

    @property
    def deadline(self) -> float | None:
        """When the next contact's time is over."""
        return self._ends.deadline

    def find(self, impu: str) -> Registration | None:
        """The registration that this identity is part of."""
        return self._by_impu.get(impu)

    def of(self, impi: str) -> tuple[str, ...]:
        """The registered identities of this private identity."""
        return tuple(impu for impu, known in self._by_impu.items() if known.profile.impi == impi)

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

    def bind(self, registration: Registration, bound: Bound) -> list[Bound]:
        """One more contact, or a known one for longer. Gives the contacts whose place it took."""
        replaced = [old for old in registration.bound if _is_replaced(old, bound.contact, bound.impi)]
        registration.bound = [old for old in registration.bound if old not in replaced]
        registration.bound.append(bound)
        self._set_alarm(registration)
        return [old for old in replaced if not old.contact.uri.matches(bound.contact.uri)]

    def unbind(self, registration: Registration, contact: NameAddr | None, impi: str) -> list[Bound]:
        """A contact goes, one flow of it; None: all of this private identity (`Contact: *`). Gives what went."""
        gone = [
            bound
            for bound in registration.bound
            if bound.impi == impi and (contact is None or _is_same(bound.contact, contact))
        ]
        registration.bound = [bound for bound in registration.bound if bound not in gone]
        self._set_alarm(registration)
        return gone

    def shorten(self, registration: Registration, until: float) -> None:
        """No contact lasts longer than `until` (5.4.1.6)."""
        registration.bound = [replace(bound, expires_at=min(bound.expires_at, until)) for bound in registration.bound]
        self._set_alarm(registration)

    def close(self, registration: Registration) -> None:
        """Nobody is left: forget the set."""
        self._ends.set(registration.profile.impus[0], None)
        for impu in registration.profile.impus:
            if self._by_impu.get(impu) is registration:
                del self._by_impu[impu]

    def end(self, now: float) -> list[tuple[Registration, list[Bound]]]:
        """Takes away every contact whose time is over; gives them. A registration that has none left is closed."""
        ended = []
        for impu in self._ends.due(now):
            registration = self._by_impu[impu]
            gone = [bound for bound in registration.bound if bound.expires_at <= now]
            registration.bound = [bound for bound in registration.bound if bound not in gone]
            if registration.bound:
                self._set_alarm(registration)
            else:
                self.close(registration)
            ended.append((registration, gone))
        return ended

    def _set_alarm(self, registration: Registration) -> None:
        first = min((bound.expires_at for bound in registration.bound), default=None)
        self._ends.set(registration.profile.impus[0], first)

    def __len__(self) -> int:
        return len({id(registration) for registration in self._by_impu.values()})


def _is_replaced(old: Bound, contact: NameAddr, impi: str) -> bool:
    """The same address, or the same device at another one: same private identity and instance, no other reg-id.

    An emergency registration stands beside the device's other one (5.4.8.2), a flow beside the others (RFC 5626 6).
    """
    is_same_device = old.contact.params.get("+sip.instance") == contact.params.get("+sip.instance")
    is_same_kind = is_contact(old.contact.uri) == is_contact(contact.uri)
    reg_id = contact.params.get("reg-id")
    if is_same_device and is_same_kind and old.impi == impi and reg_id in (None, old.contact.params.get("reg-id")):
        return True
    return _is_same(old.contact, contact)


def _is_same(one: NameAddr, other: NameAddr) -> bool:
    """Whether two contacts are one, by their address and their flow."""
    return one.uri.matches(other.uri) and one.params.get("reg-id") == other.params.get("reg-id")
