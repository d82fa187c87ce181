"""Calls as an application holds them: over the lab's sockets, with sound that can be listened to."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest

from imsphone.audio.echo import echo
from imsphone.audio.endpoint import Sink, Source
from imsphone.audio.files import read_wav
from imsphone.call import Call
from imsphone.errors import AudioError, CallRejected, StateError
from imsphone.events import CallEnded, CallIncoming
from imsphone.phone import Phone
from imsphone.testing.served import ServedLab


@pytest.fixture
async def alice(lab: ServedLab) -> AsyncIterator[Phone]:
    async with Phone(lab.profile("alice"), isim=lab.isim("alice")) as phone:
        await phone.register()
        yield phone


@pytest.fixture
async def bob(lab: ServedLab) -> AsyncIterator[Phone]:
    async with Phone(lab.profile("bob"), isim=lab.isim("bob"), audio=echo) as phone:
        await phone.register()
        yield phone


def tone(path: Path, seconds: float = 1.0, hertz: float = 440.0, rate_hz: int = 16000) -> Path:
    from imsphone.audio.files import WavSink

    sink = WavSink(path, rate_hz)
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    sink.write((8000 * np.sin(2 * np.pi * hertz * t)).astype(np.int16))
    sink.close()
    return path


async def test_what_is_played_comes_back_from_an_echo(alice: Phone, bob: Phone, tmp_path: Path) -> None:
    async with await alice.call("bob") as call:
        incoming = await bob.incoming(timeout=10)
        await call.ringing(timeout=10)
        await incoming.answer()
        await call.answered(timeout=10)
        assert (call.state, incoming.state, call.codec) == ("active", "active", "PCMA")
        await call.record(tmp_path / "back.wav")
        await call.play(tone(tmp_path / "tone.wav"))
        await asyncio.sleep(0.4)  # on its way back: real sockets, real time
    assert call.end is not None
    assert call.end.by == "local"
    assert (await incoming.ended(timeout=10)).by == "remote"
    pcm, rate_hz = read_wav(tmp_path / "back.wav")
    spectrum = np.abs(np.fft.rfft(pcm.astype(float)))
    loudest_hz = float(np.argmax(spectrum)) * rate_hz / pcm.size
    assert abs(loudest_hz - 440) < 5
    assert call.figures["received"] > 40


async def test_busy_and_unknown_are_told_apart(alice: Phone) -> None:
    for target, status in (("busy", 486), ("nobody-at-all", 404)):
        call = await alice.call(target)
        with pytest.raises(CallRejected) as refusal:
            await call.answered(timeout=10)
        assert refusal.value.status == status


async def test_a_call_that_nobody_takes_times_out_and_can_be_taken_back(alice: Phone) -> None:
    call = await alice.call("silent")
    await call.ringing(timeout=10)
    with pytest.raises(TimeoutError, match="within"):
        await call.answered(timeout=0.2)
    await call.hangup()
    assert (await call.ended()).status == 487


async def test_calls_that_nobody_asks_for_are_not_kept_for_ever(lab: ServedLab, alice: Phone) -> None:
    """A window takes them from the events; who calls and gives up again and again must not fill the memory."""
    async with Phone(lab.profile("bob"), isim=lab.isim("bob")) as bob:
        await bob.register()
        kept = weakref.WeakSet[Call]()
        bob.on(lambda event: kept.add(bob.calls[event.call]) if isinstance(event, CallIncoming) else None)
        for _ in range(20):
            async with await alice.call("bob") as call:
                await call.ringing(timeout=5)
            while bob.calls:
                await bob.until(CallEnded, timeout=5)
        gc.collect()
        assert len(kept) <= 17


async def test_a_caller_who_gives_up_ends_the_incoming_call(alice: Phone, bob: Phone) -> None:
    call = await alice.call("bob")
    incoming = await bob.incoming(timeout=10)
    await call.ringing(timeout=10)
    await call.hangup()
    assert (await incoming.ended(timeout=10)).by == "remote"
    with pytest.raises(StateError, match="ended"):
        await incoming.answer()


async def test_declining_tells_the_caller_why(alice: Phone, bob: Phone) -> None:
    call = await alice.call("bob")
    await (await bob.incoming(timeout=10)).reject(603)
    with pytest.raises(CallRejected, match="603"):
        await call.answered(timeout=10)


async def test_a_wrong_sound_file_is_named_and_the_call_goes_on(alice: Phone, tmp_path: Path) -> None:
    wrong = tmp_path / "notes.wav"
    wrong.write_text("no sound at all")
    async with await alice.call("echo") as call:
        await call.answered(timeout=10)
        with pytest.raises(AudioError, match=r"notes\.wav"):
            await call.play(wrong)
        assert call.state == "active"


async def test_only_an_incoming_call_can_be_answered(alice: Phone) -> None:
    async with await alice.call("silent") as call:
        with pytest.raises(StateError, match="incoming"):
            await call.answer()


async def test_speech_over_a_bad_link_is_heard_with_its_losses_counted(lab: ServedLab, tmp_path: Path) -> None:
    from imsphone.lab.link import Link

    link = Link(loss=0.1, jitter_ms=20, seed=3)
    async with Phone(lab.profile("alice"), isim=lab.isim("alice"), link=link) as phone:
        await phone.register()
        async with await phone.call("echo") as call:
            await call.answered(timeout=10)
            with as_file(files("imsphone.assets") / "sounds" / "speech.wav") as speech:
                playing = asyncio.ensure_future(call.play(speech))
                await asyncio.sleep(3)
                playing.cancel()
    assert 3 <= 100 * call.figures["lost"] / call.figures["received"] <= 25
    assert call.figures["concealed_percent"] > 1
    assert call.figures["mos"] < 4.3


async def test_a_card_that_is_gone_ends_the_call_and_says_so(lab: ServedLab) -> None:
    def no_card(clock_hz: int) -> tuple[Source, Sink]:
        raise AudioError("the sound card was unplugged")

    async with Phone(lab.profile("alice"), isim=lab.isim("alice"), audio=no_card) as alice:
        await alice.register()
        call = await alice.call("echo")
        with pytest.raises(AudioError, match="unplugged"):
            await call.play("hello.wav")
        assert call.state == "ended"
        assert call.end is not None
        assert call.end.by == "local"
