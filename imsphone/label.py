"""What a message is called, from a look at its octets: `INVITE (SDP)`, `401 Unauthorized`, `MAR`, `NAPTR? ims.example`.

    octets ──▶ protocol_of ──▶ SIP RTP RTCP DIAMETER DNS OTHER         (ESP is known by its flow)
           └─▶ label_of ─────▶ the word over the arrow of a ladder, the summary in a trace

Nothing is parsed further than the name needs, and nothing is believed: these are the octets of strangers, drawn even
where they are garbage.
"""

from __future__ import annotations

import re
from typing import Literal

from imsphone.redaction import is_diameter, read_avp

Protocol = Literal["SIP", "RTP", "RTCP", "DIAMETER", "DNS", "ESP", "OTHER"]

_SIP = re.compile(
    rb"[\r\n]*(?:SIP/\d\S* +(?P<status>\d+) *(?P<reason>[^\r\n]*)"
    rb"|(?P<method>[\w!%*+`'~.-]{1,40}) [^\r\n]* SIP/\d)"
)
_SDP = re.compile(rb"^(?:content-type|c)[ \t]*:[ \t]*application/sdp\b", re.IGNORECASE | re.MULTILINE)
_CSEQ = re.compile(rb"^CSeq[ \t]*:[ \t]*\d+[ \t]+([\w!%*+`'~.-]{1,40})", re.IGNORECASE | re.MULTILINE)
_RTCP_TYPES = range(192, 224)  # with RTP and RTCP on one port these tell them apart (RFC 5761 4)
_RTCP = {200: "SR", 201: "RR", 202: "SDES", 203: "BYE", 204: "APP", 205: "RTPFB", 206: "PSFB", 207: "XR"}
_STATIC_PAYLOADS = {0: "PCMU", 8: "PCMA", 9: "G722", 13: "CN"}  # RFC 3551 6
_COMMANDS = {  # RFC 6733 3.1, TS 29.229 6.1
    257: "CE",
    280: "DW",
    282: "DP",
    275: "ST",
    274: "AS",
    258: "RA",
    300: "UA",
    301: "SA",
    302: "LI",
    303: "MA",
    304: "RT",
    305: "PP",
}
_RESULT_CODE, _EXPERIMENTAL_RESULT, _EXPERIMENTAL_RESULT_CODE = 268, 297, 298
_FIRST_FAILURE = 3000  # RFC 6733 7.1: 1xxx informs, 2xxx is success
_DNS_TYPES = {1: "A", 5: "CNAME", 28: "AAAA", 33: "SRV", 35: "NAPTR"}
_MOST_CHARACTERS = 60


def protocol_of(data: bytes) -> Protocol:
    """What these octets are, by their look alone."""
    if _SIP.match(data):
        return "SIP"
    if is_diameter(data):
        return "DIAMETER"
    if _dns_question_end(data):
        return "DNS"
    if len(data) >= 4 and data[0] >> 6 == 2:
        if data[1] in _RTCP_TYPES:
            return "RTCP"
        if len(data) >= 12:
            return "RTP"
    return "OTHER"


def label_of(data: bytes, protocol: Protocol | None = None) -> str:
    """One line, at most 60 characters, none of them a control character; never empty.

    `protocol` is for who knows it: an ESP packet looks like nothing.
    """
    match protocol or protocol_of(data):
        case "ESP" if len(data) >= 8:
            label = f"ESP {data[:4].hex()} #{int.from_bytes(data[4:8], 'big')}"
        case "SIP":
            label = _sip_label(data)
        case "DIAMETER":
            label = _diameter_label(data)
        case "DNS":
            label = _dns_label(data)
        case "RTP":
            payload_type = data[1] & 0x7F
            label = f"RTP {_STATIC_PAYLOADS.get(payload_type, payload_type)}"
        case "RTCP":
            label = f"RTCP {_RTCP.get(data[1], data[1])}"
        case _:
            label = "keep-alive" if not data.strip(b"\r\n\0") else f"{len(data)} octets"
    shown = "".join(character if character.isprintable() else "·" for character in label)
    return shown if len(shown) <= _MOST_CHARACTERS else shown[: _MOST_CHARACTERS - 1] + "…"


def answered_method(data: bytes) -> str:
    """The method that a SIP answer answers (its CSeq says), empty where it says none or this is no answer."""
    found = _CSEQ.search(data) if data.lstrip(b"\r\n").startswith(b"SIP/") else None
    return found[1].decode() if found else ""


def _sip_label(data: bytes) -> str:
    found = _SIP.match(data)
    assert found is not None
    name = found["method"] or b"%b %b" % (found["status"], found["reason"])
    return name.decode("utf-8", "replace").strip() + (" (SDP)" if _SDP.search(data) else "")


def _diameter_label(data: bytes) -> str:
    code = int.from_bytes(data[5:8], "big")
    if data[4] & 0x80:
        return f"{_COMMANDS[code]}R" if code in _COMMANDS else f"Diameter {code} request"
    result = _diameter_result(data)
    name = f"{_COMMANDS[code]}A" if code in _COMMANDS else f"Diameter {code} answer"
    return name if result is None or result < _FIRST_FAILURE else f"{name} {result}"


def _diameter_result(data: bytes) -> int | None:
    offset, end = 20, len(data)
    while avp := read_avp(data, offset, end):
        (code, vendor), start, stop = avp
        if (code, vendor) == (_EXPERIMENTAL_RESULT, 0):
            offset, end = start, stop  # its inside is all that matters from here on
            continue
        if vendor == 0 and code in (_RESULT_CODE, _EXPERIMENTAL_RESULT_CODE):
            return int.from_bytes(data[start:stop], "big")
        offset = stop + -stop % 4
    return None


def _dns_question_end(data: bytes) -> int:
    """Where the type of the one question stands; 0 where this is no DNS message with one question of class IN.

    A known opcode, no reserved bit, and a name that can be walked (RFC 1035 4.1): rare enough among other octets.
    """
    if len(data) < 17 or data[2] & 0x78 or data[3] & 0x40 or data[4:6] != b"\0\1":
        return 0
    offset = 12
    while offset < len(data) and (length := data[offset]):
        if length > 63:
            return 0
        offset += 1 + length
    return offset + 1 if data[offset + 3 : offset + 5] == b"\0\1" else 0


def _dns_label(data: bytes) -> str:
    end = _dns_question_end(data)
    number = int.from_bytes(data[end : end + 2], "big")
    kind = _DNS_TYPES.get(number, f"TYPE{number}")
    if data[2] & 0x80:
        failure = data[3] & 0x0F
        return f"{kind}: " + ("no such name" if failure == 3 else f"error {failure}" if failure else str(data[7]))
    labels, offset = [], 12
    while length := data[offset]:
        labels.append(data[offset + 1 : offset + 1 + length].decode("ascii", "replace"))
        offset += 1 + length
    return f"{kind}? {'.'.join(labels) or '.'}"
