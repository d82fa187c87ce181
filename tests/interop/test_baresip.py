"""baresip at the lab: it registers by Digest, takes our phone's call and sends back what it hears."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from imsphone.audio.files import WavSink, read_wav
from imsphone.audio.null import silence
from imsphone.phone import Phone
from imsphone.testing.served import ServedLab

MODULES = next(iter(sorted(Path("/usr/lib").glob("**/baresip/modules"))), None)
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(
        shutil.which("baresip") is None or MODULES is None, reason="needs baresip (Debian: baresip-core)"
    ),
]

CONFIG = """\
poll_method epoll
sip_listen {host}:5060
net_interface {host}
rtp_ports 43100-43198
audio_player aubridge,echo
audio_source aubridge,echo
module_path {modules}
module stdio.so
module g711.so
module aubridge.so
module_tmp account.so
module_app menu.so
"""
ACCOUNT = '<{impu};transport=udp>;auth_user={impi};auth_pass={password};outbound="sip:{pcscf}";answermode=auto\n'


@contextlib.asynccontextmanager
async def baresip(lab: ServedLab, folder: Path) -> AsyncIterator[None]:
    """Runs as softphone1, registered, until the end of the block."""
    account, pcscf = lab.network.accounts["softphone1"], lab.network.addresses["p-cscf"]
    assert account.password is not None
    host = f"{pcscf.host.rpartition('.')[0]}.62"
    (folder / "config").write_text(CONFIG.format(host=host, modules=MODULES))
    words = {"impu": account.impus[0], "impi": account.impi, "password": account.password.reveal().decode()}
    (folder / "accounts").write_text(ACCOUNT.format(**words, pcscf=pcscf))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "baresip", "-f", str(folder), stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(20):
            while b"registered successfully" not in said:
                more = await process.stdout.read(4096)
                assert more, said.decode()
                said += more
        draining = asyncio.ensure_future(process.stdout.read())
        yield
        draining.cancel()
    finally:
        process.kill()
        await process.wait()


async def test_it_takes_our_call_and_echoes(lab: ServedLab, tmp_path: Path) -> None:
    (tmp_path / "baresip").mkdir()
    said, back = tmp_path / "said.wav", tmp_path / "back.wav"
    sink = WavSink(said, 8000)
    sink.write((8000 * np.sin(2 * np.pi * 440 * np.arange(12000) / 8000)).astype(np.int16))
    sink.close()
    async with (
        baresip(lab, tmp_path / "baresip"),
        Phone(lab.profile("alice"), isim=lab.isim("alice"), audio=silence) as alice,
    ):
        await alice.register()
        call = await alice.call(lab.network.accounts["softphone1"].impus[0])
        await call.answered(timeout=10)
        await call.record(back)
        await call.play(said)
        await call.hangup()
    assert call.end is not None
    assert call.end.by == "local"
    pcm, rate_hz = read_wav(back)
    assert np.abs(pcm).max() > 4000
    assert np.argmax(np.abs(np.fft.rfft(pcm.astype(float)))) * rate_hz / pcm.size == pytest.approx(440, abs=5)
