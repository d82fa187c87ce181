"""What is wrong with a message, and which answer it deserves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.sip.message import Message, Request, Response, parse
from imsphone.sip.validation import Fault, examine, examine_require

GOOD = {
    "Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
    "Max-Forwards": "70",
    "From": "<sip:a@b>;tag=1",
    "To": "<sip:c@d>",
    "Call-ID": "1@b",
    "CSeq": "1 INVITE",
    "Contact": "<sip:a@192.0.2.1>",
    "Content-Length": "0",
}


def request(uri: str = "sip:c@d", method: str = "INVITE", version: str = "2.0", **changes: str | None) -> Request:
    headers = GOOD | {name.replace("_", "-"): value for name, value in changes.items()}
    return Request(method, uri, [(name, value) for name, value in headers.items() if value is not None], b"", version)


def test_a_sound_request_has_no_fault() -> None:
    assert examine(request()) is None
    assert (
        examine(request(Max_Forwards=None, Content_Length=None, Contact=None)) is None
    )  # RFC 2543 had no need of them


@pytest.mark.parametrize(
    ("message", "status", "word"),
    [
        (request(version="7.0"), 505, "7.0"),
        (request(version="1.0", To=None), 505, "1.0"),
        (request("http://d"), 416, "http"),
        (request("joe"), 400, "Request-URI"),
        (request("sip:c@d?Route=x"), 400, "Request-URI"),
        (request(method="BYE"), 400, "CSeq of INVITE in BYE"),
        (request(Via=None), 400, "Via"),
        (request(Via=" , "), 400, "Via"),
        (request(Via="SIP/2.0/UDP a, x"), 400, "Via"),
        (request(From=None), 400, "From"),
        (request(From="joe"), 400, "From"),
        (request(To='"x <sip:a@b>'), 400, "To"),
        (request(Call_ID=""), 400, "Call-ID"),
        (request(Call_ID="a b"), 400, "Call-ID"),
        (request(CSeq="x INVITE"), 400, "CSeq"),
        (request(Contact="<sip:a@b>, joe"), 400, "Contact"),
        (request(Route="<sip:a@b"), 400, "Route"),
        (request(Record_Route="x"), 400, "Record-Route"),
        (request(Max_Forwards="256"), 400, "Max-Forwards"),
        (request(Max_Forwards="-1"), 400, "Max-Forwards"),
        (request(Expires="4294967296"), 400, "Expires"),
        (request(Content_Length="-999"), 400, "Content-Length"),
        (request(Content_Length="1"), 400, "body shorter"),
        (request(RAck="1 INVITE"), 400, "RAck"),
    ],
)
def test_faults_of_requests(message: Request, status: int, word: str) -> None:
    fault = examine(message)
    assert fault is not None
    assert fault.status == status
    assert word in fault.what
    assert fault.clause.startswith("RFC 3261")


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length"])
def test_what_may_stand_once_stands_once(name: str) -> None:
    message = request()
    message.headers.add(name, GOOD[name])
    fault = examine(message)
    assert fault is not None
    assert (fault.status, fault.reason) == (400, f"Multiple {name}")


@pytest.mark.parametrize(
    ("name", "value"),
    [("Date", "Fri, 01 Jan 2010 16:00:00 EST"), ("P-Asserted-Identity", '"x'), ("Supported", '"'), ("X-Odd", ";;,,<"),
     ("Contact", "*"), ("Expires", "4294967295"), ("Expires", "60 (a minute)")],
)  # fmt: skip
def test_what_nobody_needs_may_be_broken(name: str, value: str) -> None:
    message = request()
    message.headers.set(name, value)
    assert examine(message) is None


@pytest.mark.parametrize(
    "message",
    [
        Response(99, "", list(GOOD.items())),
        Response(700, "", list(GOOD.items())),
        Response(200, "", list(GOOD.items()), version="3.0"),
        Response(200, "", [item for item in GOOD.items() if item[0] != "To"]),
        Response(200, "", [*GOOD.items(), ("CSeq", "2 INVITE")]),
        Response(200, "", [*GOOD.items(), ("Contact", "joe")]),
    ],
)
def test_a_faulty_response_is_dropped(message: Response) -> None:
    fault = examine(message)
    assert fault is not None
    assert fault.status is None


def test_a_sound_response() -> None:
    assert examine(Response(200, "", list(GOOD.items()))) is None


def test_require() -> None:
    message = request(Require="100REL, foo, Bar")
    assert examine_require(message, {"100rel", "foo", "bar"}) is None
    fault = examine_require(message, {"100rel"})
    assert fault == Fault(420, "Require: foo, Bar", "RFC 3261 8.2.2.3", headers=(("Unsupported", "foo, Bar"),))
    assert examine_require(request(), ()) is None
    for method in ("ACK", "CANCEL"):  # RFC 3261 8.2.2.3
        assert examine_require(request(method=method, Require="foo"), ()) is None


PROPERTIES = [name for name, kind in vars(Message).items() if isinstance(kind, property)]
VALUES = [
    "<sip:a@b>;tag=1",
    "", " ", ",", "*", "x", '"', "<", "a b", "1", "-1", "1 INVITE", "1 1 INVITE", "9" * 12, "<sip:a@b>",
    '"q" <sip:a@b>, <sip:c@[::1]:5060;lr>', "SIP/2.0/UDP h", 'SIP/2.0/UDP h;branch=1, SIP/2.0/TCP "', "Digest a=b", "٣",
    "SIP/2.0/UDP h:99999", "tel:1;x=y", '<sip:a@b>;x="', "Digest", "application/sdp;x",
]  # fmt: skip
NAMES = [
    *GOOD, "Route", "Record-Route", "Path", "Service-Route", "P-Associated-URI", "Expires", "RAck", "RSeq", "Require",
    "Proxy-Require", "Supported", "Allow", "Content-Type", "WWW-Authenticate", "Authorization",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES)), st.sampled_from(("INVITE", "REGISTER")))
def test_behind_examine_no_typed_property_raises(changes: dict[str, str], method: str) -> None:
    headers = {**GOOD, "CSeq": f"1 {method}", **changes}
    for message in (Request(method, "sip:a", list(headers.items())), Response(200, headers=list(headers.items()))):
        if examine(message) is not None:
            continue
        for name in PROPERTIES:
            getattr(message, name)
        message.challenges()
        message.credentials()
        message.addresses("Reply-To")


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES))))
def test_examine_never_raises(items: list[tuple[str, str]]) -> None:
    for message in (Request("INVITE", "x", items), Response(200, headers=items)):
        examine(message)
        try:
            examine(parse(bytes(message)))
        except ParseError:
            pytest.fail("what we print parses")
