"""SIPp as a plain SIP phone at the lab: it is called by our phone and calls it, by UDP and TCP, and echoes the sound.

SIPp knows RFC 3261 and Digest, no IMS and no PRACK: the classic far end. Its messages are written out in `sipp/`.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from imsphone.audio.files import WavSink, read_wav
from imsphone.audio.null import silence
from imsphone.phone import Phone
from imsphone.testing.ladders import assert_ladder
from imsphone.testing.served import ServedLab
from imsphone.trace import Trace

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="needs SIPp (Debian: sip-tester)"),
]
SCENARIOS = Path(__file__).with_name("sipp")
MEDIA_PORT = 43000


class Sipp:
    """SIPp runs, one after the other, at one address of the lab's network, as softphone1."""

    def __init__(self, lab: ServedLab, folder: Path, transport: str) -> None:
        account = lab.network.accounts["softphone1"]
        assert account.password is not None
        self._folder = folder
        self._transport = transport
        self._words = {
            "{impi}": account.impi,
            "{impu}": account.impus[0],
            "{password}": account.password.reveal().decode(),
            "{target}": lab.network.accounts["alice"].impus[0],
        }
        pcscf = lab.network.addresses["p-cscf"]
        self.host = f"{pcscf.host.rpartition('.')[0]}.61"
        self._line = (
            *("-i", self.host, "-p", "5060", "-t", "u1" if transport == "udp" else "t1", "-key", "realm"),
            *(lab.network.realm, "-mi", self.host, "-mp", str(MEDIA_PORT), "-rtp_echo"),
            *("-m", "1", "-nostdin", "-timeout", "30", "-timeout_error"),
        )
        self._pcscf = str(pcscf)

    def _is_listening(self) -> bool:
        """As Linux tells it: looking must not take the port away."""
        local = f"{socket.inet_aton(self.host)[::-1].hex().upper()}:{5060:04X}"
        state = "0A" if self._transport == "tcp" else "07"
        lines = Path("/proc/net", self._transport).read_text().splitlines()
        return any(line.split()[1] == local and line.split()[3] == state for line in lines)

    @contextlib.asynccontextmanager
    async def run(self, scenario: str) -> AsyncIterator[None]:
        """A scenario of `sipp/` from here to the end of the block; fails with its messages where one was missing."""
        text = (SCENARIOS / f"{scenario}.xml").read_text()
        for word, value in self._words.items():
            text = text.replace(word, value)
        path, log = self._folder / f"{scenario}.xml", self._folder / f"{scenario}.log"
        path.write_text(text)
        target = () if scenario == "answer" else (self._pcscf,)
        line = ("sipp", "-sf", path, *self._line, "-trace_msg", "-message_file", log, *target)
        with (self._folder / f"{scenario}.out").open("w") as out:
            process = await asyncio.create_subprocess_exec(*map(str, line), cwd=self._folder, stdout=out, stderr=out)
        try:
            if scenario == "answer":
                async with asyncio.timeout(20):
                    while not self._is_listening():
                        await asyncio.sleep(0.02)
            yield
            code = await asyncio.wait_for(process.wait(), 20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        assert code == 0, log.read_text() if log.exists() else Path(out.name).read_text()


def alice_of(lab: ServedLab, trace: Trace) -> Phone:
    return Phone(lab.profile("alice"), isim=lab.isim("alice"), audio=silence, trace=trace, name="alice")


def tone(path: Path, seconds: float) -> Path:
    """A WAV file with a tone of 440 Hz."""
    sink = WavSink(path, 8000)
    sink.write((8000 * np.sin(2 * np.pi * 440 * np.arange(int(8000 * seconds)) / 8000)).astype(np.int16))
    sink.close()
    return path


def pitch_hz(path: Path) -> float:
    """The strongest frequency of a recording."""
    pcm, rate_hz = read_wav(path)
    return float(np.argmax(np.abs(np.fft.rfft(pcm.astype(float)))) * rate_hz / pcm.size)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_it_takes_our_call_and_echoes(lab: ServedLab, tmp_path: Path, transport: str) -> None:
    sipp, trace = Sipp(lab, tmp_path, transport), Trace()
    async with sipp.run("register"):
        pass
    async with sipp.run("answer"), alice_of(lab, trace) as alice:
        await alice.register()
        call = await alice.call(lab.network.accounts["softphone1"].impus[0])
        await call.answered(timeout=10)
        await call.record(tmp_path / "back.wav")
        await call.play(tone(tmp_path / "said.wav", seconds=1.5))
        await call.hangup()
    assert pitch_hz(tmp_path / "back.wav") == pytest.approx(440, abs=5)
    assert_ladder(
        trace,
        """
        ...
        alice -> p-cscf  INVITE (SDP)
        p-cscf -> alice  100 Trying
        p-cscf -> alice  180 Ringing
        p-cscf -> alice  200 OK (SDP)
        alice -> p-cscf  ACK
        alice -> p-cscf  BYE
        p-cscf -> alice  200 OK
        ...
        """,
        names={lab.network.addresses["p-cscf"]: "p-cscf"},
    )


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_it_calls_us_and_echoes(lab: ServedLab, tmp_path: Path, transport: str) -> None:
    sipp = Sipp(lab, tmp_path, transport)
    async with alice_of(lab, Trace()) as alice:
        await alice.register()
        async with sipp.run("call"):
            call = await alice.incoming(timeout=10)
            assert "softphone1" in call.remote
            await call.answer()
            await call.record(tmp_path / "back.wav")
            await call.play(tone(tmp_path / "said.wav", seconds=1.2))
            ended = await call.ended(timeout=10)
    assert ended.by == "remote"
    assert pitch_hz(tmp_path / "back.wav") == pytest.approx(440, abs=5)
