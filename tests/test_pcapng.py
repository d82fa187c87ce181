"""The judge is Wireshark's own dissector; without it, a reader of our own checks lengths and checksums."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.lab import cx, diameter
from imsphone.lab.diameter import Avp, Avps, Message
from imsphone.machine import Address, Flow
from imsphone.trace import Trace

TSHARK = shutil.which("tshark")
COMPLAINTS = "_ws.malformed or tcp.analysis.flags or " + " or ".join(
    f"{protocol}.checksum.status == 0" for protocol in ("ip", "udp", "tcp")
)
needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed (Debian: apt-get install tshark)")

ALICE, PCSCF = Address("127.0.10.101", 5060), Address("127.0.10.10", 5060)
ICSCF, HSS = Address("127.0.10.20", 5060), Address("127.0.10.40", 3868)
PASSING = Address(ICSCF.host, 49152)


def sip(first_line: str, body: str = "", cseq: str = "1 INVITE") -> bytes:
    content = "Content-Type: application/sdp\r\n" if body else ""
    return (
        f"{first_line}\r\nVia: SIP/2.0/UDP 127.0.10.101:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
        f"From: <sip:alice@ims.example>;tag=1\r\nTo: <sip:bob@ims.example>\r\nCall-ID: 1@ims\r\nCSeq: {cseq}\r\n"
        f"{content}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def sdp(address: Address) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {address.host}\r\ns=-\r\nc=IN IP4 {address.host}\r\nt=0 0\r\n"
        f"m=audio {address.port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )


def rtp(sequence: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 8, sequence, 160 * sequence, 0xDEADBEEF) + b"\xd5" * 160


def question(command: int, *, is_request: bool) -> bytes:
    avps = [
        Avp.of(diameter.SESSION_ID, "icscf;1;1"),
        Avp.of(diameter.ORIGIN_HOST, "icscf.ims.example"),
        Avp.of(diameter.ORIGIN_REALM, "ims.example"),
        Avp.of(diameter.RESULT_CODE, 2001),
    ]
    if command == cx.MULTIMEDIA_AUTH and not is_request:
        inside = [
            Avp.of(code, bytes(range(1, 17)), cx.VENDOR_3GPP) for code in (cx.CONFIDENTIALITY_KEY, cx.SIP_AUTHENTICATE)
        ]
        avps.append(Avp.of(cx.SIP_AUTH_DATA_ITEM, inside, cx.VENDOR_3GPP))
    return bytes(Message(command, cx.APPLICATION_CX, command, 7, Avps(avps), is_request=is_request, is_proxiable=True))


@pytest.fixture
def trace() -> Trace:
    """A call by UDP, seen by both; Cx by TCP, seen by both; a big message in one TCP stream; RTP of alice."""
    trace = Trace()
    at = 1_800_000_000.25

    def cross(data: bytes, source: str, there: Flow, target: str, back: Flow) -> None:
        nonlocal at
        trace.add(at, source, "sent", there, data)
        trace.add(at + 0.001, target, "received", back, data)
        at += 0.002

    out, into = Flow("UDP", ALICE, PCSCF), Flow("UDP", PCSCF, ALICE)
    alice_media, pcscf_media = Address(ALICE.host, 40000), Address(PCSCF.host, 50000)
    cross(sip("INVITE sip:bob@ims.example SIP/2.0", sdp(alice_media)), "alice", out, "p-cscf", into)
    asks, hears = Flow("TCP", ICSCF, HSS), Flow("TCP", HSS, PASSING)
    for command in (cx.USER_AUTHORIZATION, cx.MULTIMEDIA_AUTH, cx.SERVER_ASSIGNMENT, cx.LOCATION_INFO):
        cross(question(command, is_request=True), "i-cscf", asks, "hss", hears)
        cross(question(command, is_request=False), "hss", hears, "i-cscf", asks)
    cross(sip("SIP/2.0 200 OK", sdp(pcscf_media)), "p-cscf", into, "alice", out)
    cross(sip("ACK sip:bob@ims.example SIP/2.0", cseq="1 ACK"), "alice", out, "p-cscf", into)
    for number in range(50):
        trace.add(at + number / 50, "alice", "sent", Flow("UDP", alice_media, pcscf_media), rtp(number))
        trace.add(at + number / 50, "alice", "received", Flow("UDP", alice_media, pcscf_media), rtp(number + 1000))
    at += 1.0
    big = sip("MESSAGE sip:bob@ims.example SIP/2.0", "x" * 62_000, "2 MESSAGE").replace(
        b"application/sdp", b"text/plain"
    )
    cross(big, "alice", out.over("TCP"), "p-cscf", Flow("TCP", PCSCF, Address(ALICE.host, 49153)))
    return trace


def tshark(trace: Trace, folder: Path, *arguments: str) -> list[str]:
    assert TSHARK
    file = folder / "trace.pcapng"
    file.write_bytes(trace.pcapng())
    checks = (part for protocol in ("ip", "udp", "tcp") for part in ("-o", f"{protocol}.check_checksum:TRUE"))
    command = [TSHARK, "-n", "-r", str(file), *checks, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def fields(trace: Trace, folder: Path, filter_: str, *names: str) -> list[str]:
    return tshark(trace, folder, "-Y", filter_, "-T", "fields", *(part for name in names for part in ("-e", name)))


@needs_tshark
def test_wireshark_finds_the_call(trace: Trace, tmp_path: Path) -> None:
    rows = fields(trace, tmp_path, "sip", "sip.Method", "sip.Status-Code", "frame.comment", "frame.time_epoch")
    assert [row.split("\t")[:3] for row in rows] == [
        ["INVITE", "", "alice → p-cscf: INVITE (SDP)"],
        ["", "200", "p-cscf → alice: 200 OK (SDP)"],
        ["ACK", "", "alice → p-cscf: ACK"],
        ["MESSAGE", "", "alice → p-cscf: MESSAGE"],
    ]
    assert rows[0].split("\t")[3] == "1800000000.250000000"


@needs_tshark
def test_wireshark_follows_the_sdp_to_the_rtp(trace: Trace, tmp_path: Path) -> None:
    rows = fields(trace, tmp_path, "rtp", "rtp.seq", "rtp.setup-method", "rtp.p_type")
    assert len(rows) == 100
    assert {row.split("\t", 1)[1] for row in rows} == {"SDP\t8"}


@needs_tshark
def test_wireshark_reads_cx_without_keys(trace: Trace, tmp_path: Path) -> None:
    rows = fields(trace, tmp_path, "diameter", "diameter.cmd.code", "diameter.flags.request", "tcp.stream")
    assert rows == [f"{command}\t{flag}\t0" for command in (300, 303, 301, 302) for flag in ("1", "0")]
    names = ("diameter.Confidentiality-Key", "diameter.3GPP-SIP-Authenticate")
    keys = fields(trace, tmp_path, names[0], *names)
    assert keys == ["0" * 32 + "\t" + bytes(range(1, 17)).hex()]


@needs_tshark
def test_wireshark_has_nothing_to_complain_of(trace: Trace, tmp_path: Path) -> None:
    assert tshark(trace, tmp_path, "-Y", COMPLAINTS) == []
    assert len(tshark(trace, tmp_path, "-Y", "tcp.flags.syn == 1")) == 4


@needs_tshark
def test_wireshark_shows_the_names_of_the_nodes(trace: Trace, tmp_path: Path) -> None:
    (tmp_path / "named.pcapng").write_bytes(trace.pcapng())
    assert TSHARK
    command = [TSHARK, "-r", str(tmp_path / "named.pcapng"), "-N", "n", "-Y", "sip.Method == INVITE"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "alice → p-cscf" in done.stdout


@needs_tshark
def test_ipv6_and_dns_over_tcp(tmp_path: Path) -> None:
    import dns.message

    trace = Trace()
    one, other = Address("2001:db8::1", 5060), Address("2001:db8::2", 5060)
    trace.add(1.0, "alice", "sent", Flow("UDP", one, other), sip("OPTIONS sip:x SIP/2.0", cseq="1 OPTIONS"))
    trace.add(2.0, "alice", "sent", Flow("TCP", one, other), sip("OPTIONS sip:x SIP/2.0", cseq="2 OPTIONS"))
    query = dns.message.make_query("ims.example", "NAPTR").to_wire()
    trace.add(3.0, "alice", "sent", Flow("TCP", one, Address("2001:db8::3", 53)), query)
    assert fields(trace, tmp_path, "sip", "ipv6.src", "sip.CSeq.seq") == ["2001:db8::1\t1", "2001:db8::1\t2"]
    assert fields(trace, tmp_path, "dns", "dns.qry.name") == ["ims.example"]
    assert tshark(trace, tmp_path, "-Y", COMPLAINTS) == []


@needs_tshark
def test_what_was_inside_tls_can_be_read(tmp_path: Path) -> None:
    trace = Trace()
    one, other = Address("192.0.2.1", 40000), Address("192.0.2.2", 5061)
    trace.add(1.0, "alice", "sent", Flow("TLS", one, other), sip("OPTIONS sip:x SIP/2.0", cseq="1 OPTIONS"), True)
    assert fields(trace, tmp_path, "sip", "sip.CSeq.seq", "frame.comment") == [
        "1\talice → 192.0.2.2:5061: OPTIONS (TLS)"
    ]


def blocks(capture: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(capture):
        kind, length = struct.unpack_from("<II", capture, offset)
        assert length % 4 == 0
        assert capture[offset + length - 4 : offset + length] == struct.pack("<I", length)
        yield kind, capture[offset + 8 : offset + length - 4]
        offset += length
    assert offset == len(capture)


def ones_sum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data)) if len(data) % 2 == 0 else ones_sum(data + b"\0")
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


ADDRESSES = st.builds(
    Address,
    st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "fe80::1%eth0", "nowhere"]),
    st.integers(-1, 65536),
)
STEPS = st.tuples(
    st.floats(-1e12, 1e12),
    st.sampled_from(["alice", "bob", "ä" * 300, "\0"]),
    st.sampled_from(["sent", "received"]),
    st.builds(Flow, st.sampled_from(["UDP", "TCP"]), ADDRESSES, ADDRESSES),
    st.one_of(st.binary(max_size=40), st.sampled_from([b"\xff" * 70_000, bytes(65_508), b"SIP/2.0 200 OK\r\n\r\n"])),
)


@given(st.lists(STEPS, max_size=8))
def test_any_trace_gives_whole_blocks_with_true_lengths_and_checksums(
    steps: list[Any],
) -> None:
    trace = Trace()
    for step in steps:
        trace.add(*step)
    kinds = list(blocks(trace.pcapng()))
    assert [kind for kind, _ in kinds[:2]] == [0x0A0D0D0A, 1]
    for kind, body in kinds:
        if kind != 6:
            continue
        captured, original = struct.unpack_from("<II", body, 12)
        packet = body[20 : 20 + captured]
        assert captured == original == len(packet)
        if packet[0] >> 4 == 4:
            assert struct.unpack_from("!H", packet, 2)[0] == captured
            assert ones_sum(packet[:20]) == 0xFFFF
            pseudo, payload, protocol = packet[12:20], packet[20:], packet[9]
        else:
            assert struct.unpack_from("!H", packet, 4)[0] == captured - 40
            pseudo, payload, protocol = packet[8:40], packet[40:], packet[6]
        assert ones_sum(pseudo + struct.pack("!II", protocol, len(payload)) + payload) == 0xFFFF


@needs_tshark
@pytest.mark.parametrize("hosts", [("127.0.10.101", "127.0.10.10"), ("2001:db8::1", "2001:db8::2")])
def test_wireshark_finds_the_esp_packet_and_the_message_that_was_in_it(hosts: tuple[str, str], tmp_path: Path) -> None:
    trace = Trace()
    one, other = hosts
    inside = Flow("UDP", Address(one, 40001), Address(other, 6100))
    trace.add(1.0, "alice", "sent", inside, sip("REGISTER sip:x SIP/2.0", cseq="1 REGISTER"), True)
    packet = struct.pack("!II", 0x1234ABCD, 7) + bytes(44)
    trace.add(1.0, "alice", "sent", Flow("ESP", Address(one, 0), Address(other, 0)), packet)
    found = fields(
        trace, tmp_path, "esp or sip", "sip.Method", "udp.dstport", "esp.spi", "esp.sequence", "frame.comment"
    )
    assert [row.split("\t") for row in found] == [
        ["REGISTER", "6100", "", "", f"alice → {inside.remote}: REGISTER (ESP)"],
        ["", "", "0x1234abcd", "7", f"alice → {Address(other, 0)}: ESP 1234abcd #7"],
    ]
    assert tshark(trace, tmp_path, "-Y", COMPLAINTS) == []
