"""Captures are written here octet by octet from the formats' drafts; Wireshark's own tools write them, too."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.machine import Address, Flow
from imsphone.rtp.capture import Datagram, datagrams, is_capture
from imsphone.trace import Trace

EDITCAP = shutil.which("editcap")
ETHERNET, RAW, COOKED, COOKED_2, NULL, LOOP = 1, 101, 113, 276, 0, 108
AT_NS = 1_800_000_000_250_000_000
ONE, OTHER = Address("192.0.2.1", 40000), Address("192.0.2.2", 50000)
ONE_6, OTHER_6 = Address("2001:db8::1", 40000), Address("2001:db8::2", 50000)


def udp(data: bytes, length: int | None = None) -> bytes:
    return struct.pack("!HHHH", ONE.port, OTHER.port, 8 + len(data) if length is None else length, 0) + data


def ipv4(data: bytes, *, protocol: int = 17, fragment: int = 0, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, 4 * words + len(data), 1, fragment, 64, protocol, 0)
    return head + bytes((192, 0, 2, 1, 192, 0, 2, 2)) + options + data


def ipv6(data: bytes, next_header: int = 17) -> bytes:
    ends = bytes.fromhex("20010db8" + "0" * 23 + "1" + "20010db8" + "0" * 23 + "2")
    return struct.pack("!IHBB", 6 << 28, len(data), next_header, 64) + ends + data


def pcap(*frames: bytes, link: int = RAW, order: str = "<", unit_ns: int = 1000) -> bytes:
    magic = 0xA1B2C3D4 if unit_ns == 1000 else 0xA1B23C4D
    file = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for frame in frames:
        file += struct.pack(f"{order}IIII", AT_NS // 10**9, AT_NS % 10**9 // unit_ns, len(frame), len(frame)) + frame
    return file


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(f"{order}II", kind, 12 + len(body)) + body + struct.pack(f"{order}I", 12 + len(body))


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int = RAW, order: str = "<", *options: tuple[int, bytes]) -> bytes:
    written = b"".join(
        struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in options
    )
    return block(1, struct.pack(f"{order}HHI", link, 0, 0) + written, order)


def packet(frame: bytes, units: int, order: str = "<", number: int = 0) -> bytes:
    head = struct.pack(f"{order}IIIII", number, units >> 32, units & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, head + frame, order)


WANTED = Datagram(AT_NS, ONE, OTHER, b"hello")
FRAMES = {
    "Ethernet": (ETHERNET, bytes(12) + b"\x08\x00" + ipv4(udp(b"hello")) + bytes(9)),  # padded to 60 octets
    "VLAN": (ETHERNET, bytes(12) + b"\x81\x00\x00\x05\x08\x00" + ipv4(udp(b"hello"))),
    "VLAN in VLAN": (ETHERNET, bytes(12) + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x08\x00" + ipv4(udp(b"hello"))),
    "Linux cooked": (COOKED, bytes(14) + b"\x08\x00" + ipv4(udp(b"hello"))),
    "Linux cooked 2": (COOKED_2, b"\x08\x00" + bytes(18) + ipv4(udp(b"hello"))),
    "BSD loopback": (NULL, b"\x02\x00\x00\x00" + ipv4(udp(b"hello"))),
    "OpenBSD loopback": (LOOP, b"\x00\x00\x00\x02" + ipv4(udp(b"hello"))),
    "raw": (RAW, ipv4(udp(b"hello"))),
    "raw IPv4": (228, ipv4(udp(b"hello"))),
    "IP options": (RAW, ipv4(udp(b"hello"), options=b"\x94\x04\x00\x00")),
}


@pytest.mark.parametrize(("link", "frame"), FRAMES.values(), ids=FRAMES.keys())
def test_every_link_type_leads_to_the_datagram(link: int, frame: bytes) -> None:
    assert list(datagrams(pcap(frame, link=link))) == [WANTED]
    assert list(datagrams(section() + interface(link) + packet(frame, AT_NS // 1000))) == [WANTED]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("unit_ns", [1, 1000])
def test_pcap_of_both_byte_orders_and_both_resolutions(order: str, unit_ns: int) -> None:
    assert list(datagrams(pcap(ipv4(udp(b"hello")), order=order, unit_ns=unit_ns))) == [WANTED]


@pytest.mark.parametrize(
    ("options", "units"),
    [
        ((), AT_NS // 1000),
        (((9, b"\x09"),), AT_NS),
        (((9, b"\x82"),), AT_NS // 250_000_000),  # quarters of a second
        (((9, b"\x09"), (14, struct.pack(">q", 1_800_000_000))), 250_000_000),
    ],
    ids=["microseconds", "nanoseconds", "2^-2 s", "offset"],
)
def test_pcapng_counts_time_as_its_interface_says(options: tuple[tuple[int, bytes], ...], units: int) -> None:
    file = section(">") + interface(RAW, ">", (2, b"eth0"), *options) + packet(ipv4(udp(b"hello")), units, ">")
    assert list(datagrams(file)) == [WANTED]


def test_sections_begin_anew() -> None:
    first = section("<") + interface(ETHERNET) + interface(RAW) + packet(ipv4(udp(b"hello")), AT_NS // 1000, number=1)
    other = section(">") + interface(RAW, ">") + packet(ipv4(udp(b"hello")), AT_NS // 1000, ">")
    assert list(datagrams(first + block(0xBAD, b"what nobody knows") + other)) == [WANTED, WANTED]


def test_the_obsolete_packet_block() -> None:
    frame = ipv4(udp(b"hello"))
    units = AT_NS // 1000
    head = struct.pack("<HHIIII", 0, 0, units >> 32, units & 0xFFFFFFFF, len(frame), len(frame))
    assert list(datagrams(section() + interface() + block(2, head + frame))) == [WANTED]


def test_ipv6_with_and_without_more_headers() -> None:
    plain, more = ipv6(udp(b"hello")), ipv6(struct.pack("!BB6x", 17, 0) + udp(b"hello"), next_header=0)
    wanted = Datagram(AT_NS, ONE_6, OTHER_6, b"hello")
    assert list(datagrams(pcap(plain, more))) == [wanted, wanted]


def test_what_is_no_whole_datagram_is_passed_over() -> None:
    frames = [
        b"",
        b"\x45",
        ipv4(udp(b"x"), protocol=6),
        ipv4(udp(b"x"), fragment=0x2000),
        ipv4(udp(b"x"), fragment=185),
        ipv4(udp(b"x"), fragment=0x4000)[:25],
        ipv4(udp(b"x", length=7)),
        ipv6(udp(b"x"), next_header=58),
        ipv6(b"\x11", next_header=0),
        b"\x75" + bytes(40),
    ]
    assert list(datagrams(pcap(*frames, ipv4(udp(b"hello"), fragment=0x4000)))) == [WANTED]
    assert list(datagrams(pcap(bytes(12) + b"\x08\x06" + bytes(28), b"", link=ETHERNET))) == []


def test_what_the_snap_length_cut_off_is_counted() -> None:
    (datagram,) = datagrams(pcap(ipv4(udp(b"hello", length=8 + 160))))
    assert (datagram.data, datagram.missing_bytes) == (b"hello", 155)


WHOLE = section() + interface() + packet(ipv4(udp(b"hello")), AT_NS // 1000)
BROKEN = {
    "nothing": (b"", "a pcap or pcapng file"),
    "text": (b"seq,send_ms", "a pcap or pcapng file"),
    "pcap head": (pcap()[:20], "24 octets"),
    "pcap record head": (pcap(b"x" * 40)[:30], "the header of a packet, but the file ends"),
    "pcap record": (pcap(b"x" * 40)[:-1], "a packet of 40 octets, but the file ends"),
    "pcapng block": (WHOLE[:-1], "a block of"),
    "pcapng block head": (WHOLE + b"\x06\x00\x00\x00", "a block, but the file ends"),
    "block length": (section() + struct.pack("<III", 6, 9, 9), "the length of a block"),
    "byte order": (b"\x0a\x0d\x0d\x0a" + bytes(24), "byte-order magic"),
    "interface": (section() + packet(b"", 0), "a description of interface 0"),
    "option": (section() + block(1, struct.pack("<HHIHH", RAW, 0, 0, 9, 99)), "an option that fits"),
    "short interface": (section() + block(1, b""), "an interface"),
    "short packet": (section() + interface() + block(6, b""), "the head of a packet"),
    "no time": (section() + interface() + block(3, struct.pack("<I", 0)), "time stamps"),
    "Wi-Fi": (pcap(b"x", link=127), "not IEEE 802.11 with radiotap"),
    "exotic": (section() + interface(147) + packet(b"", 0), "not link type 147"),
}


@pytest.mark.parametrize(("file", "sentence"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_says_what_was_expected(file: bytes, sentence: str) -> None:
    with pytest.raises(ParseError, match=sentence):
        list(datagrams(file))


def test_what_came_before_the_break_is_told_first() -> None:
    reading = datagrams(pcap(ipv4(udp(b"hello")), b"x" * 40)[:-1])
    assert next(reading) == WANTED
    with pytest.raises(ParseError):
        next(reading)


HEADS = [pcap(link=link) for link in (ETHERNET, RAW, COOKED, COOKED_2, NULL)] + [
    section(order) + interface(link, order) for link in (ETHERNET, RAW) for order in "<>"
]
FILES = [pcap(frame, frame, link=link) for link, frame in FRAMES.values()] + [
    WHOLE,
    section() + interface(RAW, "<", (9, b"\x09"), (14, bytes(8))) + packet(ipv6(udp(b"hello")), AT_NS),
]


@given(st.one_of(st.binary(), st.builds(bytes.__add__, st.sampled_from(HEADS), st.binary(max_size=200))))
def test_any_octets_raise_nothing_but_parse_error(data: bytes) -> None:
    _read(data)


@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 300),
)
def test_any_damage_raises_nothing_but_parse_error(file: bytes, hits: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(file)
    for at, octet in hits:
        damaged[at % len(file)] = octet
    _read(bytes(damaged[: len(file) - cut % 3 * cut % len(file)]))


def _read(data: bytes) -> None:
    try:
        read = list(datagrams(data))
    except ParseError:
        return
    assert is_capture(data)
    assert all(datagram.missing_bytes >= 0 and 0 <= datagram.source.port <= 65535 for datagram in read)


# Files that others and we write -------------------------------------------------------------------------------------


def traced() -> Trace:
    trace = Trace()
    for k in range(20):
        trace.add(1_800_000_000.25 + k / 50, "alice", "sent", Flow("UDP", ONE, OTHER), b"\x80\x08%18d" % k)
        trace.add(1_800_000_000.25 + k / 50, "alice", "sent", Flow("UDP", ONE_6, OTHER_6), b"\x80\x08%18d" % k)
    return trace


def test_our_own_captures_read_back() -> None:
    read = list(datagrams(traced().pcapng()))
    assert [datagram.source for datagram in read[:2]] == [ONE, ONE_6]
    assert [datagram.data for datagram in read[::2]] == [b"\x80\x08%18d" % k for k in range(20)]
    assert read[2].at_ns - read[0].at_ns == 20_000_000


@pytest.mark.skipif(EDITCAP is None, reason="editcap is not installed (Debian: apt-get install wireshark-common)")
@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "pcapng"])
def test_what_editcap_writes_reads_the_same(kind: str, tmp_path: Path) -> None:
    assert EDITCAP
    source, target = tmp_path / "a.pcapng", tmp_path / "b"
    source.write_bytes(traced().pcapng())
    subprocess.run([EDITCAP, "-F", kind, source, target], check=True, capture_output=True, timeout=60)
    assert list(datagrams(target.read_bytes())) == list(datagrams(source.read_bytes()))


@pytest.mark.skipif(EDITCAP is None, reason="editcap is not installed (Debian: apt-get install wireshark-common)")
def test_what_editcap_snaps_is_known_to_be_cut(tmp_path: Path) -> None:
    assert EDITCAP
    source, target = tmp_path / "a.pcapng", tmp_path / "b"
    source.write_bytes(traced().pcapng())
    subprocess.run([EDITCAP, "-s", "40", source, target], check=True, capture_output=True, timeout=60)
    assert {datagram.missing_bytes for datagram in datagrams(target.read_bytes())} == {8}
