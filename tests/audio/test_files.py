"""WAV files: what is played, what is written, and what is said of a wrong one."""

from __future__ import annotations

import resource
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.audio.files import WavSink, WavSource, expect_wav, read_wav
from imsphone.errors import AudioError

SOUND = np.arange(-4000, 4000, dtype=np.int16)


def wav(
    path: Path, *, channels: int = 1, rate_hz: int = 8000, bits: int = 16, tag: int = 1, data: bytes = SOUND.tobytes()
) -> Path:
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * channels * bits // 8, channels * bits // 8, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"LIST\x03\0\0\0abc\0"
    chunks += b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_a_mono_file_is_read_as_it_is(tmp_path: Path, rate_hz: int) -> None:
    pcm, clock_hz = read_wav(wav(tmp_path / "a.wav", rate_hz=rate_hz))
    assert (pcm == SOUND).all()
    assert clock_hz == rate_hz


def test_a_stereo_file_is_mixed(tmp_path: Path) -> None:
    both = np.stack([np.full(100, 30000), np.full(100, 20000)], axis=1).astype(np.int16)
    pcm, _ = read_wav(wav(tmp_path / "a.wav", channels=2, data=both.tobytes()))
    assert pcm.tolist() == [25000] * 100


def test_once_and_then_silence(tmp_path: Path) -> None:
    source = WavSource(wav(tmp_path / "a.wav"))
    assert source.duration_s == 1.0
    assert (np.concatenate([source.read(80) for _ in range(100)]) == SOUND).all()
    assert source.has_ended
    assert not source.read(80).any()


def test_a_last_block_that_is_short_is_filled_up(tmp_path: Path) -> None:
    source = WavSource(wav(tmp_path / "a.wav", data=np.ones(100, np.int16).tobytes()))
    source.read(80)
    assert not source.has_ended
    assert source.read(80).tolist() == [1] * 20 + [0] * 60
    assert source.has_ended


def test_for_ever(tmp_path: Path) -> None:
    source = WavSource(wav(tmp_path / "a.wav", data=np.arange(7, dtype=np.int16).tobytes()), is_looping=True)
    heard = np.concatenate([source.read(10) for _ in range(20)])
    assert heard.tolist() == [k % 7 for k in range(200)]
    assert not source.has_ended


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: wav(p, bits=24), r"has 24 bits a sample; wanted is .* 16-bit PCM"),
        (lambda p: wav(p, tag=3, bits=32), r"holds floating point; wanted"),
        (lambda p: wav(p, tag=6, bits=8), r"holds A-law; wanted"),
        (lambda p: wav(p, tag=0x1234), r"holds format 4660; wanted"),
        (lambda p: wav(p, channels=6), r"has 6 channels; wanted"),
        (lambda p: wav(p, rate_hz=44100), r"is at 44,100 Hz; wanted .* 8,000, 16,000 or 48,000 Hz"),
        (lambda p: wav(p, data=b""), r"holds no sound"),
        (lambda p: p.write_bytes(b""), r"is empty"),
        (lambda p: p.write_bytes(b"ID3\x04 an MP3, say" * 9), r"is not a WAV file"),
        (lambda p: p.write_bytes(wav(p).read_bytes()[:5000]), r"is cut short: its sound ends before its header says"),
        (lambda p: p.write_bytes(wav(p).read_bytes()[:30]), r"is cut short"),
        (lambda p: None, r"cannot read .*: No such file or directory"),
        (lambda p: p.mkdir(), r"cannot read .*: Is a directory"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wanted(tmp_path: Path, make: object, sentence: str) -> None:
    path = tmp_path / "wrong.wav"
    make(path)  # type: ignore[operator]
    with pytest.raises(AudioError, match=sentence) as raised:
        expect_wav(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@given(data=st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda b: b"RIFF\0\0\0\0WAVE" + b)))
def test_any_file_is_sound_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "any.wav"
    path.write_bytes(data)
    try:
        pcm, _ = read_wav(path)
    except AudioError:
        return
    assert pcm.size


def test_what_is_written_can_be_read_by_others(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "out.wav", 16000)
    for block in np.split(SOUND, 50):
        sink.write(block)
    sink.close()
    sink.close()
    sink.write(SOUND)
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
        assert file.readframes(10**6) == SOUND.tobytes()


def test_a_sink_that_is_never_closed_leaves_a_valid_file(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    sink = WavSink(path, 8000)
    with pytest.raises(AudioError, match="holds no sound"):
        read_wav(path)
    for _ in range(250):
        sink.write(np.ones(80, np.int16))
    pcm, _ = read_wav(path)  # what a crash now would leave
    assert pcm.size == 16000
    sink.close()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"cannot write .*nowhere.*: No such file or directory"):
        WavSink(tmp_path / "nowhere" / "out.wav")


def test_a_full_disk_is_named() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, a disk that is always full")
    with pytest.raises(AudioError, match="cannot write /dev/full: No space left on device"):
        WavSink(Path("/dev/full"))


def test_a_disk_that_fills_up_ends_the_file_and_not_the_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = WavSink(tmp_path / "out.wav", 8000)
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most[1]))
    try:
        for _ in range(200):
            sink.write(np.ones(80, np.int16))
        sink.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    pcm, _ = read_wav(tmp_path / "out.wav")
    assert 9000 < pcm.size < 10_000
    assert [record.message for record in caplog.records] == [f"{tmp_path / 'out.wav'} ends early: File too large"]
