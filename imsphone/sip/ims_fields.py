"""What IMS adds to SIP's headers: feature tags, service identifiers and the values of the P- headers that a UE writes.

An ICSI stands in a Contact as `+g.3gpp.icsi-ref="urn%3Aurn-7%3A..."`, its colons escaped because the value is a list of
tags (TS 24.229 7.9.2, RFC 3840 9), and plainly in P-Preferred-Service (RFC 6050).
"""

from __future__ import annotations

from imsphone.errors import ParseError
from imsphone.sip.grammar import Params, parse_params, quote, unescape, unquote

MMTEL = "urn:urn-7:3gpp-service.ims.icsi.mmtel"  # TS 24.173 5.1
ICSI = "+g.3gpp.icsi-ref"
INSTANCE = "+sip.instance"


def icsi_param(service: str) -> str:
    """The value of an ICSI feature tag for this service URN, quoted and escaped (TS 24.229 7.2A.8.2)."""
    return quote(service.replace(":", "%3A"))


def icsi_of(params: Params) -> list[str]:
    """The service URNs that a Contact or Accept-Contact names."""
    value = params.get(ICSI)
    return [unescape(part.strip()) for part in unquote(value).split(",")] if value else []


def instance_param(instance_id: str) -> str:
    """The value of +sip.instance for an instance-id URN (RFC 5626 4.1)."""
    return quote(f"<{instance_id}>")


def accept_contact(service: str) -> str:
    """Accept-Contact that sends a call to a device of this service (TS 24.229 5.1.3.1, RFC 3841)."""
    return f"*;{ICSI}={icsi_param(service)}"


def reason_text(value: str) -> str:
    """What a Reason header says to people (RFC 3326 2); without a text, that another device answered (cause 200)."""
    _, semicolon, rest = value.partition(";")
    try:
        params = parse_params(semicolon + rest) if semicolon else {}
    except ParseError:
        return ""
    text = unquote(params.get("text") or "")
    return text or ("answered elsewhere" if params.get("cause") == "200" else "")
