"""That the benches run and measure what they say, in their smallest size; no figure is judged here."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.interop.core import ipsec

BENCH = Path(__file__).parent
HAS_SIPP = shutil.which("sipp") is not None


@pytest.mark.parametrize(("name", "figures"), [("registrations", 3 + HAS_SIPP), ("day", 2)])
def test_a_bench_runs_in_its_smallest_size(name: str, figures: int) -> None:
    command = [sys.executable, str(BENCH / f"{name}.py"), "2", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.stderr == ""
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(measured) == figures
    assert all(len(one["values"]) == len(one["reference_values"]) == 1 for one in measured)
    assert all(one["values"][0] > 0 for one in measured)


@pytest.mark.interop
@pytest.mark.skipif(ipsec.missing() is not None, reason=str(ipsec.missing()))
def test_the_bench_with_a_core_that_others_wrote_runs_too() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH / "core.py"), "1", "0", "--json"], capture_output=True, text=True, timeout=100
    )
    assert done.stderr == ""
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(measured) == 3
    assert all(one["values"][0] > 0 and one["reference_values"][0] > 0 for one in measured)


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("figure", BENCH / "figure.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "figure", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_rate_and_a_time_are_compared_the_same_way_round(figure: Any) -> None:
    rate = figure.Figure("a", "/s", (900.0, 1000.0, 1400.0), True, 950, "b", (2000.0,))
    spent = figure.Figure("a", "s", (9.0, 10.0, 14.0), False, 12, "b", (5.0,))
    assert (rate.value, spent.value) == (1000.0, 10.0)
    assert (rate.worst, spent.worst) == (900.0, 14.0)
    assert (rate.ratio, spent.ratio) == (2.0, 2.0)
    assert rate.is_met
    assert spent.is_met


def test_a_missed_target_is_said(figure: Any, capsys: pytest.CaptureFixture[str]) -> None:
    missed = figure.Figure("a", "/s", (1000.0,), True, 1500)
    figure.print_table([missed])
    assert not missed.is_met
    assert "≥ 1,500  MISSED" in capsys.readouterr().out


def test_a_figure_comes_back_from_its_line(
    figure: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--json"])
    one = figure.Figure("a", "s", (1.0, 2.0), False, 3, "b", (4.0,), "note")
    assert figure.show([one]) == 0
    assert figure.from_json(capsys.readouterr().out) == one
