"""The I-CSCF asks the HSS and sends on (TS 24.229 5.3); here an HSS made by hand answers it."""

from __future__ import annotations

import pytest

from imsphone.lab import cx, diameter
from imsphone.lab.diameter import Avp, Message
from imsphone.lab.icscf import ICscf
from imsphone.machine import Address, Effect, Flow, Ids, Send
from imsphone.sip.message import Request, Response, parse
from tests.lab.conftest import REALM

HERE, HSS = Address("127.0.10.20", 5060), Address("127.0.10.40", 3868)
PCSCF = Flow("UDP", HERE, Address("127.0.10.10", 5060))
TO_HSS = Flow("TCP", HERE, HSS)
SERVER = "sip:127.0.10.30:5060"


class Hss:
    """Answers the connection, keeps the question, answers it as it is told."""

    def __init__(self) -> None:
        self.icscf = ICscf(HERE, REALM, HSS, (SERVER,), {"127.0.10.10", "127.0.10.30"}, Ids(b"i"))
        self.question: Message

    def ask(self, data: bytes) -> list[Effect]:
        effects = self.icscf.receive(data, PCSCF, 1.0)
        asked = [effect for effect in effects if isinstance(effect, Send) and effect.flow == TO_HSS]
        if not asked:
            return effects
        cer = diameter.parse(asked[0].data)
        if cer.command == diameter.CAPABILITIES_EXCHANGE:
            asked = [e for e in self.reply(cer, Avp.of(diameter.RESULT_CODE, 2001)) if isinstance(e, Send)]
        self.question = diameter.parse(asked[0].data)
        return effects

    def reply(self, request: Message, *avps: Avp) -> list[Effect]:
        return self.icscf.receive(bytes(request.answer(avps)), TO_HSS, 1.1)

    def says(self, code: int, *, experimental: bool = True, server: str = "") -> list[Effect]:
        group = [Avp.of(diameter.VENDOR_ID, 10415), Avp.of(diameter.EXPERIMENTAL_RESULT_CODE, code)]
        result = Avp.of(diameter.EXPERIMENTAL_RESULT, group) if experimental else Avp.of(diameter.RESULT_CODE, code)
        return self.reply(self.question, result, *([Avp.of(602, server, 10415)] if server else []))


def register(*lines: str) -> bytes:
    more = "".join(f"{line}\r\n" for line in lines)
    return (
        f"REGISTER sip:{REALM} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.10.10;branch=z9hG4bK1\r\nMax-Forwards: 69\r\n"
        f"From: <sip:a@{REALM}>;tag=1\r\nTo: <sip:a@{REALM}>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n"
        f'P-Visited-Network-ID: "visited.example"\r\n{more}\r\n'
    ).encode()


def invite(uri: str) -> bytes:
    return (
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.10.30;branch=z9hG4bK1\r\nMax-Forwards: 69\r\n"
        f"From: <sip:a@{REALM}>;tag=1\r\nTo: <{uri}>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
    ).encode()


def sip(effects: list[Effect]) -> list[tuple[Request | Response, Flow]]:
    return [(parse(e.data), e.flow) for e in effects if isinstance(e, Send) and e.flow != TO_HSS]


def status(effects: list[Effect]) -> int:
    one, _ = sip(effects)[-1]
    assert isinstance(one, Response)
    return one.status


def test_what_a_uar_says() -> None:
    hss = Hss()
    hss.ask(register('Authorization: Digest username="me@home", nonce="", response=""', "Contact: <sip:a@1.2.3.4>"))
    avps = hss.question.avps
    assert hss.question.command == cx.USER_AUTHORIZATION
    assert avps.text(diameter.USER_NAME) == "me@home"
    assert avps.text(601, 10415) == f"sip:a@{REALM}"
    assert avps.text(600, 10415) == "visited.example"
    assert avps.number(623, 10415) == cx.REGISTRATION


def test_without_authorization_the_public_identity_names_the_private_one() -> None:
    hss = Hss()
    hss.ask(register("Contact: <sip:a@1.2.3.4>"))
    assert hss.question.avps.text(diameter.USER_NAME) == f"a@{REALM}"


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (["Contact: <sip:a@1.2.3.4>;expires=0"], 1),
        (["Contact: <sip:a@1.2.3.4>", "Expires: 0"], 1),
        (["Contact: *", "Expires: 0"], 1),
        (["Contact: <sip:a@1.2.3.4>;expires=0, <sip:b@1.2.3.4>"], 0),
        (["Contact: <sip:a@1.2.3.4>", "Expires: 600"], 0),
        ([], 0),
    ],
)
def test_a_uar_tells_whether_it_is_the_end(lines: list[str], kind: int) -> None:
    hss = Hss()
    hss.ask(register(*lines))
    assert hss.question.avps.number(623, 10415) == kind


@pytest.mark.parametrize(("server", "port"), [("", 5060), ("sip:127.0.10.31:5070", 5070)])
def test_a_register_goes_to_the_server_of_the_user_or_to_ours(server: str, port: int) -> None:
    hss = Hss()
    hss.ask(register())
    [(onward, flow)] = sip(hss.says(2002 if server else 2001, server=server))
    assert isinstance(onward, Request)
    assert onward.uri == (server or SERVER)
    assert flow.remote.port == port
    assert "Route" not in onward.headers


@pytest.mark.parametrize("code", [5001, 5002, 5003, 5004])
def test_who_may_not_register_is_forbidden(code: int) -> None:
    hss = Hss()
    hss.ask(register())
    assert status(hss.says(code)) == 403


def test_a_call_goes_to_the_server_of_the_called_user_with_its_uri_untouched() -> None:
    hss = Hss()
    hss.ask(invite(f"sip:+4930@{REALM};user=phone"))
    assert hss.question.command == cx.LOCATION_INFO
    assert hss.question.avps.text(601, 10415) == "tel:+4930"
    [(onward, flow)] = sip(hss.says(2001, experimental=False, server=SERVER))
    assert isinstance(onward, Request)
    assert onward.uri == f"sip:+4930@{REALM};user=phone"
    assert onward.headers.get("Route") == "<sip:127.0.10.30:5060;lr>"
    assert "Record-Route" not in onward.headers
    assert flow.remote == Address("127.0.10.30", 5060)


@pytest.mark.parametrize(
    ("code", "experimental", "expected"), [(5001, True, 404), (5003, True, 480), (5012, False, 500), (5005, True, 403)]
)
def test_a_call_that_leads_nowhere(code: int, experimental: bool, expected: int) -> None:
    hss = Hss()
    hss.ask(invite(f"sip:b@{REALM}"))
    assert status(hss.says(code, experimental=experimental)) == expected


@pytest.mark.parametrize(("uri", "expected"), [("sip:b@elsewhere.example", 404), ("urn:service:sos", 416)])
def test_what_the_hss_is_not_asked(uri: str, expected: int) -> None:
    assert status(Hss().ask(invite(uri))) == expected


def test_an_hss_that_says_nothing_is_a_504() -> None:
    hss = Hss()
    hss.ask(register())
    at = hss.icscf.deadline
    assert at is not None
    while at is not None and not (answers := sip(hss.icscf.tick(at))):
        at = hss.icscf.deadline
    assert isinstance(answers[0][0], Response)
    assert answers[0][0].status == 504


def test_a_server_name_that_is_no_address_is_forbidden() -> None:
    hss = Hss()
    hss.ask(register())
    assert status(hss.says(2002, server="not an address")) == 403


def test_a_cancel_that_overtakes_the_hss_ends_the_call() -> None:
    hss = Hss()
    data = invite(f"sip:b@{REALM}")
    hss.ask(data)
    effects = hss.icscf.receive(data.replace(b"INVITE", b"CANCEL"), PCSCF, 1.05)
    assert [one.status for one, _ in sip(effects) if isinstance(one, Response)] == [200, 487]
    assert sip(hss.says(2001, experimental=False, server=SERVER)) == []


def test_strangers_are_forbidden() -> None:
    hss = Hss()
    effects = hss.icscf.receive(register(), Flow("UDP", HERE, Address("127.0.0.1", 5060)), 1.0)
    assert status(effects) == 403
