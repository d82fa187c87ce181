"""What the network thinks of us: `application/reginfo+xml` (RFC 3680), read and kept.

    <reginfo version="1" state="partial">                      one NOTIFY
      <registration aor="sip:alice@…" state="active">          one identity of the implicit set
        <contact state="active" event="shortened" expires="60"><uri>sip:…</uri></contact>

`state="full"` replaces what was known, `partial` adds to it, and each version is one more than the last: who misses one
knows nothing for sure and has to ask for the full state (RFC 3680 5.2). The XML comes from outside, so entities stay
unresolved and nothing is fetched for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from imsphone.errors import ParseError
from imsphone.sip.uri import Uri

_NAMESPACE = "{urn:ietf:params:xml:ns:reginfo}"
_GRUU = "{urn:ietf:params:xml:ns:gruuinfo}"
_MOST_KEPT = 1000  # identities: more than any subscription has


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact of an identity. `state` is active or terminated, `event` what made it so."""

    id: str
    uri: str
    state: str
    event: str
    expires_s: int | None = None
    retry_after_s: int | None = None
    pub_gruu: str = ""
    temp_gruu: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """One identity: `state` is init, active or terminated."""

    id: str
    aor: str
    state: str
    contacts: tuple[Contact, ...]


@dataclass(frozen=True, slots=True)
class Reginfo:
    """One document."""

    version: int
    is_full: bool
    registrations: tuple[Registration, ...]

    @classmethod
    def parse(cls, data: bytes) -> Reginfo:
        """Reads a document; elements that it does not know are skipped. Raises ParseError."""
        from lxml import etree  # 10 ms that only who is notified pays

        parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
        try:
            root = etree.fromstring(data, parser)
        except (etree.LxmlError, ValueError) as error:
            raise ParseError(f"reginfo in XML ({error})") from None
        if root is None or root.tag != f"{_NAMESPACE}reginfo":
            raise ParseError("a reginfo element of RFC 3680")
        version = _number(root.get("version"))
        if version is None or root.get("state") not in ("full", "partial"):
            raise ParseError("a reginfo with version and state")
        found = tuple(_registration(element) for element in root.iterfind(f"{_NAMESPACE}registration"))
        return cls(version, root.get("state") == "full", found[:_MOST_KEPT])


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the network says of our own contact: `fate` is held, or gone by `event`."""

    fate: Literal["held", "gone"]
    event: str
    expires_s: int | None = None
    retry_after_s: int | None = None


class Known:
    """All that the documents of one subscription said so far."""

    def __init__(self) -> None:
        self.registrations: dict[str, Registration] = {}
        self._version: int | None = None

    def apply(self, document: Reginfo) -> bool:
        """Takes a document in. False: one was missed, so this is not to be trusted before the full state has come."""
        last = self._version
        if last is not None and document.version <= last and not (document.is_full and document.version == 0):
            return True  # RFC 3680 5.2: an old one, discarded
        if not document.is_full and (last is None or document.version != last + 1):
            return False
        self._version = document.version
        if document.is_full:
            self.registrations = {}
        for registration in document.registrations:
            before = self.registrations.get(registration.id)
            if before is not None:
                told = {contact.id for contact in registration.contacts}
                kept = tuple(one for one in before.contacts if one.id not in told and one.state == "active")
                registration = Registration(
                    registration.id, registration.aor, registration.state, kept + registration.contacts
                )
            if before is not None or len(self.registrations) < _MOST_KEPT:
                self.registrations[registration.id] = registration
        return True

    def sighting(self, is_own: Callable[[Uri], bool]) -> Sighting | None:
        """What became of our own contact, None where it says nothing of it.

        One identity that still holds us is enough to be registered. A registration that is terminated without naming
        contacts took ours along (some networks write so after a deregistration of theirs).
        """
        held: Sighting | None = None
        gone: Sighting | None = None
        for registration in self.registrations.values():
            own = [contact for contact in registration.contacts if _is(contact.uri, is_own)]
            for contact in own:
                seen = (contact.event, contact.expires_s, contact.retry_after_s)
                if registration.state != "terminated" and contact.state == "active":
                    held = Sighting("held", *seen) if held is None or contact.event == "shortened" else held
                else:
                    gone = Sighting("gone", *seen)
            if registration.state == "terminated" and not registration.contacts and gone is None:
                gone = Sighting("gone", "")
        return held or gone

    def gruus(self, is_own: Callable[[Uri], bool]) -> list[tuple[str, str, str]]:
        """Each identity that holds our contact, with the GRUUs that name it, one or both (TS 24.229 5.1.2.1)."""
        return [
            (registration.aor, contact.pub_gruu, contact.temp_gruu)
            for registration in self.registrations.values()
            for contact in registration.contacts
            if contact.state == "active" and (contact.pub_gruu or contact.temp_gruu) and _is(contact.uri, is_own)
        ]

    def ended(self) -> list[str]:
        """The identities that are deregistered."""
        return [registration.aor for registration in self.registrations.values() if registration.state == "terminated"]

    def as_json(self, is_own: Callable[[Uri], bool]) -> tuple[dict[str, Any], ...]:
        """The same as plain values, for an event."""
        return tuple(
            {
                "impu": registration.aor,
                "state": registration.state,
                "contacts": [
                    {
                        "uri": contact.uri,
                        "state": contact.state,
                        "event": contact.event,
                        "expires_s": contact.expires_s,
                        "is_ours": _is(contact.uri, is_own),
                        "gruu": contact.pub_gruu,
                    }
                    for contact in registration.contacts
                ],
            }
            for registration in self.registrations.values()
        )


def _registration(element: Any) -> Registration:
    contacts = tuple(_contact(one) for one in element.iterfind(f"{_NAMESPACE}contact"))
    aor = element.get("aor", "")
    return Registration(element.get("id", aor), aor, element.get("state", ""), contacts)


def _contact(element: Any) -> Contact:
    uri = (element.findtext(f"{_NAMESPACE}uri") or "").strip()
    pub, temp = element.find(f"{_GRUU}pub-gruu"), element.find(f"{_GRUU}temp-gruu")
    return Contact(
        element.get("id", uri),
        uri,
        element.get("state", ""),
        element.get("event", ""),
        _number(element.get("expires")),
        _number(element.get("retry-after")),
        "" if pub is None else pub.get("uri", ""),
        "" if temp is None else temp.get("uri", ""),
    )


def _is(text: str, is_own: Callable[[Uri], bool]) -> bool:
    try:
        return is_own(Uri.parse(text))
    except ParseError:
        return False


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 10 else None
