"""The report: every figure with its unit, and no good news where a step failed."""

from __future__ import annotations

import json

from imsphone.cli.report import Report, Step, media_lines


def test_it_reads_like_a_measurement() -> None:
    report = Report(
        steps=[Step(name="alice registers by IMS AKA", is_done=True, took_ms=12.34)],
        codec="PCMA",
        figures={"sent": 1300, "lost": 39, "jitter_ms": 22.125, "mos": 3.91},
        pesq=3.4567,
        folder="out",
        files=["back.wav"],
    )
    text = report.text()
    assert "✓ alice registers by IMS AKA" in text
    assert "12.3 ms" in text
    assert "22.12 ms" in text or "22.13 ms" in text
    assert "3.46" in text
    assert "Written to out: back.wav" in text
    assert report.is_good


def test_one_failed_step_makes_the_run_a_failure_and_says_why() -> None:
    report = Report(steps=[Step(name="a", is_done=True), Step(name="call", is_done=False, note="486 Busy Here")])
    assert not report.is_good
    assert "✗ call" in report.text()
    assert "486 Busy Here" in report.text()


def test_an_unknown_figure_is_left_out_rather_than_shown_as_zero() -> None:
    assert not any("round trip" in line for line in media_lines({"sent": 1}))
    assert any("packets sent" in line for line in media_lines({"sent": 1}))


def test_a_missing_pesq_says_what_to_do() -> None:
    assert (
        'pip install "imsphone[quality]"'
        in Report(figures={"mos": 4.0}, pesq_note='pip install "imsphone[quality]"').text()
    )


def test_it_is_json_as_it_stands() -> None:
    report = Report(steps=[Step(name="a", is_done=True, took_ms=1.0)], figures={"r": 92.1})
    assert json.loads(json.dumps(report.as_json()))["media"] == {"r": 92.1}
