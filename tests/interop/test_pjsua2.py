"""Our phone calls a phone that others wrote, through our network, over real sockets.

Ours and ours could agree on a mistake. pjsip was written by others, so what it takes from us is evidence: our REGISTER
path with Digest, our INVITE with 100rel through P- and S-CSCF, our SDP, our RTP, our CANCEL and our BYE.
"""

from __future__ import annotations

import contextlib
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from imsphone.audio.files import read_wav
from imsphone.audio.null import silence
from imsphone.errors import NetworkError, RegistrationRejected
from imsphone.lab.network import Network
from imsphone.lab.serve import serve
from imsphone.net.authority import Authority, certified
from imsphone.phone import Phone
from imsphone.profile import Profile
from imsphone.testing.foreign import ForeignPhone, Orders, what_is_missing
from imsphone.trace import Trace

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(what_is_missing() is not None, reason=str(what_is_missing())),
]
SPOKEN_S = 4


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    network = Network(seed=b"interop", base="127.0.95")
    async with serve(network, trace=Trace(), tls=certified(tmp_path, *network.names)):
        yield network


def orders(network: Network, *, password: str = "", ring_s: float = 0.2) -> Orders:
    account = network.accounts["softphone1"]
    assert account.password
    return Orders(
        host="127.0.95.60",
        port=5060,
        user=account.name,
        realm=network.realm,
        password=password or account.password.reveal().decode(),
        proxy=str(network.addresses["p-cscf"]),
        ring_s=ring_s,
    )


@contextlib.asynccontextmanager
async def alice_of(network: Network, trace: Trace) -> AsyncIterator[Phone]:
    profile = Profile(**network.profile("alice"), reg_event=False)
    isim = network.accounts["alice"].isim()
    async with Phone(profile, isim=isim, audio=silence, trace=trace, name="alice") as alice:
        await alice.register()
        yield alice


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """The beginning of the recording."""
    path = tmp_path / "speech.wav"
    with (files("imsphone.assets") / "sounds" / "speech.wav").open("rb") as file, wave.open(file) as whole:
        n_samples = SPOKEN_S * whole.getframerate()
        samples, parameters = whole.readframes(n_samples), whole.getparams()
    with wave.open(str(path), "wb") as part:
        part.setparams(parameters)
        part.writeframes(samples)
    return path


async def test_it_registers_by_digest_answers_our_call_and_echoes(network: Network, speech: Path) -> None:
    trace = Trace()
    async with ForeignPhone(orders(network)) as peer, alice_of(network, trace) as alice:
        await peer.registered()
        call = await alice.call(f"sip:softphone1@{network.realm}")
        await call.answered(timeout=10)
        back = speech.with_name("back.wav")
        await call.record(back)
        await call.play(speech)
        await call.hangup()
        await peer.until("call", state="DISCONNECTED")
        counted = await peer.until("measured")
    assert (await peer.until("media"))["codec"] == "PCMA"
    assert counted["received"] >= 50 * SPOKEN_S - 5
    assert counted["lost"] == 0
    assert any(record.data.startswith(b"PRACK ") for record in trace if record.who == "alice")
    assert likeness(speech, back) > 0.8


def likeness(said: Path, heard: Path) -> float:
    """How much each loud half second that came back looks like the speech somewhere: 1 for the same, the median.

    Half seconds, because two playout buffers on the way may each stretch and shrink the pauses between them.
    """
    (speech, speech_hz), (back, back_hz) = read_wav(said), read_wav(heard)
    assert (speech_hz, back_hz) == (16000, 8000)
    whole = speech.astype(float).reshape(-1, 2).mean(axis=1)
    energy = np.concatenate(([0.0], np.cumsum(whole**2)))
    n_samples = back_hz // 2
    peaks = []
    for start in range(0, len(back) - n_samples + 1, n_samples):
        piece = back[start : start + n_samples].astype(float)
        if np.abs(piece).max() > 1000:
            products = np.correlate(whole, piece, "valid")
            energies = (energy[n_samples:] - energy[:-n_samples]) * (piece**2).sum()
            peaks.append(float((products / np.sqrt(energies + 1)).max()))
    return float(np.median(peaks))


async def test_it_is_let_go_when_we_give_up(network: Network) -> None:
    async with ForeignPhone(orders(network, ring_s=60)) as peer, alice_of(network, Trace()) as alice:
        await peer.registered()
        call = await alice.call(f"sip:softphone1@{network.realm}")
        await call.ringing(timeout=10)
        await call.hangup()
        assert (await peer.until("call", state="DISCONNECTED"))["status"] == 487


async def test_they_write_to_each_other(network: Network) -> None:
    async with ForeignPhone(orders(network)) as peer, alice_of(network, Trace()) as alice:
        await peer.registered()
        assert (await alice.text("softphone1", "grüß dich")).status == 200
        assert (await peer.until("text", body="grüß dich"))["remote"].endswith(f"<sip:alice@{network.realm}>")
        told = await peer.text(f"sip:alice@{network.realm}", "und dich")
        assert told["status"] == 200
        heard = await alice.incoming_text(timeout=10)
        assert (heard.body, heard.remote) == ("und dich", f"sip:softphone1@{network.realm}")


def by_tls(network: Network, ca: Path) -> Orders:
    return replace(orders(network), tls_ca=str(ca), proxy=str(network.secure))


async def test_by_tls_it_takes_our_certificate_and_all_of_a_call(network: Network, tmp_path: Path) -> None:
    """OpenSSL behind pjsip's own check of names; its ACK and BYE follow the Record-Route of the P-CSCF's TLS side."""
    async with ForeignPhone(by_tls(network, tmp_path / "ca.pem")) as peer, alice_of(network, Trace()) as alice:
        await peer.registered()
        call = await alice.call("softphone1")
        await call.answered(timeout=10)
        assert (await peer.text(f"sip:alice@{network.realm}", "by TLS"))["status"] == 200
        await peer.stop()  # it hangs up: a BYE of its own
        await call.ended(timeout=10)
        assert call.end is not None
        assert call.end.by == "remote"


async def test_by_tls_it_refuses_a_certificate_of_nobody_it_knows(network: Network, tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_bytes(Authority.new("another").certificate)
    async with ForeignPhone(by_tls(network, tmp_path / "other.pem")) as peer:
        with pytest.raises(NetworkError):
            await peer.registered()


async def test_our_registrar_does_not_take_a_wrong_password(network: Network) -> None:
    async with ForeignPhone(orders(network, password="guessed")) as peer:
        with pytest.raises(RegistrationRejected):
            await peer.registered()
