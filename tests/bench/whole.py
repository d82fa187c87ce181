"""What it takes as a whole: the demonstration from its start to its end, and a phone that talks.

    python tests/bench/whole.py [--json]

The demonstration plays 26 s of speech, so it cannot take less. The phone is a process of its own that plays this speech
to the echo of a network in another process, and is traced, as phones are. Beside it stands a process that wakes and
sends and receives as often (every 10 ms, every 20 ms 172 octets), and does nothing with what comes.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
import wave
from importlib.resources import as_file, files
from pathlib import Path

from figure import Figure, show
from registrations import BOX, network_beside, subscribers_of
from startup import IMSPHONE

TALK_S = 10.0
TURNS = 3
PACKET_BYTES = 172  # RTP header and 20 ms of G.711
SPEECH = files("imsphone.assets") / "sounds" / "speech.wav"
BARE = "import asyncio, numpy; print(open('/proc/self/status').read())"


def peak_mib(status: str) -> float:
    """The most memory that a process held at a time, out of /proc/PID/status."""
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


# The demonstration --------------------------------------------------------------------------------------------------


def demonstrate() -> tuple[float, float]:
    """Wall seconds and MiB of one `imsphone demo`. Raises RuntimeError where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(IMSPHONE), "demo", "--json", "--base", "127.0.150", "--out", folder]
        start_s, memory_mib = time.perf_counter(), 0.0
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            status = Path(f"/proc/{process.pid}/status")
            while process.poll() is None:
                if "VmHWM" in (text := status.read_text()):
                    memory_mib = peak_mib(text)
                time.sleep(0.05)
        if process.returncode:
            raise RuntimeError(f"imsphone demo ended with {process.returncode}")
        return time.perf_counter() - start_s, memory_mib


def speech_s() -> float:
    """How long the recording lasts."""
    with as_file(SPEECH) as path, wave.open(str(path), "rb") as recording:
        return recording.getnframes() / recording.getframerate()


# A phone that talks -------------------------------------------------------------------------------------------------


async def talk(base: str) -> dict[str, float]:
    """In a process of its own: CPU of one core and peak memory during a call."""
    from imsphone.phone import Phone

    profile, _, isim = subscribers_of(base, 1)[0]
    async with Phone(profile, isim=isim) as phone:
        await phone.register()
        async with await phone.call("echo") as call:
            await call.answered(timeout=20)
            with as_file(SPEECH) as path:
                playing = asyncio.ensure_future(call.play(path))
                await asyncio.sleep(2)  # the playout settles
                start_s = time.process_time()
                await asyncio.sleep(TALK_S)
                cpu = (time.process_time() - start_s) / TALK_S
                playing.cancel()
        if not call.figures.get("received"):
            raise RuntimeError(f"nothing came back: {call.figures}")
    return {"cpu": 100 * cpu, "memory": peak_mib(Path("/proc/self/status").read_text())}


def beat(base: str) -> float:
    """CPU of one core, in percent, that the same wakes and packets cost alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((f"{base}.{BOX}", 5060))
        packet = PACKET_BYTES.to_bytes(2, "big") + bytes(PACKET_BYTES - 2)
        start_s, due_s = time.process_time(), time.monotonic()
        for tick in range(int(TALK_S * 100)):
            due_s += 0.01
            time.sleep(max(0.0, due_s - time.monotonic()))
            if tick % 2:
                sock.send(packet)
                sock.recv(2048)
        return 100 * (time.process_time() - start_s) / TALK_S


def measure(turns: int = TURNS) -> list[Figure]:
    """Takes turns: the phone, and what it is compared with; the demonstration once."""
    cpu, memory, alone, bare = [], [], [], []
    for _ in range(turns):
        with network_beside(1) as base:
            said = subprocess.run([sys.executable, __file__, "--phone", base], check=True, stdout=subprocess.PIPE)
            result = json.loads(said.stdout)
            cpu.append(result["cpu"])
            memory.append(result["memory"])
            alone.append(beat(base))
        python = subprocess.run([sys.executable, "-c", BARE], check=True, stdout=subprocess.PIPE, text=True)
        bare.append(peak_mib(python.stdout))
    wall_s, demo_mib = demonstrate()
    sound = "the recording that it plays"
    note = f"both phones, the network and the capture in one process: {demo_mib:.0f} MiB at most"
    importing = 'python -c "import asyncio, numpy"'
    return [
        Figure("imsphone demo", "s", (wall_s,), False, 45, sound, (speech_s(),), note),
        Figure("a phone in a call", "% of a core", tuple(cpu), False, None, "the same wakes and packets", tuple(alone)),
        Figure("a phone in a call", "MiB at most", tuple(memory), False, None, importing, tuple(bare)),
    ]


if __name__ == "__main__":
    if "--phone" in sys.argv:
        print(json.dumps(asyncio.run(talk(sys.argv[-1]))))
    else:
        raise SystemExit(show(measure()))
