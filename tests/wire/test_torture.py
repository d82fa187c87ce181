"""The torture messages of RFC 4475, each with what the RFC asks of whoever gets it.

A datagram goes into the transaction layer; what a tester on the wire would see comes out: the request arrives at its
owner, it is answered with a status, or it is dropped and told as a violation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from imsphone.events import Violated
from imsphone.machine import Address, Flow, Ids, Send, Tell
from imsphone.sip.framing import Framer
from imsphone.sip.grammar import unquote
from imsphone.sip.message import Request, Response, parse
from imsphone.sip.transactions import RequestArrived, Transactions
from imsphone.sip.uri import Uri
from imsphone.sip.validation import examine, examine_require

FOLDER = Path(__file__).parent / "torture"
FLOW = Flow("UDP", Address("192.0.2.99", 5060), Address("192.0.2.1", 5060))


@dataclass(frozen=True)
class Case:
    name: str
    section: str
    verdict: str | int  # "arrives", "sound" (a response), a status, or "dropped"
    word: str = ""  # of the violation


CASES = [
    Case("wsinv", "3.1.1.1", "arrives"),
    Case("intmeth", "3.1.1.2", "arrives"),
    Case("esc01", "3.1.1.3", "arrives"),
    Case("escnull", "3.1.1.4", "arrives"),
    Case("esc02", "3.1.1.5", "arrives"),
    Case("lwsdisp", "3.1.1.6", "arrives"),
    Case("longreq", "3.1.1.7", "arrives"),
    Case("dblreq", "3.1.1.8", "arrives"),
    Case("semiuri", "3.1.1.9", "arrives"),
    Case("transports", "3.1.1.10", "arrives"),
    Case("mpart01", "3.1.1.11", "arrives"),
    Case("unreason", "3.1.1.12", "sound"),
    Case("noreason", "3.1.1.13", "sound"),
    Case("badinv01", "3.1.2.1", 400, "Via"),
    Case("clerr", "3.1.2.2", 400, "body"),
    Case("ncl", "3.1.2.3", 400, "Content-Length"),
    Case("scalar02", "3.1.2.4", 400, "CSeq"),
    Case("scalarlg", "3.1.2.5", "dropped", "CSeq"),
    Case("quotbal", "3.1.2.6", 400, "To"),
    Case("ltgtruri", "3.1.2.7", 400, "Request-URI"),
    Case("lwsruri", "3.1.2.8", 400, "Request-URI"),
    Case("lwsstart", "3.1.2.9", "arrives"),  # "may ignore these extra SP characters"
    Case("trws", "3.1.2.10", "arrives"),  # the same
    Case("escruri", "3.1.2.11", 400, "Request-URI"),
    Case("baddate", "3.1.2.12", "arrives"),  # "could ignore this value altogether": nobody here reads Date
    Case("regbadct", "3.1.2.13", 400, "Contact"),
    Case("badaspec", "3.1.2.14", 400, "To"),
    Case("baddn", "3.1.2.15", 400, "From"),
    Case("badvers", "3.1.2.16", 505, "7.0"),
    Case("mismatch01", "3.1.2.17", 400, "INVITE in OPTIONS"),
    Case("mismatch02", "3.1.2.18", 400, "INVITE in NEWMETHOD"),
    Case("bigcode", "3.1.2.19", "dropped", "no SIP"),
    Case("badbranch", "3.2.1", "arrives"),  # by the matching rules of RFC 2543
    Case("insuf", "3.3.1", 400, "From"),
    Case("unkscm", "3.3.2", 416, "nobodyknowsthisscheme"),
    Case("novelsc", "3.3.3", 416, "soap.beep"),
    Case("unksm2", "3.3.4", "arrives"),
    Case("bext01", "3.3.5", "arrives"),  # 420 is the owner's, who knows what it understands: see below
    Case("invut", "3.3.6", "arrives"),  # so is 415
    Case("regaut01", "3.3.7", "arrives"),  # and 401
    Case("multi01", "3.3.8", 400, "two"),
    Case("mcl01", "3.3.9", 400, "two Content-Length"),
    Case("bcast", "3.3.10", "sound"),  # and of no transaction, see below
    Case("zeromf", "3.3.11", "arrives"),  # 483 is for proxies
    Case("cparam01", "3.3.12", "arrives"),
    Case("cparam02", "3.3.13", "arrives"),
    Case("regescrt", "3.3.14", "arrives"),
    Case("sdp01", "3.3.15", "arrives"),  # 406 is the owner's
    Case("inv2543", "3.4.1", "arrives"),
]


def read(name: str) -> bytes:
    return (FOLDER / f"{name}.dat").read_bytes()


def request(name: str) -> Request:
    message = parse(read(name))
    assert isinstance(message, Request)
    return message


def test_all_messages_of_the_rfc_are_here() -> None:
    assert len(CASES) == 49
    assert {case.name for case in CASES} == {path.stem for path in FOLDER.glob("*.dat")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.section} {case.name}")
def test_verdict(case: Case) -> None:
    effects = Transactions(Ids(b"torture")).receive(read(case.name), FLOW, 0.0)
    answers = [parse(effect.data) for effect in effects if isinstance(effect, Send)]
    told = [effect.event for effect in effects if isinstance(effect, Tell)]
    if case.verdict == "arrives":
        assert [type(event) for event in told] == [RequestArrived]
        assert not answers
    elif case.verdict == "sound":
        assert not effects
        assert examine(parse(read(case.name))) is None
    else:
        assert [type(event) for event in told] == [Violated]
        assert case.word in told[0].what
        if case.verdict == "dropped":
            assert not answers
        else:
            assert [answer.status for answer in answers if isinstance(answer, Response)] == [case.verdict]


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "bigcode"], ids=lambda case: case.name)
def test_printed_and_read_again_it_is_the_same(case: Case) -> None:
    message = parse(read(case.name))
    again = parse(bytes(message))
    assert bytes(again) == bytes(message)
    assert again.body == message.body
    plain = [(name, value) for name, value in message.headers if name != "Content-Length"]
    assert [(name, value) for name, value in again.headers if name != "Content-Length"] == plain


# What the well-formed ones say ----------------------------------------------------------------------------------------


def test_wsinv_through_all_its_blanks() -> None:
    message = request("wsinv")
    assert message.target.params == {"unknownparam": None}
    assert (message.to.uri, message.to.tag) == (Uri.parse("sip:vivekg@chair-dnrc.example.com"), "1918181833n")
    assert (message.from_.display_name, message.from_.tag) == ('J Rosenberg \\"', "98asjd8")
    assert message.max_forwards == 68
    assert str(message.cseq) == "9 INVITE"
    assert [(via.transport, via.host, via.branch) for via in message.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert message.headers.get("subject") == ""
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert message.routes[0].uri.params == {"lr": None, "unknownwith": "value", "unknown-no-value": None}
    contact = message.contacts[0]
    assert contact.display_name == 'Quoted string ""'
    assert contact.params == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert len(message.body) == 150


def test_intmeth_uses_every_character_there_is() -> None:
    message = request("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.target.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.target.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.to.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.display_name == "token1~` token2'+_ token3*%!.-"
    assert unquote(message.from_.params["fromparam''~+*_!.-%"] or "") == "работающий"
    assert message.from_.tag == "_token~1'+`*%!-."
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_escapes_are_undone_once_and_only_where_they_count() -> None:
    message = request("esc01")
    assert message.target.user == "sips%3Auser%40example.com"
    assert message.to.uri.matches(Uri.parse("sip:user@example.com"))
    contact = message.contacts[0].uri
    assert contact.matches(Uri.parse("sip:caller@host5.example.net;lr;name=value%2541"))
    assert not contact.matches(Uri.parse("sip:caller@host5.example.net;lr;name=valueA"))
    nulls = [contact.uri for contact in request("escnull").contacts]
    assert not nulls[0].matches(nulls[1])
    message = request("esc02")
    assert message.method == "RE%47IST%45R"
    assert message.to.display_name == "%Z%45"
    assert [str(contact.uri) for contact in message.contacts] == [
        "sip:alias1@host1.example.com",
        "sip:alias3@host3.example.com",
    ]


def test_long_and_odd_ones() -> None:
    assert request("lwsdisp").from_.display_name == "caller"
    message = request("longreq")
    assert [via.host.partition(".")[0] for via in message.vias] == [*(f"sip{n}" for n in range(33, 0, -1)), "host"]
    assert message.to.display_name.count("extreme") == 10
    assert request("semiuri").target.user == "user;par=u%40example.net"
    assert [via.transport for via in request("transports").vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]
    assert len(request("mpart01").body) == 553
    reason = parse(read("unreason"))
    assert isinstance(reason, Response)
    assert reason.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
    silent = parse(read("noreason"))
    assert isinstance(silent, Response)
    assert (silent.status, silent.reason) == (100, "")


def test_octets_behind_a_datagrams_message_are_dropped() -> None:
    assert request("dblreq").method == "REGISTER"
    assert request("dblreq").body == b""
    assert b"INVITE" not in bytes(request("dblreq"))


def test_parameters_belong_to_the_contact_or_to_its_address() -> None:
    assert request("cparam01").contacts[0].params == {"unknownparam": None}
    assert request("cparam02").contacts[0].uri.params == {"unknownparam": None}
    assert request("regescrt").contacts[0].uri.headers == "Route=%3Csip:sip.example.com%3E"


def test_required_extensions_that_nobody_knows_are_named() -> None:
    fault = examine_require(request("bext01"), {"100rel"})
    assert fault is not None
    assert fault.status == 420
    assert fault.headers == (("Unsupported", "nothingSupportsThis, nothingSupportsThisEither"),)


def test_what_the_owner_needs_for_its_own_refusals() -> None:
    assert request("invut").content_type == "application/unknownformat"
    assert request("regaut01").credentials()[0].scheme == "NoOneKnowsThisScheme"
    assert request("zeromf").max_forwards == 0
    assert request("sdp01").headers.get_all("Accept") == ["text/nobodyKnowsThis"]
    assert request("unksm2").contacts[0].uri == Uri("name", opaque="John_Smith")


# In a stream ----------------------------------------------------------------------------------------------------------


def test_two_requests_in_a_stream_are_two() -> None:
    frames = [parse(frame) for frame in Framer().feed(read("dblreq"))]
    assert [frame.method for frame in frames if isinstance(frame, Request)] == ["REGISTER", "INVITE"]


@pytest.mark.parametrize("name", ["ncl", "mcl01", "inv2543"])
def test_a_stream_ends_where_the_length_is_unknown(name: str) -> None:
    framer = Framer()
    assert framer.feed(read(name)) == []
    assert framer.is_broken


def test_a_stream_waits_for_a_body_that_is_announced() -> None:
    framer = Framer()
    assert framer.feed(read("clerr")) == []
    assert not framer.is_broken
