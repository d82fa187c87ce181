"""How many SIP messages one core reads, understands and prints, in a second of CPU time.

    python tests/bench/sip.py [--json]

The message is the REGISTER of 1.4 kB that a phone sends into an IMS once it has been challenged. The reference is the
email package of the standard library, the interpreter's own reader of such headers, on the same octets: it reads and
prints and looks into no value. Nothing is remembered from one message to the next, so that each costs what the first
did.
"""

from __future__ import annotations

import email
import sys
import time
from collections.abc import Callable

from figure import Figure, show

from imsphone.machine import Address, Flow, Ids
from imsphone.sip.message import Request, parse
from imsphone.sip.transactions import RequestArrived, Transactions
from imsphone.sip.validation import examine

ROUNDS, MESSAGES = 15, 1000
REALM = "ims.mnc001.mcc001.3gppnetwork.org"
REGISTER = "\r\n".join(
    (
        f"REGISTER sip:{REALM} SIP/2.0",
        "Via: SIP/2.0/TCP 127.0.2.1:5060;branch=z9hG4bK1234567890abcdef1234;rport",
        "Max-Forwards: 70",
        f"From: <sip:001010000000001@{REALM}>;tag=0123456789abcdef",
        f"To: <sip:001010000000001@{REALM}>",
        "Call-ID: 0123456789abcdef0123456789abcdef",
        "CSeq: 2 REGISTER",
        'Contact: <sip:127.0.2.1:5060>;expires=600000;+sip.instance="<urn:gsma:imei:35824005-944763-1>"'
        ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel";+g.3gpp.smsip',
        f'Authorization: Digest username="001010000000001@{REALM}", realm="{REALM}", '
        'nonce="I1U8vpY3qJ0hiuZNrke/NVXzKLQ1d7m5Sp/6w1Tfr7M=", uri="sip:' + REALM + '", algorithm=AKAv1-MD5, '
        'opaque="5ccc069c403ebaf9", qop=auth, nc=00000001, cnonce="0a4f113b0a4f113b", '
        'response="402ab8df9f3a4d63a9f47c2f90e02938"',
        "Supported: path, gruu, outbound",
        "Require: sec-agree",
        "Proxy-Require: sec-agree",
        "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;ealg=null;spi-c=23456789;spi-s=12345678;port-c=5100;port-s=5101",
        "Security-Verify: ipsec-3gpp;q=0.1;alg=hmac-sha-1-96;spi-c=98765432;spi-s=87654321;port-c=8642;port-s=7531",
        "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100011234567",
        "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, MESSAGE, NOTIFY, REFER, OPTIONS",
        "Expires: 600000",
        "User-Agent: imsphone",
        "Content-Length: 0",
        "\r\n",
    )
).encode()
FLOW = Flow("UDP", Address("127.0.10.10", 5060), Address("127.0.2.1", 5060))


def read_and_print() -> None:
    """The message, ten of its headers as typed values, and the octets again."""
    message = parse(REGISTER)
    message.via  # noqa: B018
    message.from_  # noqa: B018
    message.to  # noqa: B018
    message.call_id  # noqa: B018
    message.cseq  # noqa: B018
    message.contacts  # noqa: B018
    message.credentials()
    message.supported  # noqa: B018
    message.expires  # noqa: B018
    message.max_forwards  # noqa: B018
    bytes(message)


def email_package() -> None:
    """The same octets by the email package, which needs the start line away."""
    email.message_from_bytes(REGISTER.partition(b"\r\n")[2]).as_bytes()


def examined() -> None:
    """Read, and checked for all that every element must be able to read."""
    examine(parse(REGISTER))


def serve() -> Callable[[], None]:
    """A request that arrives at its owner and is answered, as a registrar does."""
    layer, register = Transactions(Ids(b"bench")), REGISTER.replace(b"SIP/2.0/TCP", b"SIP/2.0/UDP")
    count, now = 0, 0.0

    def serve_one() -> None:
        nonlocal count, now
        count, now = count + 1, now + 0.01
        data = register.replace(b"1234567890abcdef1234", b"%020d" % count)
        layer.tick(now)
        for effect in layer.receive(data, FLOW, now):
            event = getattr(effect, "event", None)
            if isinstance(event, RequestArrived):
                layer.respond(event.transaction, event.request.answer(200, tag="0123456789abcdef"), now)

    return serve_one


def rate(work: Callable[[], None]) -> float:
    """How often `work` was done in a second of CPU time."""
    start = time.process_time()
    for _ in range(MESSAGES):
        work()
    return MESSAGES / (time.process_time() - start)


def main() -> int:
    assert isinstance(parse(REGISTER), Request)
    assert examine(parse(REGISTER)) is None
    subjects = {"read_and_print": read_and_print, "email": email_package, "examined": examined, "served": serve()}
    rates: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, work in subjects.items():
            rates[name].append(rate(work))
    reference = ("the email package, read and print", tuple(rates["email"]))
    size = f"{len(REGISTER):,} octets, {REGISTER.count(b': ')} headers"
    return show(
        [
            Figure(
                "REGISTER read, ten headers, printed",
                "/s",
                tuple(rates["read_and_print"]),
                True,
                25_000,
                *reference,
                size,
            ),
            Figure("REGISTER read and examined", "/s", tuple(rates["examined"]), True, None, *reference),
            Figure("REGISTER received and answered", "/s", tuple(rates["served"]), True, None, *reference),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
