"""The report of a call: what was measured, each with its unit, in an order that an engineer reads.

Times come from the ladder's clock; media figures from the phone that recorded; R and MOS from the E-model, PESQ from
the two sound files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

# figure of `media.quality.Measured` → label, unit
_MEDIA: dict[str, tuple[str, str]] = {
    "sent": ("packets sent", ""),
    "received": ("packets received", ""),
    "lost": ("packets lost", ""),
    "late": ("packets late", ""),
    "duplicated": ("packets doubled", ""),
    "jitter_ms": ("jitter (RFC 3550)", "ms"),
    "playout_mean_ms": ("playout delay, mean", "ms"),
    "playout_p95_ms": ("playout delay, p95", "ms"),
    "concealed_percent": ("concealed", "%"),
    "round_trip_ms": ("round trip (RTCP)", "ms"),
    "r": ("R (E-model)", ""),
    "mos": ("MOS (E-model)", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run: whether it did what it should, how long it took, and what to know of it."""

    name: str
    is_done: bool
    took_ms: float | None = None
    note: str = ""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run did. `figures` as `media.quality.Measured`; `pesq` None where there is none (`pesq_note` why)."""

    steps: list[Step] = field(default_factory=list)
    codec: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    pesq: float | None = None
    pesq_note: str = ""
    files: Sequence[str] = ()
    folder: str = ""

    @property
    def is_good(self) -> bool:
        """Whether every step did what it should."""
        return all(step.is_done for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "is_good": self.is_good,
            "steps": [asdict(step) for step in self.steps],
            "codec": self.codec,
            "media": dict(self.figures),
            "pesq": self.pesq,
            "pesq_note": self.pesq_note,
            "folder": self.folder,
            "files": list(self.files),
        }

    def text(self) -> str:
        """The report as people read it."""
        lines = ["Steps"]
        for step in self.steps:
            took = "" if step.took_ms is None else f"{step.took_ms:8.1f} ms"
            lines.append(f"  {'✓' if step.is_done else '✗'} {step.name:36s}{took:>12s}  {step.note}".rstrip())
        if self.figures:
            lines += ["", f"Sound ({self.codec})", *media_lines(self.figures)]
            score = self.pesq_note if self.pesq is None else f"{self.pesq:10.2f}  {self.pesq_note}".rstrip()
            lines.append(_row("PESQ, mean of 8 s pieces", score))
        if self.folder:
            lines += ["", f"Written to {self.folder}: {', '.join(self.files)}"]
        return "\n".join(lines)


def media_lines(figures: Mapping[str, float]) -> list[str]:
    """A line per figure that is known."""
    rows = []
    for name, (label, unit) in _MEDIA.items():
        value = figures.get(name)
        if value is not None:
            number = (
                f"{value:10.0f}" if name in ("sent", "received", "lost", "late", "duplicated") else f"{value:10.2f}"
            )
            rows.append(_row(label, f"{number} {unit}".rstrip()))
    return rows


def _row(label: str, text: str) -> str:
    return f"  {label:28s}{text}"
