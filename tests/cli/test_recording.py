"""What a file is read as, and what is said of one that is nothing."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imsphone.cli.recording import Recording, recording, sent_line
from imsphone.cli.score import score
from imsphone.errors import ProfileError, StateError
from imsphone.machine import Address, Flow
from imsphone.media.codecs.g711 import PCMA
from imsphone.media.playout import Playout
from imsphone.media.replay import replay
from imsphone.rtp.packet import Packet
from imsphone.trace import Trace

ALICE, BOB = Address("192.0.2.1", 40000), Address("192.0.2.2", 50000)
TONE = (8000 * np.sin(np.arange(160) * 2 * np.pi * 440 / 8000)).astype(np.int16)


def capture(path: Path, *packets: tuple[float, Packet]) -> Path:
    """A capture of packets from alice to bob, each with its time in ms."""
    trace = Trace()
    for at_ms, packet in packets:
        trace.add(1.8e9 + at_ms / 1000, "bob", "received", Flow("UDP", BOB, ALICE), bytes(packet))
    path.write_bytes(trace.pcapng())
    return path


def voice(k: int, ssrc: int = 7, payload_type: int = 8, first: int = 65530, clock: int = 160) -> Packet:
    """Packet number k of a stream whose numbers are about to wrap."""
    stamp = 2**32 - 800 + clock * k & 0xFFFFFFFF
    return Packet(payload_type, first + k & 0xFFFF, stamp, ssrc, PCMA.encode(TONE))


def csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines))
    return path


def test_a_trace_keeps_what_was_lost(tmp_path: Path) -> None:
    one = recording(csv(tmp_path / "a.csv", "# origin", "seq,send_ms,arrival_ms", "0,0,50", "1,20,lost", "2,40,95"))
    assert (one.name, one.frame_ms, len(one.arrivals)) == ("a", 20.0, 2)
    assert one.delay_ms.tolist() == pytest.approx([0, np.nan, 5], nan_ok=True)
    assert one.sent_at(np.array([0.0, 30.0, 60.0])).tolist() == [50, 80, 110]


def test_a_trace_tells_the_length_of_its_packets(tmp_path: Path) -> None:
    one = recording(csv(tmp_path / "a.csv", *(f"{k},{60.02 * k},{60.02 * k + 9}" for k in range(9))))
    assert one.frame_ms == 60.0
    assert len(one.arrivals[0].packet.payload) == 2 * 16 * 60


def test_a_capture_is_unwrapped_and_its_payload_kept(tmp_path: Path) -> None:
    file = capture(tmp_path / "a.pcapng", *((20.0 * k + k % 2, voice(k)) for k in range(20) if k != 9))
    one = recording(file)
    assert one.note == "0x00000007 192.0.2.1:40000 → 192.0.2.2:50000, PCMA, 19 packets"
    assert one.sequence.tolist() == [k for k in range(20) if k != 9]
    assert one.position_ms.tolist() == [20.0 * k for k in range(20) if k != 9]
    assert one.delay_ms.tolist() == pytest.approx([k % 2 for k in range(20) if k != 9], abs=0.01)
    assert {arrival.packet.payload for arrival in one.arrivals} == {PCMA.encode(TONE)}


def test_the_stream_may_be_named(tmp_path: Path) -> None:
    packets = [(20.0 * k, voice(k)) for k in range(20)] + [(20.0 * k, voice(k, ssrc=9)) for k in range(10)]
    file = capture(tmp_path / "a.pcapng", *packets)
    assert len(recording(file).arrivals) == 20
    assert len(recording(file, 9).arrivals) == 10
    with pytest.raises(ProfileError, match="no stream 0x00000005; --ssrc may be one of 0x00000007, 0x00000009"):
        recording(file, 5)


def test_what_can_be_decoded_goes_before_what_is_longer(tmp_path: Path) -> None:
    packets = [(2.0 * k, voice(k, payload_type=97, ssrc=9)) for k in range(200)] + [
        (20.0 * k, voice(k)) for k in range(20)
    ]
    one = recording(capture(tmp_path / "a.pcapng", *packets))
    assert one.note.endswith("PCMA, 20 packets, one of 2 streams")


def test_a_codec_that_is_not_here_can_be_spoken_over(tmp_path: Path) -> None:
    file = capture(tmp_path / "a.pcapng", *((20.0 * k, voice(k, payload_type=104, clock=320)) for k in range(50)))
    with pytest.raises(ProfileError, match=r"payload type 104.*--speech"):
        recording(file)
    one = recording(file, is_spoken=True)
    assert (one.frame_ms, len(one.arrivals)) == (20.0, 50)
    assert [arrival.packet.timestamp for arrival in one.arrivals[:2]] == [0, 320]


def test_after_a_jump_of_the_timestamps_the_longer_part_counts(tmp_path: Path) -> None:
    packets = [(20.0 * k, voice(k)) for k in range(10)]
    packets += [(20.0 * k, voice(k)._replace(timestamp=10**9 + 160 * k)) for k in range(10, 40)]
    one = recording(capture(tmp_path / "a.pcapng", *packets))
    assert (len(one.arrivals), one.sequence[0], one.position_ms[0]) == (30, 0, 0)


def test_silence_is_spoken_over_as_silence(tmp_path: Path) -> None:
    packets = [(20.0 * k, voice(k)._replace(payload_type=13 if k == 5 else 8)) for k in range(20)]
    one = recording(capture(tmp_path / "a.pcapng", *packets), is_spoken=True)
    assert [arrival.packet.payload_type for arrival in one.arrivals[4:7]] == [96, 13, 96]


@pytest.mark.parametrize("ppm", [-300, 0, 250])
def test_drift_is_no_delay(ppm: int) -> None:
    position = np.arange(3000) * 20.0
    wait = np.random.default_rng(1).gamma(2, 4, position.size)
    arrived = 1000 + position * (1 + ppm * 1e-6) + wait
    assert np.abs((arrived - sent_line(position, arrived)) - (wait - wait.min())).max() < 1


def test_a_path_that_changed_is_no_drift() -> None:
    position = np.arange(500) * 20.0
    arrived = position + np.where(position < 5000, 100.0, 0.0)
    assert (arrived - sent_line(position, arrived)).tolist() == [100.0] * 250 + [0.0] * 250


NOTHING = {
    "empty": (b"", "is empty; wanted is a trace"),
    "prose": (b"hello\nworld\n", "is no trace: expected at least one packet that arrived"),
    "half a line": (b"0,20\n", "is no trace: expected seq,send_ms,arrival_ms in line 1"),
    "words": (b"0,now,later\n", "is no trace: expected seq,send_ms,arrival_ms in line 1"),
    "all lost": (b"0,0,lost\n1,20,lost\n", "is no trace: expected at least one packet that arrived"),
    "one packet": (b"0,0,1\n", "not sent one after the other"),
    "no time": (b"0,0,1\n1,0,1\n", "not sent one after the other"),
    "endless": (b"0,0,1\n1,20,inf\n", "numbers without end"),
    "not a number": (b"0,nan,1\n1,20,21\n", "numbers without end"),
    "huge": (b"0,0,1\n9999999999999999999999,20,21\n", "numbers without end"),
    "long": (b"0,0,1\n1,20,21\n2,40,99999999\n", "more than 12 hours"),
    "octets": (bytes(range(256)), "is neither a trace .* nor a capture"),
    "gzip": (b"\x1f\x8b\x08", "gunzip it first"),
    "no packets": (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1), "holds no RTP; capture where"),
    "cut short": (
        struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"1",
        "is broken or cut short: .*editcap",
    ),
    "Wi-Fi": (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 127), "Ethernet, Linux cooked.* not IEEE 802.11"),
}


@pytest.mark.parametrize(("data", "sentence"), NOTHING.values(), ids=NOTHING.keys())
def test_what_is_nothing_is_one_sentence(data: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ProfileError, match=sentence) as raised:
        recording(tmp_path / "a")
    assert str(raised.value).startswith(str(tmp_path / "a"))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"cannot read .*; name a trace \(.csv\) or a capture"):
        recording(tmp_path / "a.csv")


PACKETS = st.builds(
    Packet,
    st.sampled_from([0, 8, 8, 8, 13, 101]),
    st.one_of(st.integers(0, 20), st.integers(0, 0xFFFF)),
    st.one_of(st.integers(0, 20).map(lambda k: 160 * k), st.integers(0, 2**32 - 1)),
    st.just(7),
    st.sampled_from([b"", b"\xd5", b"\xd5" * 160, b"\x2a" * 400]),
    st.booleans(),
    *map(st.just, ((), None, 0)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(arrived=st.lists(st.tuples(st.floats(0, 3000), PACKETS), max_size=20), is_spoken=st.booleans())
def test_any_stream_is_replayed_and_scored_or_refused(
    arrived: list[tuple[float, Packet]], is_spoken: bool, tmp_path: Path
) -> None:
    steady = [(20.0 * k, voice(k)) for k in range(30)]
    file = capture(tmp_path / "a.pcapng", *steady, *((600 + at_ms, packet) for at_ms, packet in arrived))
    try:
        figures = judged(recording(file, is_spoken=is_spoken))
    except (ProfileError, StateError):
        return
    assert all(np.isfinite(value) for value in figures.values())


def judged(one: Recording) -> dict[str, float]:
    return score(one, replay(Playout(one.codecs), one.arrivals)).as_json()
