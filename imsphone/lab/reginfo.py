"""The S-CSCF's word on a registration, as a document of RFC 3680: always the full state, for every identity of the set.

<reginfo version="0" state="full">
  <registration aor="sip:alice@…" id="…" state="active">
    <contact id="…" state="active" event="registered" expires="600"><uri>sip:…</uri></contact>
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from xml.etree import ElementTree

from imsphone.lab.registrar import Bound, Registration

MIME_TYPE = "application/reginfo+xml"
_NAMESPACE = "urn:ietf:params:xml:ns:reginfo"
_GRUU_NAMESPACE = "urn:ietf:params:xml:ns:gruuinfo"


def document(
    registration: Registration,
    version: int,
    event: str,
    now: float,
    gone: Iterable[Bound] = (),
    fate: str = "",
    gruus: Callable[[str, Bound], tuple[str, str] | None] = lambda impu, bound: None,
) -> bytes:
    """The document. `event` is what made the standing contacts as they are, `gone` went by `fate`.

    `gruus` gives the public and temporary GRUU of an identity at a contact, where it has any (RFC 5628).
    """
    attributes = {"xmlns": _NAMESPACE, "xmlns:gr": _GRUU_NAMESPACE, "version": str(version), "state": "full"}
    root = ElementTree.Element("reginfo", attributes)
    state = "active" if registration.bound else "terminated"
    for impu in registration.associated():
        entry = ElementTree.SubElement(root, "registration", aor=impu, id=_id(impu), state=state)
        for bound in registration.bound:
            left_s = str(max(0, round(bound.expires_at - now)))
            contact = _contact(entry, bound, impu, state="active", event=event, expires=left_s)
            if given := gruus(impu, bound):
                ElementTree.SubElement(contact, "gr:pub-gruu", uri=given[0])
                ElementTree.SubElement(contact, "gr:temp-gruu", {"uri": given[1], "first-cseq": str(bound.cseq)})
        for bound in gone:
            _contact(entry, bound, impu, state="terminated", event=fate)
    return b'<?xml version="1.0"?>\n' + ElementTree.tostring(root, encoding="unicode").encode("utf-8", "replace")


def _contact(entry: ElementTree.Element, bound: Bound, impu: str, **attributes: str) -> ElementTree.Element:
    uri, flow = str(bound.contact.uri), bound.contact.params.get("reg-id", "")
    contact = ElementTree.SubElement(entry, "contact", {"id": _id(f"{impu}{uri}{flow}"), **attributes})
    ElementTree.SubElement(contact, "uri").text = uri
    return contact


def _id(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
