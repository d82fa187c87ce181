from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.comparison import compare
from imsphone.ladder import draw, lines
from imsphone.machine import Address, Flow
from imsphone.trace import Trace

HOSTS = {"alice": "192.0.2.1", "p-cscf": "192.0.2.2", "s-cscf": "192.0.2.3"}
ADDRESSES = {name: Address(host, 5060) for name, host in HOSTS.items()}


def sip(what: str, *, sdp: bool = False, cseq: str = "X") -> bytes:
    first = f"SIP/2.0 {what}" if what[0].isdigit() else f"{what} sip:bob@ims.example SIP/2.0"
    body = "v=0\r\n" if sdp else ""
    kind = "Content-Type: application/sdp\r\n" if sdp else ""
    return f"{first}\r\nCSeq: 1 {cseq}\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def rtp(number: int, way: int = 0) -> bytes:
    return b"\x80\x08" + number.to_bytes(2, "big") + bytes(8) + bytes((way,)) * 160


class Story(Trace):
    """A trace that writes itself: `says` records a message at both ends and lets time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 100.0

    def says(
        self, source: str, target: str, what: str, *, sdp: bool = False, cseq: str = "X", arrives: bool = True
    ) -> None:
        self.crosses(source, target, sip(what, sdp=sdp, cseq=cseq), 5060, arrives=arrives)
        self.at += 0.01

    def crosses(self, source: str, target: str, data: bytes, port: int, *, arrives: bool = True) -> None:
        here, there = Address(HOSTS[source], port), Address(HOSTS[target], port)
        self.add(self.at, source, "sent", Flow("UDP", here, there), data)
        if arrives:
            self.add(self.at + 0.001, target, "received", Flow("UDP", there, here), data)


@pytest.fixture
def call() -> Story:
    return a_call()


def a_call() -> Story:
    story = Story()
    story.says("alice", "p-cscf", "INVITE", sdp=True)
    story.says("p-cscf", "s-cscf", "INVITE", sdp=True)
    story.says("s-cscf", "p-cscf", "183 Session Progress", sdp=True)
    story.says("p-cscf", "alice", "183 Session Progress", sdp=True)
    for number in range(1204):
        story.crosses("alice", "s-cscf", rtp(number), 40000, arrives=number % 100 != 50)
        if number < 1198:
            story.crosses("s-cscf", "alice", rtp(number, 1), 40000)
        story.at += 0.02
    story.says("alice", "p-cscf", "BYE")
    story.says("p-cscf", "alice", "486 Busy Here")
    story.at += 1
    story.says("alice", "p-cscf", "REGISTER")
    return story


def test_the_picture(call: Story) -> None:
    assert draw(call).splitlines() == [
        "          alice                           p-cscf                           s-cscf",
        "            │                                │                                │",
        "   0.000    ├───────── INVITE (SDP) ────────▶│                                │",
        "   0.010    │                                ├───────── INVITE (SDP) ────────▶│",
        "   0.020    │                                │◀─ 183 Session Progress (SDP) ──┤",
        "   0.030    │◀─ 183 Session Progress (SDP) ──┤                                │",
        "   0.040    │◀══════════ RTP 1,204 (12 lost) → 1,198 ← over 24.1 s ══════════▶│",
        "  24.120    ├───────────── BYE ─────────────▶│                                │",
        "  24.130    │◀─────── 486 Busy Here ─────────┤                                │",
        "  25.140    ├─────────── REGISTER ──────────▶│                                │",
    ]


def test_lines_are_the_same_for_tests(call: Story) -> None:
    assert lines(call) == [
        "alice -> p-cscf  INVITE (SDP)",
        "p-cscf -> s-cscf  INVITE (SDP)",
        "s-cscf -> p-cscf  183 Session Progress (SDP)",
        "p-cscf -> alice  183 Session Progress (SDP)",
        "alice -> p-cscf  BYE",
        "p-cscf -> alice  486 Busy Here",
        "alice -> p-cscf  REGISTER",
    ]
    assert lines(call, nodes=["p-cscf", "s-cscf"]) == lines(call)[1:3]
    assert lines(call, nodes=["s-cscf"], media=True) == [*lines(call)[1:3], "alice <-> s-cscf  RTP"]


def test_what_is_lost_and_sent_again_can_be_seen() -> None:
    story = Story()
    story.says("alice", "p-cscf", "INVITE", arrives=False)
    story.at += 0.5
    story.says("alice", "p-cscf", "INVITE")
    story.says("p-cscf", "alice", "100 Trying")
    assert lines(story)[:2] == ["alice -x p-cscf  INVITE", "alice -> p-cscf  INVITE"]
    picture = draw(story)
    assert re.search(r"0\.000 .*├─+ INVITE ─+✗│", picture)
    assert re.search(r"0\.510 .*├─+ INVITE ↻ ─+▶│", picture)
    assert picture.endswith("✗ did not arrive   ↻ sent again")


def test_with_one_phone_traced_strangers_have_their_hosts_or_the_names_that_are_told() -> None:
    trace = Trace()
    flow = Flow("UDP", ADDRESSES["alice"], ADDRESSES["p-cscf"])
    trace.add(1.0, "alice", "sent", flow, sip("REGISTER"))
    trace.add(1.1, "alice", "received", flow, sip("200 OK"))
    assert lines(trace) == ["alice -> 192.0.2.2  REGISTER", "192.0.2.2 -> alice  200 OK"]
    assert lines(trace, names={"192.0.2.2": "p-cscf"}) == ["alice -> p-cscf  REGISTER", "p-cscf -> alice  200 OK"]
    assert lines(trace, names={ADDRESSES["p-cscf"]: "edge"}, nodes=["edge"]) == [
        "alice -> edge  REGISTER",
        "edge -> alice  200 OK",
    ]


def test_a_stranger_on_our_own_host_is_told_apart_by_its_port() -> None:
    trace = Trace()
    flow = Flow("UDP", Address("127.0.0.1", 5060), Address("127.0.0.1", 5070))
    trace.add(1.0, "alice", "sent", flow, sip("REGISTER"))
    assert lines(trace) == ["alice -> 127.0.0.1:5070  REGISTER"]


def test_rtp_that_rests_starts_a_new_band() -> None:
    story = Story()
    for at in (0.0, 0.02, 0.04, 5.0, 5.02):
        story.at = at
        story.crosses("alice", "s-cscf", rtp(round(at * 50)), 40000)
    picture = draw(story)
    assert "RTP 3 → over 0.0 s" in picture
    assert "RTP 2 → over 0.0 s" in picture
    assert lines(story, media=True) == ["alice -> s-cscf  RTP"] * 2


def test_two_calls_between_the_same_nodes_are_two_bands() -> None:
    story = Story()
    for k in range(3):
        story.crosses("alice", "s-cscf", rtp(k), 40000)
        story.crosses("alice", "s-cscf", rtp(k), 40002)
    assert lines(story, media=True) == ["alice -> s-cscf  RTP"] * 2


def test_answers_within_an_invite_say_what_they_answer() -> None:
    story = Story()
    story.says("p-cscf", "alice", "200 OK", cseq="PRACK")
    story.says("p-cscf", "alice", "200 OK", sdp=True, cseq="INVITE")
    assert re.search(r" 200 OK \(PRACK\) .*\n.* 200 OK \(SDP\) ", draw(story))
    assert lines(story) == ["p-cscf -> alice  200 OK", "p-cscf -> alice  200 OK (SDP)"]


def test_a_node_may_send_to_itself() -> None:
    story = Story()
    story.says("p-cscf", "p-cscf", "INVITE")
    assert re.search(r"├─ INVITE ↩$", draw(story), re.MULTILINE)
    assert lines(story) == ["p-cscf -> p-cscf  INVITE"]


def test_columns_stand_as_told_and_fit(call: Story) -> None:
    picture = draw(call, nodes=["s-cscf", "p-cscf", "alice"], width=60)
    assert re.match(r"\s+s-cscf\s+p-cscf\s+alice\n", picture)
    assert max(map(len, picture.splitlines())) <= 62
    assert "├─ 183 Session Prog… ▶│" in picture


def test_colour_is_asked_for(call: Story) -> None:
    assert "\x1b" not in draw(call)
    painted = draw(call, colour=True)
    assert re.search("\x1b\\[31m[^\x1b]* 486 Busy Here [^\x1b]*\x1b\\[0m", painted)
    assert re.sub("\x1b\\[\\d+m", "", painted) == draw(call)


def test_an_empty_trace_says_so() -> None:
    assert draw(Trace()) == "(nothing crossed the wire)"
    assert lines(Trace()) == []


# Anything -----------------------------------------------------------------------------------------------------------

STARTS = st.sampled_from(
    [b"", b"SIP/2.0 200 OK\r\n", b"INVITE sip:x SIP/2.0\r\n", rtp(1), b"\x01\x00\x00\x14" + bytes(16)]
)
ENDS = st.builds(Address, st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]), st.integers(0, 3))
STEPS = st.tuples(
    st.floats(-1e9, 1e9),
    st.sampled_from(["alice", "p-cscf", "x" * 90, "ä"]),
    st.sampled_from(["sent", "received"]),
    st.builds(Flow, st.sampled_from(["UDP", "TCP"]), ENDS, ENDS),
    st.builds(bytes.__add__, STARTS, st.binary(max_size=20)),
)
PATTERNS = st.lists(
    st.sampled_from(["...", "alice -> p-cscf  200 OK", "# x", "", "->", "p-cscf -> alice RTP"]), max_size=5
)


@given(st.lists(STEPS, max_size=10), st.integers(-5, 200), PATTERNS)
def test_any_trace_can_be_drawn_and_compared(
    steps: list[tuple[float, str, str, Flow, bytes]], width: int, wanted: list[str]
) -> None:
    trace = Trace()
    for step in steps:
        trace.add(*step)
    assert draw(trace, width=width, colour=True)
    assert draw(trace, nodes=["p-cscf", "nobody"], width=width)
    assert compare("\n".join(lines(trace)), trace) is None
    assert compare("\n".join(lines(trace, media=True)), trace) is None
    assert compare("...", trace) is None
    compare("\n".join(wanted), trace)


def test_what_went_inside_esp_says_so_and_the_packet_is_not_drawn_besides() -> None:
    trace = Trace()
    out = Flow("UDP", ADDRESSES["alice"], ADDRESSES["p-cscf"])
    esp = Flow("ESP", ADDRESSES["alice"]._replace(port=0), ADDRESSES["p-cscf"]._replace(port=0))
    trace.add(1.0, "alice", "sent", out, sip("REGISTER"), True)
    trace.add(1.0, "alice", "sent", esp, bytes(60))
    assert lines(trace, names=dict(zip(HOSTS.values(), HOSTS, strict=True))) == ["alice -> p-cscf  REGISTER (ESP)"]
    assert "REGISTER (ESP)" in draw(trace)


def test_keep_alives_are_drawn_once_with_their_number() -> None:
    story = Story()
    for _ in range(12):
        story.says("alice", "p-cscf", "OPTIONS")
        story.says("p-cscf", "alice", "200 OK", cseq="OPTIONS")
        story.at += 5
    story.says("alice", "p-cscf", "OPTIONS")
    story.says("alice", "p-cscf", "BYE")
    picture = draw(story)
    assert [label for label in ("OPTIONS × 13", "200 OK × 12", "BYE") if label in picture] == [
        "OPTIONS × 13",
        "200 OK × 12",
        "BYE",
    ]
    assert len(picture.splitlines()) == 5
    assert len(lines(story)) == 26
