"""A bench for one `Ue`: messages of the network are written by hand, time is a number, nothing else is real."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from imsphone.events import Event
from imsphone.ims.identity import Identity
from imsphone.ims.ue import Ue
from imsphone.ipsec.sa import Prolong
from imsphone.machine import Address, Ask, Authenticate, Effect, Flow, Ids, OpenMedia, Resolve, Send, Tell
from imsphone.profile import Profile, Secret
from imsphone.sip.message import Request, Response, parse
from imsphone.usim.aka import AkaSuccess

HOME = "ims.mnc001.mcc001.3gppnetwork.org"
FLOW = Flow("UDP", Address("127.0.20.1", 5060), Address("127.0.10.10", 5060))
NONCE = base64.b64encode(bytes(range(32))).decode()
RES = AkaSuccess(b"\x00RES\xff\x00ab", b"c" * 16, b"i" * 16)
MEDIA = Address("127.0.20.1", 40000)

# TS 34.229-1 A.1.2 and A.1.3, as far as they go without IPsec.
CHALLENGE = f'WWW-Authenticate: Digest realm="{HOME}", nonce="{{}}", algorithm=AKAv1-MD5, qop="auth"'
GRANTED = f"""\
Path: <sip:term@pcscf.{HOME}:5060;lr>
Service-Route: <sip:orig@scscf.{HOME}:5060;lr>
P-Associated-URI: <sip:alice@{HOME}>, <tel:+4930123456>
Contact: {{}};expires={{}}"""

ANSWER = """\
v=0
o=- 7 1 IN IP4 127.0.10.50
s=-
c=IN IP4 127.0.10.50
t=0 0
m=audio 50000 RTP/AVP 8
a=rtpmap:8 PCMA/8000
a=ptime:20
"""
OFFER = """\
v=0
o=- 7 1 IN IP4 127.0.10.50
s=-
c=IN IP4 127.0.10.50
t=0 0
m=audio 50000 RTP/AVP 0 8
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
"""


def wire(text: str, body: str = "") -> bytes:
    """A message out of lines that are pleasant to write: CRLF, Content-Length, the body."""
    body = body.replace("\n", "\r\n")
    if body and "\nContent-Type:" not in text:
        text = text.rstrip("\n") + "\nContent-Type: application/sdp"
    head = text.strip("\n").replace("\n", "\r\n")
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class Bench:
    """One phone on the bench. What it does is kept in `sent`, `told` and `asked`; `prolonged` wants no answer."""

    flow = FLOW
    home = HOME
    impi = f"001010000000001@{HOME}"
    success = RES
    media = MEDIA
    sdp_answer = ANSWER
    sdp_offer = OFFER

    def __init__(self, password: Secret | None = None, **keys: Any) -> None:
        keys = {"imsi": "001010000000001", "pcscf": "127.0.10.10:5060", "reg_event": False, "keep_alive_s": 0} | keys
        self.profile = Profile(**keys)
        self.ue = Ue(self.profile, Identity.of(self.profile), Ids(b"bench"), password)
        self.now = 1000.0
        self.sent: list[bytes] = []
        self.flows: list[Flow] = []
        self.told: list[Event] = []
        self.asked: list[Ask] = []
        self.prolonged: list[Prolong] = []

    # Drive ------------------------------------------------------------------------------------------------------------

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(data, flow):
                    self.sent.append(data)
                    self.flows.append(flow)
                case Tell(event):
                    assert isinstance(event, Event), f"{event} is not for the application"
                    assert event.at == self.now
                    self.told.append(event)
                case Ask(Prolong() as question):
                    self.prolonged.append(question)
                case Ask():
                    self.asked.append(effect)

    def do(self, act: Callable[..., list[Effect]], *arguments: Any) -> None:
        self.take(act(*arguments, self.now))

    def answer(self, result: Any) -> None:
        """The world answers the oldest question."""
        self.take(self.ue.answer(self.asked.pop(0), result, self.now))

    def hear(self, data: bytes | str, body: str = "", flow: Flow = FLOW) -> None:
        self.take(self.ue.receive(wire(data, body) if isinstance(data, str) else data, flow, self.now))

    def wait(self, seconds: float) -> None:
        """Time passes; alarms ring when they are due."""
        end = self.now + seconds
        for _ in range(10_000):
            due = self.ue.deadline
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            self.take(self.ue.tick(self.now))
        raise AssertionError(f"an alarm at {self.ue.deadline} rings for ever")

    # Speak for the network --------------------------------------------------------------------------------------------

    def reply(self, status: str, extra: str = "", body: str = "", to: Request | None = None, tag: str = "net") -> None:
        """Answers the last request (or `to`) by hand: what RFC 3261 8.2.6 copies, then `extra`."""
        request = to or self.request
        local = Address(FLOW.local.host, request.via.port or FLOW.local.port)  # inside IPsec another one than FLOW's
        self.hear(self.response(status, extra, body, request, tag), flow=FLOW._replace(local=local))

    def response(self, status: str, extra: str, body: str, to: Request, tag: str = "net") -> bytes:
        lines = [f"SIP/2.0 {status}"]
        for name, value in to.headers:
            if name in ("Via", "From", "Call-ID", "CSeq"):
                lines.append(f"{name}: {value}")
            elif name == "To":
                lines.append(f"To: {value}" + (f";tag={tag}" if tag and ";tag=" not in value else ""))
        return wire("\n".join([*lines, *extra.strip().splitlines()]), body)

    def challenge(self, nonce: str = NONCE) -> None:
        self.reply("401 Unauthorized", CHALLENGE.format(nonce))

    def grant(self, expires_s: int = 3600) -> None:
        contact = (self.request.headers.get("Contact") or "").partition(";+sip")[0]
        self.reply("200 OK", GRANTED.format(contact, expires_s))

    def register(self, expires_s: int = 3600) -> Bench:
        """A whole registration; what it did is forgotten."""
        self.do(self.ue.register)
        self.answer((FLOW,))
        if self.profile.auth == "aka":
            self.challenge()
            self.answer(RES)
        self.grant(expires_s)
        assert self.ue.is_registered
        self.forget()
        return self

    def forget(self) -> None:
        self.sent.clear()
        self.flows.clear()
        self.told.clear()

    def call(self, target: str = "bob") -> str:
        """A call of ours, up to its INVITE."""
        key, effects = self.ue.call(target, self.now)
        self.take(effects)
        self.answer(MEDIA)
        return key

    def invite(self, extra: str = "Supported: 100rel", body: str = OFFER, branch: str = "z9hG4bKcall") -> str:
        """Somebody calls us; gives the call's key."""
        before = set(self.ue.calls)
        self.hear(self.far_request("INVITE", 1, extra, branch=branch, tag=""), body)
        if self.asked:
            self.answer(MEDIA)
        return next(iter(set(self.ue.calls) - before), "")

    def far_request(self, method: str, cseq: int, extra: str = "", *, branch: str = "", tag: str) -> str:
        """A request of the far end in the dialog of `invite`, `tag` being ours (empty: outside any dialog)."""
        own = self.own_address()
        return "\n".join(
            [
                f"{method} {own} SIP/2.0",
                f"Via: SIP/2.0/UDP 127.0.10.10:5060;branch={branch or f'z9hG4bK{method}{cseq}'}",
                "Max-Forwards: 66",
                "Record-Route: <sip:127.0.10.10:5060;lr>",
                f"From: <sip:bob@{HOME}>;tag=far",
                f"To: <sip:alice@{HOME}>" + (f";tag={tag}" if tag else ""),
                "Call-ID: far-call",
                f"CSeq: {cseq} {method}",
                "Contact: <sip:bob@127.0.10.50:5060>",
                f'P-Asserted-Identity: "Bob B." <sip:bob@{HOME}>',
                *extra.strip().splitlines(),
            ]
        )

    def own_address(self) -> str:
        return self.ue._agent.address(FLOW)

    # See --------------------------------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Request]:
        return [message for data in dict.fromkeys(self.sent) if isinstance(message := parse(data), Request)]

    @property
    def responses(self) -> list[Response]:
        return [message for data in dict.fromkeys(self.sent) if isinstance(message := parse(data), Response)]

    @property
    def request(self) -> Request:
        """The last request that left."""
        return self.requests[-1]

    @property
    def labels(self) -> list[str]:
        """What left, in the order it did and without repeats: methods and statuses."""
        messages = [parse(data) for data in dict.fromkeys(self.sent)]
        return [m.method if isinstance(m, Request) else str(m.status) for m in messages]

    def events(self, *kinds: type[Event]) -> list[Event]:
        return [event for event in self.told if isinstance(event, kinds)]

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.told]

    def question(self, kind: type[Resolve] | type[Authenticate] | type[OpenMedia]) -> Any:
        question = self.asked[0].question
        assert isinstance(question, kind)
        return question


@pytest.fixture(scope="session")
def make_bench() -> type[Bench]:
    """For a phone of one's own: a password, keys of the profile."""
    return Bench


@pytest.fixture
def bench() -> Bench:
    """A phone with a SIM that has not registered yet."""
    return Bench()


@pytest.fixture
def phone() -> Bench:
    """A phone with a SIM, registered for an hour."""
    return Bench().register()


@pytest.fixture
def softphone() -> Bench:
    """A phone with a password, not registered yet."""
    return Bench(Secret(b"secret1"), auth="digest", impu=f"sip:softphone1@{HOME}", imsi=None)
