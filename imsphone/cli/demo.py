"""`imsphone demo`: the whole phone in half a minute, against the built-in network on loopback sockets.

alice ── REGISTER ─▶ P-CSCF ─▶ I-CSCF ─▶ S-CSCF ◀─▶ HSS        and so does bob
alice ── INVITE ───▶ P-CSCF ─▶ S-CSCF ─▶ P-CSCF ─▶ bob          who echoes
alice ══ speech, G.711 A-law, 20 ms ══════════════▶ bob ══ back ══▶ back.wav
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imsphone.cli.main import exit_code
from imsphone.cli.octets import Octets
from imsphone.cli.outputs import OutFolder
from imsphone.cli.report import Report, Step
from imsphone.cli.run import run
from imsphone.cli.say import say
from imsphone.cli.show import card, look, save_trace
from imsphone.errors import AudioError, ImsPhoneError
from imsphone.testing.foreign import what_is_missing
from imsphone.trace import Trace

if TYPE_CHECKING:
    from imsphone.audio.endpoint import Audio
    from imsphone.call import Call
    from imsphone.lab.network import Network
    from imsphone.phone import Phone

SPOKEN_S = 20
TAIL_S = 0.6  # what is still on its way back when the speech has been said


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    loss_percent: float
    jitter_ms: float
    seed: int
    far_end: str
    is_spoken: bool
    folder: Path
    base: str
    is_json: bool


@click.command("demo")
@click.option("--loss", default=0.0, type=click.FloatRange(0, 100), help="Packets lost on each way, in percent.")
@click.option("--jitter", default=0.0, type=click.FloatRange(0, 1000), help="Mean queueing delay on each way, in ms.")
@click.option("--seed", default=1, type=int, help="Which packets the bad link hits.")
@click.option("--far-end", type=click.Choice(["imsphone", "pjsua2"]), default="imsphone", help="Who is called.")
@click.option("--speak", is_flag=True, help="Talk to the echo with the sound card for 20 s instead of playing a file.")
@click.option(
    "--out",
    type=OutFolder(),
    default=lambda: time.strftime("imsphone-demo-%Y%m%d-%H%M%S"),
    help="The folder to write to.  [default: a new one here]",
)
@click.option(
    "--base",
    type=Octets(),
    default="127.0.10",
    show_default=True,
    help="First octets of the nodes' addresses.",
)
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
def command(
    loss: float, jitter: float, seed: int, far_end: str, speak: bool, out: Path, base: str, as_json: bool
) -> None:
    """Bring up a network, register two phones by IMS AKA, call, talk for 26 s, and show the ladder and a report.

    Exit code 0 only if every step did what it should.
    """
    if far_end == "pjsua2" and (sentence := what_is_missing()):
        raise click.UsageError(sentence)
    demo = _Demo(Options(loss, jitter, seed, far_end, speak, out, base, as_json))
    run(demo.run())
    if as_json:
        say(json.dumps(demo.report.as_json()))
    else:
        say("\n" + (f"{demo.phones_ladder()}\n\n" if demo.trace else "") + demo.report.text())
    if demo.error is not None:
        raise SystemExit(exit_code(demo.error))
    if not demo.report.is_good:
        raise SystemExit(1)


class _Demo:
    """One run: its steps fill `report`; `error` is what ended it early."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.report = Report(folder=str(options.folder))
        self.trace = Trace()
        self.error: BaseException | None = None

    async def run(self) -> None:
        """All steps in order; the first that fails ends the run, and the report says which."""
        try:
            with contextlib.suppress(_Failed):
                await self._in_the_lab()
        finally:
            self._write()
        if self.error is None and not self.options.is_spoken:
            self._listen()

    def phones_ladder(self) -> str:
        """What both phones sent and received."""
        from imsphone.ladder import Names, draw

        if self.options.far_end == "pjsua2":
            names: Names = {f"{self.options.base}.60": "pjsua2"}
            return draw(self.trace, ["alice", "p-cscf", "pjsua2"], names, **look())
        return draw(self.trace, ["alice", "p-cscf", "bob"], **look())

    # Steps ------------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _step(self, name: str, notes: list[str] | None = None) -> Iterator[None]:
        """Times a step, says it on standard error while it lasts, and keeps how it went."""
        self._show(f"  {name} ...")
        started = time.perf_counter()
        try:
            yield
        except (ImsPhoneError, TimeoutError, OSError) as error:
            self.error = error
            self.report.steps.append(Step(name=name, is_done=False, note=str(error)))
            self._show(f" failed: {error}\n")
            raise _Failed from error
        except asyncio.CancelledError:
            self._show(" stopped\n")
            raise
        took_ms = 1000 * (time.perf_counter() - started)
        self.report.steps.append(Step(name=name, is_done=True, took_ms=took_ms, note=", ".join(notes or ())))
        self._show(f" {took_ms / 1000:.2f} s\n")

    def _show(self, text: str) -> None:
        """Progress, for people only, so never among the results."""
        if not self.options.is_json:
            click.echo(text, err=True, nl=False)

    @contextlib.asynccontextmanager
    async def _counting(self, name: str, whole_s: float) -> AsyncIterator[None]:
        """Shows, where a person looks on, how far a long step has come."""
        counting = asyncio.ensure_future(self._count(name, whole_s)) if sys.stderr.isatty() else None
        try:
            yield
        finally:
            if counting is not None:
                counting.cancel()
                self._show(f"\r\x1b[K  {name} ...")

    async def _count(self, name: str, whole_s: float) -> None:
        started = time.perf_counter()
        while True:
            self._show(f"\r\x1b[K  {name} ... {time.perf_counter() - started:.0f} of {whole_s:.0f} s")
            await asyncio.sleep(0.5)

    async def _in_the_lab(self) -> None:
        from imsphone.lab.network import Network
        from imsphone.lab.serve import serve

        network = Network(base=self.options.base, seed=os.urandom(16))
        async with contextlib.AsyncExitStack() as stack:
            with self._step("lab: P-, I-, S-CSCF, HSS, DNS"):
                await stack.enter_async_context(serve(network, trace=self.trace))
            self.options.folder.mkdir(parents=True, exist_ok=True)
            alice = await stack.enter_async_context(self._phone(network, "alice", self._alice_audio(), twin=0))
            with self._step("alice registers by IMS AKA"):
                await alice.register()
            target = await self._far_end(network, stack)
            call = await self._call(alice, target)
            await self._talk(call)
            with self._step("BYE"):
                await call.hangup()
            self.report.figures = call.figures
            self.report.codec = call.codec or ""
            with self._step("alice deregisters"):
                await alice.deregister()

    def _alice_audio(self) -> Audio:
        from imsphone.audio.null import silence

        if not self.options.is_spoken:
            return silence
        try:
            return card()
        except AudioError as error:
            reason = str(error).partition(";")[0]
            click.echo(f"imsphone: {reason}; the recording is played instead", err=True)
            self.options = replace(self.options, is_spoken=False)
            return silence

    def _phone(self, network: Network, name: str, audio: Audio, twin: int) -> Phone:
        """A phone; what comes to its RTP sockets passes the bad link, each phone's with a fate of its own."""
        from imsphone.lab.link import Link
        from imsphone.phone import Phone
        from imsphone.profile import Profile

        options, link = self.options, None
        if options.loss_percent or options.jitter_ms:
            link = Link(loss=options.loss_percent / 100, jitter_ms=options.jitter_ms, seed=options.seed).twin(twin)
        profile = Profile(**network.profile(name), reg_event=False)  # its ladder is that of a call
        isim = network.accounts[name].isim()
        return Phone(profile, isim=isim, audio=audio, trace=self.trace, name=name, link=link)

    async def _far_end(self, network: Network, stack: contextlib.AsyncExitStack) -> str:
        """Somebody to call, registered and echoing; gives the address."""
        from imsphone.audio.echo import echo

        if self.options.far_end == "pjsua2":
            from imsphone.testing.foreign import ForeignPhone, Orders

            account = network.accounts["softphone1"]
            assert account.password is not None
            orders = Orders(
                f"{self.options.base}.60",
                5060,
                user=account.name,
                realm=network.realm,
                password=account.password.reveal().decode(),
                proxy=str(network.addresses["p-cscf"]),
            )
            with self._step("pjsua2 registers by Digest"):
                peer = await stack.enter_async_context(ForeignPhone(orders))
                await peer.registered()
            return account.impus[0]
        bob = self._phone(network, "bob", echo, twin=1)
        await stack.enter_async_context(bob)
        with self._step("bob registers by IMS AKA"):
            await bob.register()
        stack.push_async_callback(self._bob_leaves, bob)
        answering = asyncio.ensure_future(_answer(bob))
        stack.callback(answering.cancel)
        return network.accounts["bob"].impus[0]

    async def _bob_leaves(self, bob: Phone) -> None:
        with self._step("bob deregisters"):
            await bob.deregister()

    async def _call(self, alice: Phone, target: str) -> Call:
        notes: list[str] = []
        with self._step("call: INVITE to 200", notes):
            call = await alice.call(target)
            await call.answered(timeout=20)
            is_reliable = any(record.data.startswith(b"PRACK ") for record in self.trace if record.who == "alice")
            if not is_reliable:
                raise ImsPhoneError("the call was answered without a reliable 18x and its PRACK (RFC 3262)")
            notes.append("18x reliable, PRACK")
        return call

    async def _talk(self, call: Call) -> None:
        from imsphone.audio.files import WavSource

        back = self.options.folder / "back.wav"
        if self.options.is_spoken:
            name = f"speak now, you hear your echo for {SPOKEN_S} s"
            with self._step(name):
                await call.record(back)
                async with self._counting(name, SPOKEN_S):
                    await asyncio.sleep(SPOKEN_S)
            self.report.pesq_note = "not measured: it compares with a recording, and you spoke yourself"
            return
        name = "speech goes out and comes back"
        with self._step(name), _speech() as speech:
            await call.record(back)
            async with self._counting(name, WavSource(speech).duration_s + TAIL_S):
                await call.play(speech)
                await asyncio.sleep(TAIL_S)

    # After the call ---------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Judges what came back, and whether anything did."""
        from imsphone.audio.files import read_wav
        from imsphone.media.quality import pesq_mean
        from imsphone.media.resample import Resampler

        report = self.report
        try:
            with self._step("PESQ: back.wav against what was sent"), _speech() as speech:
                said, said_hz = read_wav(speech)
                back, back_hz = read_wav(self.options.folder / "back.wav")
                said = Resampler(said_hz, back_hz).feed(said)
                try:
                    report.pesq = pesq_mean(said, back, back_hz)
                except AudioError as error:
                    report.pesq_note = str(error)
                if not back.any():
                    raise AudioError("nothing came back: back.wav holds silence only")
        except _Failed:
            return

    def _write(self) -> None:
        folder = self.options.folder
        if not self.trace:
            self.report.folder = ""
            return
        save_trace(self.trace, folder / "trace.jsonl")
        save_trace(self.trace, folder / "trace.pcapng")
        names = ("back.wav", "trace.jsonl", "trace.pcapng")
        self.report.files = [name for name in names if (folder / name).exists()]


class _Failed(Exception):
    """A step failed, and the report has it."""


async def _answer(phone: Phone) -> None:
    """Takes every call, one after the other."""
    while True:
        call = await phone.incoming()
        with contextlib.suppress(ImsPhoneError):
            await call.answer()


@contextlib.contextmanager
def _speech() -> Iterator[Path]:
    """The recording that is said."""
    with as_file(files("imsphone.assets") / "sounds" / "speech.wav") as path:
        yield path
