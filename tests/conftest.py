"""What holds for every test."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline: a shared machine is slow now and then, and a test says nothing of speed (tests/bench does).
# On CI the same examples every time; at a desk new ones, and HYPOTHESIS_PROFILE=long for a search over lunch.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True)
settings.register_profile("long", settings.get_profile("desk"), max_examples=10_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "desk"))

# Windows are tested without a screen.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
