"""Garbage on the wire: nothing but ParseError comes of it, and never more work than there are octets.

The long texts hold what a careless pattern would try in all combinations: quotes, brackets, blanks, folds, separators
without an end. They cost a linear reader milliseconds and a quadratic one minutes, which the time limit notices.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.machine import Address, Flow, Ids
from imsphone.sip.digest import aka_nonce
from imsphone.sip.fields import Challenge, CSeq, NameAddr, RAck, Via
from imsphone.sip.framing import Framer
from imsphone.sip.grammar import parse_params, split, unescape, unquote
from imsphone.sip.message import Message, parse
from imsphone.sip.transactions import Transactions
from imsphone.sip.uri import Uri
from imsphone.sip.validation import examine

FLOW = Flow("UDP", Address("192.0.2.1", 5060), Address("192.0.2.9", 5060))
READERS: dict[str, Callable[[str], object]] = {
    "Uri": Uri.parse,
    "Via": Via.parse,
    "NameAddr": NameAddr.parse,
    "CSeq": CSeq.parse,
    "RAck": RAck.parse,
    "Challenge": Challenge.parse,
    "params": parse_params,
    "commas": lambda text: split(text, ","),
    "semicolons": lambda text: split(text, ";"),
    "unquote": unquote,
    "unescape": unescape,
    "nonce": lambda text: aka_nonce(Challenge("Digest", {"nonce": text})),
}
LONG = 1 << 18
BEGINNINGS = ["", "<", '"', '"a" <sip:', "<sip:a@b>;", "sip:a@b;", "tel:1;", "SIP/2.0/UDP h", "1 ", 'Digest a="']
REPEATED = [
    " ", "\t\r\n", "a", "1", '"', '\\"', '"\\', "<", ">", "<>", '"<', ",", ";", "=", "a=", "a=b,", 'a="b",', 'a="',
    "a;b ", "%", "%41", "@", ":", "a:", "[", ".", "a ", " a=", '"" ', "<a>,", "&", "SIP/",
]  # fmt: skip
ENDS = ["", "x", '"', ">", "\0", " x"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_long_values_cost_linear_time(beginning: str) -> None:
    for repeated, end in zip(REPEATED, cycle(ENDS[1:])):
        text = beginning + repeated * (LONG // len(repeated)) + end
        for read in READERS.values():
            with suppress(ParseError):
                read(text)


HEADS = [b"", b"\r\n", b"INVITE sip:a SIP/2.0\r\n", b"INVITE ", b"SIP/2.0 200 ", b"INVITE sip:a SIP/2.0\r\nX: a\r\n b"]
LINES = [
    b" ", b"\r\n ", b"\r\n", b"\n", b"\r", b"a", b":", b"a:\r\n", b"a:b\n", b" a:\r\n", b"Via: SIP/2.0/UDP h\r\n",
    b"v:,\r\n", b"X  :y\r\n\t", b"l:1\r\n", b"\nl:", b"\nContent-Length:\r\n ", b"x SIP/2.0 ", b" SIP/", b"\xff",
    b"Contact: <\r\n", b'Contact: "\r\n', b"Route: <sip:a>,\r\n", b"\x01\0\0\x14",
]  # fmt: skip
TAILS = [b"", b"x", b"\r\n\r\n", b"\r\n\r\nbody", b" SIP/2.0\r\n\r\n"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("head", HEADS)
def test_long_messages_cost_linear_time(head: bytes) -> None:
    for line, tail in zip(LINES, cycle(TAILS)):
        data = head + line * (LONG // len(line)) + tail
        with suppress(ParseError):
            message = parse(data)
            examine(message)
            look(message)
            bytes(message)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("step", [7, 65_536], ids=["octets", "large pieces"])
def test_long_streams_cost_linear_time(step: int) -> None:
    for line in LINES:
        data = HEADS[2] + line * (65_000 // len(line))
        framer = Framer()
        for start in range(0, len(data), step):
            framer.feed(data[start : start + step])
    framer = Framer()
    for _ in range(16):
        framer.feed(b"\r\n\r\n" * 16_384)


def look(message: Message) -> None:
    for name, kind in vars(Message).items():
        if isinstance(kind, property):
            with suppress(ParseError):
                getattr(message, name)
    message.challenges()
    message.credentials()
    message.addresses("Reply-To")


pieces = st.sampled_from([*BEGINNINGS, *REPEATED, *ENDS])
texts = st.text() | st.lists(pieces, max_size=12).map("".join)


@given(texts)
def test_any_text_is_read_or_is_a_parse_error(text: str) -> None:
    for read in READERS.values():
        with suppress(ParseError):
            read(text)


NAMES = [b"Via", b"From", b"To", b"CSeq", b"Call-ID", b"Contact", b"Route", b"RAck", b"l", b"Require", b"Authorization"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), texts), max_size=12), st.sampled_from(HEADS), st.binary(max_size=20))
def test_any_message_is_read_or_is_a_parse_error(lines: list[tuple[bytes, str]], head: bytes, body: bytes) -> None:
    written = b"".join(name + b": " + text.encode("utf-8", "surrogatepass") + b"\r\n" for name, text in lines)
    data = head + written + b"\r\n" + body
    with suppress(ParseError):
        message = parse(data)
        examine(message)
        look(message)
        message.copy().headers.pop_first("Subject")  # type: ignore[attr-defined]
    Transactions(Ids(b"")).receive(data, FLOW, 0.0)
    Framer().feed(data)


@given(st.binary())
def test_any_octets(data: bytes) -> None:
    with suppress(ParseError):
        look(parse(data))
    Transactions(Ids(b"")).receive(data, FLOW, 0.0)
    Framer().feed(data)
