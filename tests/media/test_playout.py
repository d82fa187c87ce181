"""The jitter buffer, driven by virtual time: packets that come so and so, one pull every 10 ms."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsphone.audio.files import read_wav
from imsphone.media.codecs.codec import Pcm
from imsphone.media.codecs.g711 import PCMA, PCMU
from imsphone.media.playout import Playout
from imsphone.media.quality import pesq_mean
from imsphone.media.resample import resample
from imsphone.rtp.packet import Packet

SPEECH = resample(*read_wav(Path(__file__).parents[2] / "assets" / "sounds" / "speech.wav"), 8000)
HEARD = PCMA.decode(PCMA.encode(SPEECH))
PTIME_MS = 20
FRAME = 8 * PTIME_MS

Coming = tuple[float, Packet]


def packets(
    pcm: Pcm = SPEECH, *, samples: int = FRAME, sequence: int = 0, timestamp: int = 0, ssrc: int = 1, at_ms: float = 0.0
) -> list[Coming]:
    """The stream of a sender with a perfect clock, on a network that takes no time."""
    return [
        (
            at_ms + k * samples / 8,
            Packet(
                payload_type=8,
                sequence=(sequence + k) & 0xFFFF,
                timestamp=(timestamp + k * samples) & 0xFFFFFFFF,
                ssrc=ssrc,
                payload=PCMA.encode(pcm[k * samples : (k + 1) * samples]),
            ),
        )
        for k in range(pcm.size // samples)
    ]


def play(coming: Iterable[Coming], for_ms: float, playout: Playout | None = None) -> tuple[Pcm, Playout]:
    """Pulls at 3 ms, 13 ms, ...; what was heard, and the buffer afterwards."""
    playout = playout or Playout({8: PCMA, 0: PCMU})
    waiting = sorted(coming, key=lambda c: c[0])
    heard = []
    for pull in range(int(for_ms / 10)):
        while waiting and waiting[0][0] <= 10 * pull + 3:
            at_ms, packet = waiting.pop(0)
            playout.insert(packet, int(at_ms * 1e6))
        heard.append(playout.pull())
    return np.concatenate(heard), playout


def steepest(pcm: Pcm) -> int:
    return int(np.abs(np.diff(pcm.astype(int))).max())


# What the contract says ---------------------------------------------------------------------------------------------

numbers = st.one_of(st.integers(0, 30), st.integers(65520, 65535), st.integers(0, 65535))
stamps = st.one_of(st.integers(0, 40).map(lambda k: 80 * k), st.integers(0, 2**32 - 1))
anything = st.builds(
    Packet,
    payload_type=st.sampled_from([8, 8, 8, 0, 96]),
    sequence=numbers,
    timestamp=stamps,
    ssrc=st.sampled_from([1, 1, 1, 2]),
    payload=st.sampled_from([b"", b"\xd5", bytes(80), b"\x55\xaa" * 80, bytes(range(256)) * 5]),
    marker=st.booleans(),
)


@settings(max_examples=300)
@given(st.lists(st.one_of(st.none(), anything), max_size=120))
def test_whatever_comes_a_pull_gives_10_ms(steps: list[Packet | None]) -> None:
    playout = Playout({8: PCMA, 0: PCMU})
    for k, packet in enumerate(steps):
        if packet is not None:
            playout.insert(packet, k * 7_000_000)
        else:
            pcm = playout.pull()
            assert pcm.shape == (80,)
            assert pcm.dtype == np.int16
    counts = playout.counts
    assert min(counts.played, counts.late, counts.lost, counts.duplicated, counts.concealed) >= 0
    assert counts.concealed <= counts.sounded + 8 * playout.fill_ms
    assert 0 <= playout.counts.concealed_percent <= 100
    assert playout.target_ms >= 0
    assert playout.bursts.burst_ratio >= 1


def test_a_flood_leaves_a_bounded_buffer() -> None:
    playout = Playout({8: PCMA})
    packets = [Packet(8, k & 0xFFFF, k * 80, 1, bytes(80)) for k in range(1 << 16)]
    for _ in range(16):
        for packet in packets:
            playout.insert(packet, 0)
    assert playout.fill_ms <= 2560
    assert playout.counts.late + playout.counts.duplicated > 65000, "what found no room is counted"
    assert playout.pull().shape == (80,)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6000), st.sampled_from([1, 79, 80, 160, 480, 960, 1919, 1921, 65000]))))
def test_packets_of_any_length_may_overlap(steps: list[tuple[int, int]]) -> None:
    playout = Playout({8: PCMA})
    for k, (timestamp, size) in enumerate(steps):
        playout.insert(Packet(8, k, timestamp, 1, bytes(size)), k)
        assert playout.pull().shape == (80,)
    for _ in range(100):
        assert np.abs(playout.pull().astype(int)).max() <= 32768


def test_before_the_first_packet_there_is_silence_and_nothing_is_counted() -> None:
    heard, playout = play([], 500)
    assert not heard.any()
    assert playout.counts.sounded == playout.counts.concealed == 0
    assert playout.position is None


# What a listener hears ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [80, 160, 240, 320, 480])
def test_on_a_steady_network_every_sample_is_heard(samples: int) -> None:
    """Once the first caution is gone, a period now and then, nothing is touched: sample for sample what was sent."""
    heard, playout = play(packets(samples=samples), 26000)
    end, position = heard.size, playout.position
    assert position is not None
    after = 15 * 8000
    assert (heard[after:end] == HEARD[after - end + position : position]).all()
    assert playout.counts.lost == playout.counts.late == playout.counts.concealed == 0
    assert 0 <= playout.delays.mean_ms < 40


def test_numbers_wrap_and_nobody_notices() -> None:
    plain, _ = play(packets(), 20000)
    wrapped, playout = play(packets(sequence=65500, timestamp=2**32 - 40 * FRAME), 20000)
    assert (plain == wrapped).all()
    assert playout.counts.lost == playout.counts.duplicated == 0


def test_reordering_within_the_delay_is_not_heard() -> None:
    swapped = [(at + 25 if k % 10 == 0 else at, packet) for k, (at, packet) in enumerate(packets())]
    _, playout = play(swapped, 26000)
    assert playout.counts.played >= 1295, "all that came in time for the last pull"
    assert playout.counts.lost == playout.counts.late == 0
    assert playout.counts.concealed == 0


def test_every_packet_twice_sounds_like_once() -> None:
    once, _ = play(packets(), 20000)
    twice, playout = play([c for c in packets() for _ in range(2)], 20000)
    assert (once == twice).all()
    assert playout.counts.duplicated == 1000
    assert playout.counts.late == 0


@pytest.mark.parametrize("burst", [1, 2, 3])
def test_what_is_lost_is_made_up_and_counted(burst: int) -> None:
    lossy = [c for k, c in enumerate(packets()) if k < 10 or k % 20 >= burst]
    gone = 1311 - len(lossy)
    _, playout = play(lossy, 26220)
    counts = playout.counts
    assert counts.lost == gone
    assert playout.bursts.gaps == gone // burst
    assert counts.concealed == pytest.approx(gone * FRAME, rel=0.01)
    assert playout.counts.concealed_percent == pytest.approx(100 * gone / 1311, abs=0.1)
    assert playout.bursts.burst_ratio == pytest.approx(max(1.0, burst * (1 - gone / 1311)), abs=0.01)


def test_what_comes_too_late_was_not_lost() -> None:
    late = [(at + 400 if k in (500, 700) else at, packet) for k, (at, packet) in enumerate(packets())]
    _, playout = play(late, 26000)
    assert playout.counts.late == 2
    assert playout.counts.lost == 0


@pytest.mark.parametrize("burst", [1, 3])
@pytest.mark.parametrize("share", [0.03, 0.1])
def test_concealment_sounds_better_than_holes(share: float, burst: int) -> None:
    chance = np.random.default_rng(burst)
    gone = np.repeat(chance.random(1312 // burst + 1) < share, burst)[:1311]
    gone[:5] = False
    heard, _ = play((c for c, lost in zip(packets(), gone, strict=True) if not lost), 26500)
    holes = np.where(np.repeat(gone, FRAME), 0, HEARD[: 1311 * FRAME]).astype(np.int16)
    assert pesq_mean(SPEECH, heard, 8000) > pesq_mean(SPEECH, holes, 8000)


def test_a_tone_with_losses_does_not_click() -> None:
    tone = (8000 * np.sin(2 * np.pi * 220 * np.arange(80000) / 8000)).astype(np.int16)
    heard, _ = play((c for k, c in enumerate(packets(tone)) if k % 9 or k == 0), 9900)
    assert steepest(heard[1000:]) < 1.6 * steepest(tone)


# Modes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay_ms", [40.0, 120.0])
def test_a_fixed_delay_is_kept(delay_ms: float) -> None:
    playout = Playout({8: PCMA}, minimum_ms=delay_ms, maximum_ms=delay_ms)
    play(jittered(30), 20000, playout)
    assert playout.target_ms == pytest.approx(delay_ms, abs=12)
    assert playout.delays.mean_ms == pytest.approx(delay_ms, abs=12)


def test_the_delay_stays_within_its_bounds() -> None:
    low, high = Playout({8: PCMA}, minimum_ms=50.0), Playout({8: PCMA}, maximum_ms=20.0)
    play(packets(), 20000, low)
    play(jittered(80), 20000, high)
    assert low.delays.mean_ms > 45
    assert high.delays.mean_ms < 80


def test_lips_are_waited_for() -> None:
    plain, waiting = Playout({8: PCMA}), Playout({8: PCMA}, offset_ms=80.0)
    play(packets(), 20000, plain)
    play(packets(), 20000, waiting)
    assert waiting.delays.mean_ms - plain.delays.mean_ms == pytest.approx(80, abs=10)


def test_counting_tells_the_same_without_a_sound() -> None:
    _, playing = play(jittered(60), 26000)
    heard, counting = play(jittered(60), 26000, Playout({8: PCMA}, is_counting=True))
    assert not heard.any()
    assert counting.counts.played == pytest.approx(playing.counts.played, abs=3)
    assert counting.delays.mean_ms == pytest.approx(playing.delays.mean_ms, abs=5)
    assert counting.counts.concealed_percent == pytest.approx(playing.counts.concealed_percent, abs=0.2)


def test_the_same_run_gives_the_same_sound() -> None:
    rough = [c for k, c in enumerate(jittered(80)) if k % 30]
    assert (play(rough, 26000)[0] == play(rough, 26000)[0]).all()


def test_a_pull_can_fill_what_is_there_already() -> None:
    playout, twin, out = Playout({8: PCMA}), Playout({8: PCMA}), np.zeros(80, np.int16)
    for _, packet in packets()[:100]:
        for one in (playout, twin):
            one.insert(packet, 0)
        playout.pull_into(out)
        assert (out == twin.pull()).all()
    with pytest.raises(ValueError, match="10 ms are 80 samples"):
        playout.pull_into(np.zeros(81, np.int16))


# What a stream may do -----------------------------------------------------------------------------------------------


def test_the_payload_type_may_change_and_nobody_notices() -> None:
    mixed = [
        (at, p._replace(payload_type=0, payload=PCMU.encode(PCMA.decode(p.payload))) if k // 50 % 2 else p)
        for k, (at, p) in enumerate(packets())
    ]
    heard, playout = play(mixed, 20000)
    assert playout.counts.concealed == 0
    assert pesq_mean(SPEECH[:160000], heard, 8000) > 3.8


def test_a_described_silence_is_filled_with_noise_and_is_no_loss() -> None:
    """RFC 3389: payload type 13 and its level, then nothing until somebody speaks."""
    sid = (5000.0, Packet(13, 250, 40000, 1, bytes([40])))
    talk = [*packets(SPEECH[:40000]), sid, *packets(SPEECH[56000:80000], sequence=251, timestamp=56000, at_ms=7000)]
    heard, playout = play(talk, 9900)
    assert playout.counts.concealed == playout.counts.lost == 0
    level = np.sqrt(np.mean(heard[48000:55000].astype(float) ** 2))
    assert level == pytest.approx(328, rel=0.3)


def test_no_step_is_longer_than_the_sound_itself_makes() -> None:
    """Whatever is lost, late, stretched: a steady tone never clicks."""
    tone = (6000 * np.sin(2 * np.pi * 300 * np.arange(160000) / 8000)).astype(np.int16)
    chance = np.random.default_rng(4)
    rough = [(at + chance.exponential(25), p) for at, p in packets(tone) if chance.random() > 0.05]
    heard, playout = play(rough, 19900)
    assert playout.counts.inserted > 0
    assert playout.counts.removed > 0
    assert steepest(heard[4000:]) < 1.7 * steepest(tone)


# What the network does to time --------------------------------------------------------------------------------------


def jittered(span_ms: float, seed: int = 1) -> list[Coming]:
    chance = np.random.default_rng(seed)
    return [(at + chance.uniform(0, span_ms), packet) for at, packet in packets()]


def test_jitter_is_waited_for_and_hardly_heard() -> None:
    heard, playout = play(jittered(60), 26220)
    assert playout.counts.lost == 0
    assert playout.counts.concealed_percent < 0.5
    assert 45 < playout.target_ms < 80
    assert playout.delays.mean_ms == pytest.approx(60, abs=15)
    assert playout.delays.p95_ms < 90
    assert pesq_mean(SPEECH, heard, 8000) > 3.3


def test_the_delay_comes_down_when_the_network_calms() -> None:
    rough = [c if k < 400 else packets()[k] for k, c in enumerate(jittered(100))]
    _, playout = play(rough[:400], 8000)
    assert playout.target_ms > 70
    _, calm = play(rough, 26000)
    assert calm.target_ms < 20
    position = calm.position
    assert position is not None
    assert 26000 - position / 8 < 40, "and not the target alone"


def test_a_stall_is_survived_and_made_up_for() -> None:
    """The network holds everything for 300 ms and lets it go at once: nothing is lost, and the delay returns."""
    stalled = [(max(at, 10300.0) if 10000 <= at < 10300 else at, packet) for at, packet in packets()]
    _, playout = play(stalled, 26000)
    assert playout.counts.lost == playout.counts.late == 0
    assert 200 <= playout.counts.concealed / 8 <= 320
    position = playout.position
    assert position is not None
    assert 26000 - position / 8 < 60


@pytest.mark.parametrize("ppm", [-300, 300])
def test_clocks_that_drift_apart_are_followed(ppm: int) -> None:
    drifting = [(at * (1 + ppm / 1e6), packet) for at, packet in packets(np.tile(SPEECH, 3))]
    _, playout = play(drifting, 78000)
    assert playout.counts.concealed_percent < 0.2
    assert playout.counts.lost == playout.counts.late == 0
    assert playout.delays.p95_ms < 45


def test_the_pause_of_a_sender_that_is_silent_is_no_loss() -> None:
    """The sequence goes on and the timestamp jumps: discontinuous transmission (RFC 3551 4.1)."""
    first, second = SPEECH[:40000], SPEECH[48000:80000]
    talk = packets(first) + packets(second, sequence=250, timestamp=48000, at_ms=6000)
    _, playout = play(talk, 10000)
    assert playout.counts.lost == playout.counts.late == 0
    assert playout.counts.concealed == 0
    assert playout.counts.played >= 448, "all but those not yet due"


def test_a_sender_that_begins_anew_is_heard_at_once() -> None:
    again = packets(SPEECH[40000:80000], sequence=7, timestamp=123456789, ssrc=99, at_ms=5000)
    heard, playout = play(packets(SPEECH[:40000]) + again, 10000)
    assert playout.counts.played >= 495, "all but those not yet due"
    assert playout.counts.lost == 0
    assert pesq_mean(SPEECH[:40000], heard[:40800], 8000) > 4
    assert pesq_mean(SPEECH[40000:80000], heard[40000:], 8000) > 3.5


def test_one_stray_packet_moves_nothing() -> None:
    stray = (4321.0, Packet(8, 9999, 77, 666, bytes(160)))
    far = (6321.0, Packet(8, 316, 2**31, 1, bytes(160)))
    plain, _ = play(packets(), 20000)
    disturbed, playout = play([*packets(), stray, far], 20000)
    assert (plain == disturbed).all()
    assert playout.counts.lost == 0


def test_the_reported_delay_is_the_true_one() -> None:
    """The buffer is never told when it is pulled; against the true clock its figure is right to a few milliseconds."""
    _, playout = play(jittered(30), 20000)
    position = playout.position
    assert position is not None
    assert playout.delay_ms == pytest.approx(20000 + 3 - position / 8, abs=5)
