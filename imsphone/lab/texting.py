"""Texts of a far end: a MESSAGE that it writes, and the one that says a text back (RFC 3428)."""

from __future__ import annotations

from imsphone.machine import Ids
from imsphone.sip.message import Request


def text_to(target: str, sender: str, body: bytes, content_type: str, ids: Ids) -> Request:
    """A MESSAGE to a public identity, from one of this network's own servers, which the network believes."""
    request = Request("MESSAGE", target)
    for name, value in (
        ("Max-Forwards", "70"),
        ("From", f"<{sender}>;tag={ids.tag()}"),
        ("To", f"<{target}>"),
        ("Call-ID", ids.call_id()),
        ("CSeq", "1 MESSAGE"),
        ("P-Asserted-Identity", f"<{sender}>"),
    ):
        request.headers.add(name, value)
    request.set_body(body, content_type)
    return request


def reply(request: Request, ids: Ids) -> Request | None:
    """The same text to whom the network says that it came from, None where it says nothing."""
    asserted = request.addresses("P-Asserted-Identity")
    if not asserted:
        return None
    content_type = request.headers.get("Content-Type") or "text/plain"
    return text_to(str(asserted[0].uri), str(request.to.uri), request.body, content_type, ids)
