from __future__ import annotations

import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.lab import cx, diameter
from imsphone.lab.diameter import Avp, Avps, Message
from imsphone.label import answered_method, label_of, protocol_of

SDP = b"\r\nContent-Length: 5\r\n\r\nv=0\r\n"


def cx_message(command: int, *avps: Avp, is_request: bool = False) -> bytes:
    return bytes(Message(command, cx.APPLICATION_CX, 1, 2, Avps(avps), is_request=is_request))


def experimental(code: int) -> Avp:
    inside = [Avp.of(diameter.VENDOR_ID, cx.VENDOR_3GPP), Avp.of(diameter.EXPERIMENTAL_RESULT_CODE, code)]
    return Avp.of(diameter.EXPERIMENTAL_RESULT, inside)


def dns_query(kind: str = "NAPTR") -> bytes:
    return dns.message.make_query("ims.example", kind).to_wire()


def dns_answer(*, rcode: int = 0) -> bytes:
    response = dns.message.make_response(dns.message.make_query("ims.example", "A"))
    response.set_rcode(dns.rcode.Rcode(rcode))
    if not rcode:
        response.answer.append(dns.rrset.from_text("ims.example.", 1, "IN", "A", "192.0.2.1", "192.0.2.2"))
    return response.to_wire()


@pytest.mark.parametrize(
    ("data", "protocol", "label"),
    [
        (b"REGISTER sip:ims.example SIP/2.0\r\n\r\n", "SIP", "REGISTER"),
        (b"\r\nINVITE tel:+1 SIP/2.0\r\nContent-Type: application/sdp" + SDP, "SIP", "INVITE (SDP)"),
        (b"INVITE tel:+1 SIP/2.0\r\nc:application/sdp" + SDP, "SIP", "INVITE (SDP)"),
        (b"INVITE tel:+1 SIP/2.0\r\nAccept: application/sdp\r\n\r\n", "SIP", "INVITE"),
        (b"SIP/2.0 401 Unauthorized\r\n\r\n", "SIP", "401 Unauthorized"),
        (b"SIP/2.0 183 Session Progress\r\nContent-Type : application/SDP" + SDP, "SIP", "183 Session Progress (SDP)"),
        (b"SIP/2.0 200 \r\n\r\n", "SIP", "200"),
        (b"SIP/7.0 200 Fine\r\n\r\n", "SIP", "200 Fine"),
        ("SIP/2.0 480 Später \x07\r\n".encode(), "SIP", "480 Später ·"),
        (b"SIP/2.0 500 " + b"x" * 100, "SIP", "500 " + "x" * 55 + "…"),
        (cx_message(cx.USER_AUTHORIZATION, is_request=True), "DIAMETER", "UAR"),
        (cx_message(cx.USER_AUTHORIZATION, experimental(cx.FIRST_REGISTRATION)), "DIAMETER", "UAA"),
        (cx_message(cx.USER_AUTHORIZATION, experimental(cx.USER_UNKNOWN)), "DIAMETER", "UAA 5001"),
        (cx_message(cx.MULTIMEDIA_AUTH, Avp.of(diameter.RESULT_CODE, 5012)), "DIAMETER", "MAA 5012"),
        (cx_message(diameter.CAPABILITIES_EXCHANGE, is_request=True), "DIAMETER", "CER"),
        (cx_message(999, is_request=True), "DIAMETER", "Diameter 999 request"),
        (cx_message(999), "DIAMETER", "Diameter 999 answer"),
        (dns_query(), "DNS", "NAPTR? ims.example"),
        (dns_query("TXT"), "DNS", "TYPE16? ims.example"),
        (dns_answer(), "DNS", "A: 2"),
        (dns_answer(rcode=3), "DNS", "A: no such name"),
        (dns_answer(rcode=5), "DNS", "A: error 5"),
        (b"\x80\x08" + bytes(170), "RTP", "RTP PCMA"),
        (b"\x80\xe0" + bytes(170), "RTP", "RTP 96"),
        (b"\x80\xc8\x00\x06" + bytes(24), "RTCP", "RTCP SR"),
        (b"\x81\xcb\x00\x01" + bytes(4), "RTCP", "RTCP BYE"),
        (b"\r\n\r\n", "OTHER", "keep-alive"),
        (b"", "OTHER", "keep-alive"),
        (b"hello", "OTHER", "5 octets"),
        (b"GET / HTTP/1.1\r\n", "OTHER", "16 octets"),
    ],
)
def test_names(data: bytes, protocol: str, label: str) -> None:
    assert (protocol_of(data), label_of(data)) == (protocol, label)


def test_an_answer_names_the_method_it_answers() -> None:
    assert answered_method(b"SIP/2.0 200 OK\r\ncseq : 7  PRACK\r\n\r\n") == "PRACK"
    assert answered_method(b"SIP/2.0 200 OK\r\nCSeq: PRACK\r\n\r\n") == ""
    assert answered_method(b"PRACK sip:x SIP/2.0\r\nCSeq: 1 PRACK\r\n\r\n") == ""


def test_long_runs_of_anything_take_no_time_to_look_at() -> None:
    for filler in (b" ", b"\r\n", b"A", b"\x01", b"SIP/2.0 ", b"A "):
        for start in (b"", b"A", b"SIP/2.0 ", b"ck"):
            label_of(start + filler * 30_000)
            answered_method(b"SIP/" + start + filler * 30_000)


STARTS = [b"", b"SIP/2.0 ", b"A b SIP/2.0\r\n", b"\x80", b"\x80\xc8", b"\x00\x01\x01\x00\x00\x01" + bytes(6)]


@given(st.sampled_from(STARTS), st.binary(max_size=200), st.booleans())
def test_any_octets_have_a_printable_name_of_one_line(start: bytes, data: bytes, is_framed: bool) -> None:
    data = start + data
    if is_framed:
        data = b"\x01" + (len(data) + 4).to_bytes(3, "big") + data
    answered_method(data)
    label = label_of(data)
    assert label.isprintable()
    assert 0 < len(label) <= 60


def test_an_esp_packet_is_known_by_who_carried_it() -> None:
    packet = bytes.fromhex("1234abcd00000007") + bytes(40)
    assert protocol_of(packet) != "ESP"
    assert label_of(packet, "ESP") == "ESP 1234abcd #7"
    assert label_of(b"", "ESP")
