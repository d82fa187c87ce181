"""Messages: what any sender's spelling becomes, typed access, answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.sip.fields import CSeq, RAck
from imsphone.sip.headers import Headers
from imsphone.sip.message import Request, Response, parse

# RFC 3665 3.1 F1 and F3, RFC 3261 24.2
INVITE = b"""INVITE sip:bob@biloxi.example.com SIP/2.0\r
Via: SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74bf9\r
Max-Forwards: 70\r
From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r
To: Bob <sip:bob@biloxi.example.com>\r
Call-ID: 3848276298220188511@atlanta.example.com\r
CSeq: 1 INVITE\r
Contact: <sip:alice@client.atlanta.example.com;transport=tcp>\r
Content-Type: application/sdp\r
Content-Length: 9\r
\r
v=0\r
s=-\r
"""
RINGING = b"""SIP/2.0 180 Ringing\r
Via: SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;received=192.0.2.101\r
From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r
To: Bob <sip:bob@biloxi.example.com>;tag=8321234356\r
Call-ID: 3848276298220188511@atlanta.example.com\r
CSeq: 1 INVITE\r
Contact: <sip:bob@client.biloxi.example.com;transport=tcp>\r
Content-Length: 0\r
\r
"""


def request(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message


def response(data: bytes) -> Response:
    message = parse(data)
    assert isinstance(message, Response)
    return message


def test_a_request() -> None:
    invite = request(INVITE)
    assert (invite.method, invite.uri, invite.version) == ("INVITE", "sip:bob@biloxi.example.com", "2.0")
    assert invite.target.host == "biloxi.example.com"
    assert invite.via.branch == "z9hG4bK74bf9"
    assert (invite.from_.display_name, invite.from_.tag, invite.to.tag) == ("Alice", "9fxced76sl", "")
    assert invite.call_id == "3848276298220188511@atlanta.example.com"
    assert invite.cseq == CSeq(1, "INVITE")
    assert invite.max_forwards == 70
    assert invite.contacts[0].uri.transport == "TCP"
    assert invite.content_type == "application/sdp"
    assert invite.body == b"v=0\r\ns=-\r"
    assert bytes(invite) == INVITE[: -len(b"\n")]


def test_a_response() -> None:
    ringing = response(RINGING)
    assert (ringing.status, ringing.reason) == (180, "Ringing")
    assert not ringing.is_final
    assert ringing.via.params["received"] == "192.0.2.101"
    assert bytes(ringing) == RINGING
    assert Response(486).reason == "Busy Here"
    assert Response(299).reason == "Unknown"
    assert Response(486, "").is_final


@pytest.mark.parametrize(
    "data",
    [
        INVITE.replace(b"\r\n", b"\n"),
        b"\r\n\r\n" + INVITE,
        b"\n" + INVITE,
        INVITE.replace(b"Via:", b"v  :").replace(b"Call-ID:", b"i:").replace(b"CSeq", b"CSEQ"),
        INVITE.replace(b"From: Alice ", b"From:\r\n  Alice\r\n\t"),
        INVITE.replace(b"\r\nMax", b"   \r\nMax").replace(b"CSeq: 1 ", b"CSeq:1\r\n "),
        INVITE.replace(b"70\r\n", b"70\n"),
        INVITE.replace(b"70\r\n", b"70\n").replace(b"\r\n\r\n", b"\n\r\n"),
        INVITE.replace(b"\r\n\r\n", b"\r\n\n"),
        INVITE.replace(b"biloxi.example.com SIP", b"biloxi.example.com   SIP").replace(b"INVITE sip", b"INVITE  sip"),
    ],
)
def test_other_spellings_are_the_same_message(data: bytes) -> None:
    same, invite = request(data), request(INVITE)
    assert same.uri == invite.uri
    assert [name for name, _ in same.headers] == [name for name, _ in invite.headers]
    assert same.via == invite.via
    assert same.from_ == invite.from_
    assert same.cseq == invite.cseq
    assert same.max_forwards == 70
    assert same.body == data.partition(b"application/sdp")[2].partition(b"9")[2].lstrip()[:9]


def test_a_blank_line_ends_the_head_however_it_is_written() -> None:
    message = request(b"MESSAGE sip:a SIP/2.0\nTo: <sip:a>\n\r\nFrom: this is the body\r\n\r\nall of it")
    assert message.body == b"From: this is the body\r\n\r\nall of it"
    assert "From" not in message.headers


def test_a_head_without_an_end_is_all_head() -> None:
    message = request(b"OPTIONS sip:a SIP/2.0\r\nTo: <sip:a>\r\n")
    assert len(message.headers) == 1
    assert message.body == b""


def test_body_as_long_as_content_length_says() -> None:
    assert request(INVITE.replace(b"Length: 9", b"Length: 3")).body == b"v=0"
    assert request(INVITE.replace(b"Content-Length: 9\r\n", b"")).body == b"v=0\r\ns=-\r\n"
    assert request(INVITE.replace(b"Length: 9", b"Length: x")).body == b"v=0\r\ns=-\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\r\n\r\n", b"x", b"INVITE", b"INVITE sip:a\r\n\r\n", b"INVITE sip:a HTTP/1.1\r\n\r\n",
        b"SIP/2.0 20 OK\r\n\r\n", b"SIP/2.0 4294967301 x\r\n\r\n", b"SIP/2.0 OK\r\n\r\n", b"SIP/x 200 OK\r\n\r\n",
        b"IN(VITE sip:a SIP/2.0\r\n\r\n", b" INVITE sip:a SIP/2.0\r\n\r\n", b"INVITE  SIP/2.0\r\n\r\n",
        INVITE.replace(b"Max-Forwards:", b"Max-Forwards"), INVITE.replace(b"Max-Forwards", b"Max Forwards"),
        INVITE.replace(b"Max-Forwards", b""), INVITE.replace(b"Max-Forwards", b"Max\xc3\xbc"),
        INVITE.replace(b"SIP/2.0\r\n", b"SIP/2.0\r\n ", 1), b"SIP/2.0 \xd9\xa2\xd9\xa0\xd9\xa0 OK\r\n\r\n",
    ],
)  # fmt: skip
def test_no_messages(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse(data)


def test_an_error_says_where() -> None:
    data = INVITE.replace(b"Contact:", b"Contact")
    with pytest.raises(ParseError, match="a header line") as caught:
        parse(data)
    assert data[caught.value.offset :].startswith(b"Contact <")


def test_unknown_headers_leave_byte_for_byte() -> None:
    odd = b'X-\x7e!Odd: \xa0\xff ,;,"<\x00\x1f  \xc3\xbc\xc2\xa0'.replace(b"\x7e!", b"~")
    data = INVITE.replace(b"Max-Forwards: 70", odd)
    assert odd + b"\r\n" in bytes(parse(data))
    assert bytes(parse(bytes(parse(data)))) == bytes(parse(data))


def test_missing_headers_raise_and_lists_are_empty() -> None:
    message = Request("OPTIONS", "sip:a")
    for name in ("via", "from_", "to", "call_id", "cseq"):
        with pytest.raises(ParseError):
            getattr(message, name)
    lists = (
        message.vias, message.contacts, message.routes, message.record_routes, message.service_routes, message.paths,
        message.associated_uris, message.require, message.proxy_require, message.supported, message.allow,
        message.challenges(), message.credentials(),
    )  # fmt: skip
    assert all(found == [] for found in lists)
    assert message.max_forwards is message.expires is message.rseq is message.rack is None
    assert message.content_type == ""


def test_typed_access() -> None:
    headers = [
        ("Require", "100rel, Sec-Agree"), ("Require", "precondition"), ("k", "path,,gruu"), ("Allow", "INVITE, ACK"),
        ("Proxy-Require", "sec-agree"), ("RSeq", "988789"), ("RAck", "776656 1 INVITE"), ("Expires", "0600"),
        ("Service-Route", "<sip:orig@s.example;lr>, <sip:t.example;lr>"), ("Path", "<sip:term@p.example;lr>"),
        ("P-Associated-URI", "<sip:a@b>, <tel:+1>"), ("Retry-After", "18000 (in a meeting);duration=3600"),
        ("Record-Route", "<sip:p2;lr>"), ("Record-Route", "<sip:p1;lr>"), ("Route", '"a, b" <sip:r1;lr>,<sip:r2>'),
        ("WWW-Authenticate", "Digest nonce=1"), ("Proxy-Authenticate", "Digest nonce=2"),
        ("Authorization", "Digest nonce=3"), ("Content-Type", "Multipart/Mixed ; boundary=x"),
    ]  # fmt: skip
    message = Response(200, headers=headers)
    assert message.require == ["100rel", "sec-agree", "precondition"]
    assert message.supported == ["path", "gruu"]
    assert message.allow == ["INVITE", "ACK"]
    assert message.tokens("require") == ["100rel", "Sec-Agree", "precondition"]
    assert message.proxy_require == ["sec-agree"]
    assert (message.rseq, message.rack, message.expires) == (988789, RAck(776656, 1, "INVITE"), 600)
    assert message.number("Retry-After") == 18000
    assert [str(route.uri) for route in message.service_routes] == ["sip:orig@s.example;lr", "sip:t.example;lr"]
    assert message.paths[0].uri.user == "term"
    assert [str(address.uri) for address in message.associated_uris] == ["sip:a@b", "tel:+1"]
    assert [address.uri.host for address in message.record_routes] == ["p2", "p1"]
    assert [route.display_name for route in message.routes] == ["a, b", ""]
    assert [challenge.get("nonce") for challenge in message.challenges()] == ["1", "2"]
    assert [challenge.get("nonce") for challenge in message.credentials()] == ["3"]
    assert message.content_type == "multipart/mixed"


def test_of_lists_what_does_not_parse_is_left_out() -> None:
    headers = [
        ("Contact", "<sip:a@b>, joe, <sip:c@d>"), ("P-Associated-URI", '"no, end'), ("P-Associated-URI", "<tel:+1>"),
        ("WWW-Authenticate", "Digest nonce"), ("WWW-Authenticate", "Digest nonce=1"), ("Require", '"a,b'),
        ("RAck", "x"), ("Expires", "soon"), ("RSeq", "99999999999"),
    ]  # fmt: skip
    message = Response(200, headers=headers)
    assert [contact.uri.host for contact in message.contacts] == ["b", "d"]
    assert [str(address.uri) for address in message.associated_uris] == ["tel:+1"]
    assert len(message.challenges()) == 1
    assert message.require == ['"a', "b"]
    assert message.rack is message.expires is message.rseq is None


def test_contact_star() -> None:
    message = Request("REGISTER", "sip:a", [("Contact", "*")])
    assert message.is_contact_star
    assert message.contacts == []


# Answers: RFC 3261 8.2.6 ----------------------------------------------------------------------------------------------


def test_an_answer_copies_what_8_2_6_2_says() -> None:
    invite = request(INVITE)
    invite.headers.prepend("Via", "SIP/2.0/UDP p.example;branch=z9hG4bK2")
    invite.headers.add("Record-Route", "<sip:p.example;lr>")
    invite.headers.add("Timestamp", "54")
    ringing = invite.answer(180, tag="8321234356")
    for name in ("Via", "From", "Call-ID", "CSeq", "Record-Route"):
        assert ringing.headers.lines(name) == invite.headers.lines(name)
    assert ringing.to.tag == "8321234356"
    assert ringing.to.uri == invite.to.uri
    assert "Timestamp" not in ringing.headers
    assert "Contact" not in ringing.headers


def test_a_100_has_no_tag_but_the_timestamp() -> None:
    invite = request(INVITE)
    invite.headers.add("Timestamp", "54")
    trying = invite.answer(100, tag="x")
    assert trying.to.tag == ""
    assert trying.headers.get("Timestamp") == "54"


def test_a_tag_that_is_there_stays_and_refusals_set_no_route() -> None:
    invite = request(INVITE.replace(b"To: Bob <sip:bob@biloxi.example.com>", b"To: sip:bob@biloxi.example.com;tag=a"))
    invite.headers.add("Record-Route", "<sip:p.example;lr>")
    busy = invite.answer(486, "No", tag="b")
    assert (busy.to.tag, busy.reason) == ("a", "No")
    assert "Record-Route" not in busy.headers
    bare = Request("OPTIONS", "sip:a", [("To", "sip:bob@biloxi")]).answer(200, tag="c")
    assert str(bare.to) == "<sip:bob@biloxi>;tag=c"


def test_copies_are_independent() -> None:
    invite = request(INVITE)
    other = invite.copy()
    other.headers.remove("Via")
    other.body = b""
    assert bytes(invite) == INVITE[:-1]
    ringing = response(RINGING)
    ringing.copy().headers.remove("To")
    assert bytes(ringing) == RINGING


def test_a_body_says_what_it_is() -> None:
    message = Request("MESSAGE", "sip:a")
    message.set_body("ü".encode(), "text/plain")
    assert bytes(message).endswith(b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n\xc3\xbc")
    assert repr(message) == "<MESSAGE sip:a>"
    assert repr(Response(200)) == "<200 OK>"


# Any octets -----------------------------------------------------------------------------------------------------------

names = st.text("abcXYZ-.!%*_+`'~019", min_size=1).filter(lambda name: name.lower() not in ("content-length", "l"))
values = st.binary(max_size=30).map(
    lambda data: data.replace(b"\r", b"").replace(b"\n", b"").strip(b" \t").decode("utf-8", "surrogateescape")
)


@given(st.lists(st.tuples(names, values), max_size=8), st.binary(max_size=50), st.sampled_from((180, 200, 699)))
def test_what_is_printed_is_read(items: list[tuple[str, str]], body: bytes, status: int) -> None:
    for message in (Request("INVITE", "sip:a@b", items, body), Response(status, "Ä", items, body)):
        again = parse(bytes(message))
        again.headers.remove("Content-Length")
        assert again.headers == Headers(items)
        assert again.body == body
        assert repr(again) == repr(message)


CHUNKS = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"Via", b"v", b"X", b"To: a", b"l: 3", b"abc", b"\xff", b"\0"]


@given(
    st.lists(st.sampled_from(CHUNKS), max_size=20), st.sampled_from((b"INVITE sip:a SIP/2.0", b"SIP/2.0 200 OK", b""))
)
def test_what_is_read_is_printed_and_read_the_same(chunks: list[bytes], start: bytes) -> None:
    try:
        message = parse(start + b"".join(chunks))
    except ParseError:
        return
    again = parse(bytes(message))
    assert bytes(again) == bytes(message)
    assert again.body == message.body
    again.headers.remove("Content-Length")
    message.headers.remove("Content-Length")
    assert again.headers == message.headers
