"""A handset that knows no SIP: it sends the octets that a test wrote by hand and keeps those that come."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from imsphone.lab.network import Account, Network
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.machine import Address, Effect, Flow, Send
from imsphone.usim.aka import AkaSuccess, SyncFailure
from imsphone.usim.isim import Isim

REALM = "ims.mnc001.mcc001.3gppnetwork.org"


def md5(text: str | bytes) -> str:
    return hashlib.md5(text.encode() if isinstance(text, str) else text).hexdigest()


def header(message: str, name: str) -> str:
    """The first value of a header, the empty string where it is missing."""
    found = re.search(rf"^{name}: *(.*?)\r?$", message, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def headers(message: str, name: str) -> list[str]:
    """The values of all lines of a header."""
    return re.findall(rf"^{name}: *(.*?)\r?$", message, re.MULTILINE | re.IGNORECASE)


@dataclass
class Handset:
    """One end with an address; `heard` are the messages that came, as text."""

    world: World
    name: str
    address: Address
    pcscf: Address
    heard: list[str] = field(default_factory=list)
    flow_of: dict[str, Flow] = field(default_factory=dict)
    lost_flows: list[Flow] = field(default_factory=list)
    branch: int = 0
    deadline = None

    # the machine

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        self.heard.append(data.decode())
        self.flow_of[data.decode()] = flow
        return []

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        self.lost_flows.append(flow)
        return []

    def answer(self, *_: object) -> list[Effect]:
        return []

    def tick(self, now: float) -> list[Effect]:
        return []

    # the test's hands

    def send(self, text: str, transport: str = "UDP") -> None:
        """Sends a message; `{via}` becomes a Via with a branch of its own."""
        if "{via}" in text:
            self.branch += 1
            text = text.replace(
                "{via}", f"SIP/2.0/{transport} {self.address};branch=z9hG4bK{self.name}{self.branch};rport"
            )
        head, _, body = text.replace("\n", "\r\n").partition("\r\n\r\n")
        if "content-length" not in head.lower():
            head += f"\r\nContent-Length: {len(body)}"
        flow = Flow(transport, self.address, self.pcscf)  # type: ignore[arg-type]
        self.world.perform(self.name, [Send(f"{head}\r\n\r\n{body}".encode(), flow)])

    def reply(self, request: str, status: str, *lines: str, tag: str = "", body: str = "") -> None:
        """Answers a request that was heard, on the flow that it came on."""
        copied = [f"Via: {via}" for via in headers(request, "Via")]
        copied += [f"Record-Route: {route}" for route in headers(request, "Record-Route")]
        to = header(request, "To") + (f";tag={tag}" if tag else "")
        copied += [f"From: {header(request, 'From')}", f"To: {to}"]
        copied += [f"Call-ID: {header(request, 'Call-ID')}", f"CSeq: {header(request, 'CSeq')}", *lines]
        text = f"SIP/2.0 {status}\r\n" + "\r\n".join(copied) + f"\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        self.world.perform(self.name, [Send(text.encode(), self.flow_of[request])])

    def next(self, start: str, timeout_s: float = 40.0) -> str:
        """Waits for the next message that starts so, gives it, and forgets it and what came before it."""
        self.world.run_until(lambda: any(text.startswith(start) for text in self.heard), timeout_s)
        index = next(i for i, text in enumerate(self.heard) if text.startswith(start))
        found = self.heard[index]
        del self.heard[: index + 1]
        return found


class Registrant(Handset):
    """A handset that can register; REGISTER after TS 24.229 5.1.1 and the example of TS 24.228 6.2."""

    account: Account
    isim: Isim
    cseq: int = 0
    call_id: str = "reg"
    service_route: str = ""

    def register(
        self,
        authorization: str = "",
        *,
        expires: int | None = 600000,
        contact: str | None = None,
        impu: str | None = None,
        transport: str = "UDP",
    ) -> str:
        """One REGISTER; gives its final answer."""
        self.cseq += 1
        impu = impu or f"sip:{self.account.impi}"
        contact = f"<sip:{self.account.impi.partition('@')[0]}@{self.address}>" if contact is None else contact
        lines = [
            f"REGISTER sip:{REALM} SIP/2.0",
            "Via: {via}",
            "Max-Forwards: 70",
            f"From: <{impu}>;tag=4fa3",
            f"To: <{impu}>",
            f"Call-ID: {self.call_id}@{self.name}",
            f"CSeq: {self.cseq} REGISTER",
            "Supported: path",
            "P-Access-Network-Info: 3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=001010001000000A",
        ]
        lines += [f"Contact: {contact}"] if contact else []
        lines += [f"Expires: {expires}"] if expires is not None else []
        lines += [f"Authorization: {authorization}"] if authorization else []
        self.send("\n".join(lines) + "\n\n", transport)
        return self.next("SIP/2.0")

    def first_authorization(self, **changes: str) -> str:
        params = {"username": self.account.impi, "realm": REALM, "nonce": "", "uri": f"sip:{REALM}", "response": ""}
        return "Digest " + ", ".join(f'{name}="{value}"' for name, value in (params | changes).items())

    def proof(self, challenge: str, *, password: bytes | None = None, auts: bytes | None = None, nc: int = 1) -> str:
        """The Authorization for a 401, worked out here from RFC 2617 3.2.2 and RFC 3310."""
        value = header(challenge, "WWW-Authenticate")
        nonce = re.search(r'nonce="([^"]*)"', value)
        algorithm = re.search(r"algorithm=([\w-]+)", value)
        assert nonce is not None
        assert algorithm is not None
        if password is None:
            token = base64.b64decode(nonce[1])
            outcome = self.isim.authenticate(token[:16], token[16:32])
            if isinstance(outcome, SyncFailure):
                password, auts = b"", outcome.auts
            else:
                assert isinstance(outcome, AkaSuccess), outcome
                password = outcome.res
        digest = (lambda data: hashlib.sha256(data).hexdigest()) if algorithm[1] == "SHA-256" else md5
        ha1 = digest(f"{self.account.impi}:{REALM}:".encode() + password)
        ha2 = digest(f"REGISTER:sip:{REALM}".encode())
        response = digest(f"{ha1}:{nonce[1]}:{nc:08x}:0a4f113b:auth:{ha2}".encode())
        text = self.first_authorization(nonce=nonce[1], response=response)
        text += f', algorithm={algorithm[1]}, qop=auth, nc={nc:08x}, cnonce="0a4f113b"'
        opaque = re.search(r'opaque="([^"]*)"', value)
        text += f', opaque="{opaque[1]}"' if opaque else ""
        return text + (f', auts="{base64.b64encode(auts).decode()}"' if auts is not None else "")

    def come_in(self, **options: object) -> str:
        """Registers all the way; gives the 200."""
        answer = self.register(self.first_authorization(), **options)  # type: ignore[arg-type]
        assert answer.startswith("SIP/2.0 401"), answer
        password = None if self.account.password is None else self.account.password.reveal()
        answer = self.register(self.proof(answer, password=password), **options)  # type: ignore[arg-type]
        assert answer.startswith("SIP/2.0 200"), answer
        self.service_route = header(answer, "Service-Route")
        return answer

    def invite(self, target: str, *lines: str, call_id: str = "call", transport: str = "UDP", sdp: str = "") -> None:
        """An INVITE outside of a dialog, with the Service-Route of the last 200."""
        more = "".join(f"{line}\n" for line in lines)
        route = f"Route: <sip:{self.pcscf};lr>, {self.service_route}\n" if self.service_route else ""
        kind = "Content-Type: application/sdp\n" if sdp else ""
        self.send(
            f"INVITE {target} SIP/2.0\nVia: {{via}}\nMax-Forwards: 70\n{route}"
            f"From: <sip:{self.name}@{REALM}>;tag=171828\nTo: <{target}>\nCall-ID: {call_id}@{self.name}\n"
            f"CSeq: 1 INVITE\nContact: <sip:{self.name}@{self.address}>\n{more}{kind}\n{sdp}",
            transport,
        )

    def in_dialog(self, method: str, response: str, cseq: str, *lines: str) -> None:
        """A request of the caller inside the dialog that this response made (RFC 3261 12.2.1.1)."""
        routes = [route.strip() for line in headers(response, "Record-Route") for route in line.split(",")]
        contact = re.search(r"<([^>]*)>", header(response, "Contact"))
        assert contact is not None
        more = "".join(f"{line}\n" for line in lines)
        self.send(
            f"{method} {contact[1]} SIP/2.0\nVia: {{via}}\nMax-Forwards: 70\n"
            + "".join(f"Route: {route}\n" for route in reversed(routes))
            + "".join(f"{name}: {header(response, name)}\n" for name in ("From", "To", "Call-ID"))
            + f"CSeq: {cseq} {method}\n{more}\n"
        )


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def terms() -> Terms:
    return Terms()


@pytest.fixture
def network(world: World, terms: Terms) -> Network:
    network = Network(terms=terms)
    network.attach(world)
    return network


@pytest.fixture
def handset(world: World, network: Network) -> Callable[..., Registrant]:
    def make(account: str, host: str, port: int = 5060, name: str = "") -> Registrant:
        one = Registrant(world, name or account, Address(host, port), network.addresses["p-cscf"])
        one.account = network.accounts[account]
        if one.account.k is not None:
            one.isim = one.account.isim()
        world.attach(one.name, one, [one.address])
        return one

    return make


@pytest.fixture
def alice(handset: Callable[..., Registrant]) -> Registrant:
    return handset("alice", "127.0.0.11")


@pytest.fixture
def bob(handset: Callable[..., Registrant]) -> Registrant:
    return handset("bob", "127.0.0.12")


SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
)


class Ear:
    """Where the handset's RTP arrives."""

    deadline = None

    def __init__(self) -> None:
        self.rtp: list[tuple[float, bytes]] = []
        self.rtcp: list[bytes] = []

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        if 192 <= data[1] <= 223:
            self.rtcp.append(data)
        else:
            self.rtp.append((now, data))
        return []

    def lost(self, *_: object) -> list[Effect]:
        return []

    answer = tick = lost


@pytest.fixture
def ear(world: World) -> Ear:
    ear = Ear()
    world.attach("ear", ear, ["127.0.0.21"])
    return ear


def sdp(port: int = 41000, direction: str = "sendrecv") -> str:
    return SDP.format(host="127.0.0.21", port=port).replace("a=sendrecv", f"a={direction}")


def media_of(message: str) -> Address:
    port = re.search(r"^m=audio (\d+)", message, re.MULTILINE)
    host = re.search(r"^c=IN IP4 (\S+)", message, re.MULTILINE)
    assert port is not None
    assert host is not None
    return Address(host[1], int(port[1]))


def rtp(sequence: int, timestamp: int, payload: bytes = bytes(160), payload_type: int = 8, ssrc: int = 7) -> bytes:
    """A packet after the picture of RFC 3550 5.1."""
    return struct.pack("!BBHII", 0x80, payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def speak(world: World, data: bytes, to: Address) -> None:
    world.perform("ear", [Send(data, Flow("UDP", Address("127.0.0.21", 41000), to))])


def answered(alice: Registrant, target: str, *lines: str, offer: str = "") -> str:
    """Calls a far end until its 200 and acknowledges it; gives the 200."""
    alice.invite(target, *lines, sdp=offer or sdp())
    ok = alice.next("SIP/2.0 200")
    alice.in_dialog("ACK", ok, "1")
    return ok


@pytest.fixture
def registered(alice: Registrant) -> Registrant:
    alice.come_in()
    return alice
