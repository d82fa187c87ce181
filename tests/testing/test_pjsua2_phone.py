"""The child against a registrar and a caller of a few lines each, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
from collections.abc import AsyncIterator

import pytest

from imsphone.errors import RegistrationRejected
from imsphone.sip.message import Request, Response, parse
from imsphone.testing.foreign import ForeignPhone, Orders, what_is_missing

pytestmark = pytest.mark.skipif(what_is_missing() is not None, reason=str(what_is_missing()))
HOST, HERE = "127.0.93.2", "127.0.93.3"
REALM, PASSWORD = "ims.example", "s3cret"


class Wire:
    """A UDP socket that speaks SIP messages."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HERE, 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]

    async def receive(self) -> tuple[Request | Response, tuple[str, int]]:
        async with asyncio.timeout(5):
            data, source = await asyncio.get_running_loop().sock_recvfrom(self.socket, 65535)
        return parse(data), source

    async def response(self, status: int) -> Response:
        """The next response with this status, whatever comes before it."""
        while True:
            message, _ = await self.receive()
            if isinstance(message, Response) and message.status == status:
                return message

    def send(self, message: Request | Response, to: tuple[str, int]) -> None:
        self.socket.sendto(bytes(message), to)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    wire = Wire()
    yield wire
    wire.socket.close()


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


# A registrar --------------------------------------------------------------------------------------------------------


def digest(username: str, password: str, method: str, uri: str, nonce: str) -> str:
    """RFC 2617 3.2.2.1 without qop."""
    secret = hashlib.md5(f"{username}:{REALM}:{password}".encode()).hexdigest()
    about = hashlib.md5(f"{method}:{uri}".encode()).hexdigest()
    return hashlib.md5(f"{secret}:{nonce}:{about}".encode()).hexdigest()


async def register(wire: Wire) -> tuple[Request, int]:
    """Challenge what asks, check the proof, answer 200 or 403; the proven request and the answer.

    Each challenge has a fresh nonce: one that pjsip has used before, without `stale`, it takes for a refusal.
    """
    while True:
        request, source = await wire.receive()
        assert isinstance(request, Request)
        assert request.method == "REGISTER"
        proof = request.credentials()[0].params
        assert proof["username"] == f"peer@{REALM}"
        if not proof.get("response"):
            response = request.answer(401, tag="registrar")
            response.headers.add(
                "WWW-Authenticate", f'Digest realm="{REALM}", nonce="{secrets.token_hex()}", algorithm=MD5'
            )
            wire.send(response, source)
            continue
        right = digest(f"peer@{REALM}", PASSWORD, "REGISTER", str(proof["uri"]), str(proof["nonce"]))
        response = request.answer(200 if proof["response"] == right else 403, tag="registrar")
        if response.status == 200:
            response.headers.add("Contact", request.headers.get("Contact") or "")
            response.headers.add("Expires", str(request.expires))
        wire.send(response, source)
        return request, response.status


async def test_it_registers_by_digest_and_deregisters_when_it_leaves(wire: Wire, port: int) -> None:
    orders = Orders(HOST, port, "peer", REALM, PASSWORD, f"{HERE}:{wire.port}")
    async with ForeignPhone(orders) as peer:
        request, status = await register(wire)
        assert status == 200
        assert request.uri.startswith(f"sip:{REALM}")
        assert request.to.uri.user == "peer"
        assert request.contacts[0].uri.host == HOST
        await peer.registered()
        leaving = asyncio.create_task(peer.stop())
        request, status = await register(wire)
        await leaving
    assert (request.expires, status) == (0, 200)
    assert peer.events[-1]["is_active"] is False


async def test_a_wrong_password_is_refused_and_said(wire: Wire, port: int) -> None:
    async with ForeignPhone(Orders(HOST, port, "peer", REALM, "wrong", f"{HERE}:{wire.port}")) as peer:
        await register(wire)
        with pytest.raises(RegistrationRejected, match="403 Forbidden: this was the foreign phone"):
            await peer.registered()


# A caller -----------------------------------------------------------------------------------------------------------


def request(wire: Wire, port: int, method: str, number: int, to: str = "", body: bytes = b"") -> Request:
    here = f"{HERE}:{wire.port}"
    headers = [
        ("Via", f"SIP/2.0/UDP {here};branch=z9hG4bK{method}{number}"),
        ("From", f"<sip:alice@{HERE}>;tag=alice"),
        ("To", to or f"<sip:peer@{HOST}:{port}>"),
        ("Call-ID", "one-call"),
        ("CSeq", f"{number} {method}"),
        ("Contact", f"<sip:alice@{here}>"),
        ("Max-Forwards", "70"),
    ]
    message = Request(method, f"sip:peer@{HOST}:{port}", headers)
    if body:
        message.set_body(body, "application/sdp")
    return message


def offer(rtp_port: int) -> bytes:
    lines = ["v=0", f"o=- 1 1 IN IP4 {HERE}", "s=-", f"c=IN IP4 {HERE}", "t=0 0"]
    lines += [f"m=audio {rtp_port} RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=ptime:20", ""]
    return "\r\n".join(lines).encode()


async def speak(rtp: socket.socket, to: tuple[str, int], words: list[bytes]) -> list[bytes]:
    """Send one A-law frame every 20 ms; the payloads that come back, until as many have come."""
    loop = asyncio.get_running_loop()
    heard: list[bytes] = []

    async def listen() -> None:
        while len(heard) < 2 * len(words):
            heard.append((await loop.sock_recv(rtp, 2048))[12:])

    listening = asyncio.create_task(listen())
    for number, word in enumerate(words):
        header = bytes([0x80, 8]) + number.to_bytes(2, "big") + (160 * number).to_bytes(4, "big") + b"\0\0\0\1"
        rtp.sendto(header + word, to)
        await asyncio.sleep(0.02)
    async with asyncio.timeout(10):
        await listening
    return heard


async def test_it_rings_answers_and_says_back_what_it_hears(wire: Wire, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtp:
        rtp.bind((HERE, 0))
        rtp.setblocking(False)
        async with ForeignPhone(Orders(HOST, port)) as peer:
            wire.send(request(wire, port, "INVITE", 1, body=offer(rtp.getsockname()[1])), (HOST, port))
            await wire.response(180)
            answer = await wire.response(200)
            to = answer.headers.get("To") or ""
            wire.send(request(wire, port, "ACK", 1, to), (HOST, port))
            media = next(line.split() for line in answer.body.decode().splitlines() if line.startswith("m=audio"))
            words = [bytes([0xD5 ^ (number + 1)]) * 160 for number in range(40)]  # each frame its own level
            heard = await speak(rtp, (HOST, int(media[1])), words)
            wire.send(request(wire, port, "BYE", 2, to), (HOST, port))
            await wire.response(200)
            await peer.until("call", state="DISCONNECTED")
            counted = await peer.until("measured")
    assert media[3] == "8"
    assert (await peer.until("media"))["codec"] == "PCMA"
    assert counted["received"] == len(words)
    levels = [level for frame in heard for level in set(frame) if frame.count(level) >= 100]
    said = [word[0] for word in words if word[0] in levels]
    assert len(said) > len(words) / 2  # the same levels, frames shifted; its buffer smears where we were late
    assert list(dict.fromkeys(level for level in levels if level in said)) == said


async def test_it_rings_reliably_where_the_caller_wants_that(wire: Wire, port: int) -> None:
    async with ForeignPhone(Orders(HOST, port)):
        invite = request(wire, port, "INVITE", 1, body=offer(40000))
        invite.headers.add("Require", "100rel")
        wire.send(invite, (HOST, port))
        ringing = await wire.response(180)
        assert "100rel" in ringing.require
        prack = request(wire, port, "PRACK", 2, ringing.headers.get("To") or "")
        prack.headers.add("RAck", f"{ringing.rseq} 1 INVITE")
        wire.send(prack, (HOST, port))
        answered = {(await wire.response(200)).cseq.method for _ in range(2)}
    assert answered == {"PRACK", "INVITE"}


async def test_a_caller_who_gives_up_is_let_go(wire: Wire, port: int) -> None:
    async with ForeignPhone(Orders(HOST, port, ring_s=60)) as peer:
        invite = request(wire, port, "INVITE", 1, body=offer(40000))
        wire.send(invite, (HOST, port))
        await wire.response(180)
        cancel = request(wire, port, "CANCEL", 1)
        cancel.headers.set("Via", invite.headers.get("Via") or "")
        wire.send(cancel, (HOST, port))
        await wire.response(487)
        assert (await peer.until("call", state="DISCONNECTED"))["status"] == 487
