"""What holds for every test."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No deadline: a shared machine is slow now and then, and a test says nothing of speed (tests/bench does).
# On CI the same examples every time; at a desk new ones, and HYPOTHESIS_PROFILE=long for a search over lunch.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True)
settings.register_profile("long", settings.get_profile("desk"), max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "desk"))

# Windows are tested without a screen.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture
def jack(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A sound server of our own with a card that is none, under a name of its own; its environment."""
    if not (shutil.which("jackd") and shutil.which("jack_connect")):
        pytest.skip("needs jackd (Debian: jackd2), the card of machines without one")
    name = f"imsphone-{os.getpid()}"
    environment = os.environ | {
        "JACK_DEFAULT_SERVER": name,
        "JACK_NO_START_SERVER": "1",
        "JACK_NO_AUDIO_RESERVATION": "1",
    }
    order = ["jackd", "-n", name, "--no-realtime", "--no-mlock", "-d", "dummy", "-r", "48000", "-p", "480"]
    with (
        (tmp_path / "jackd.log").open("w") as log,
        subprocess.Popen(order, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            for _ in range(100):
                if subprocess.run(["jack_lsp"], env=environment, capture_output=True).returncode == 0:
                    break
                time.sleep(0.05)
            else:
                pytest.skip(f"jackd does not start here: {(tmp_path / 'jackd.log').read_text()[-200:]}")
            yield environment
        finally:
            server.terminate()
