"""A replay as a picture: every packet, what the buffer wanted, what it did, and what it had to make up.

    delay │  .   .      ×.          dots: packets, by how long they were under way; crosses: too late
          │ ──┐ ┌▲─────▼──▼────     line: when their sound was heard; where it moves, it was stretched
          │ ┄┄└┄┘┄┄┄┄┄┄┄┄┄┄┄┄┄┄     dashed: where the buffer wanted it
          ├────────────────────
    waits │ ▁▂▂▁▂▁▁▂▂▁▁▁▂▁          how much sound waits in the buffer
    made  │     ▌                   bars: sound made up; ticks: packets that never came
          └──────────────────▶ s

A dot stands where its packet came: below the line, in time. Where the line is broken, sound was made up. Everything is
above the fastest packet, in ms, on one ruler.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imsphone.cli.recording import Recording
from imsphone.cli.score import HEARD, Log, Score, is_silence, playout_delay
from imsphone.errors import ProfileError
from imsphone.media.replay import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, HEIGHT_IN, DPI = 15, 8, 110
BAR_SHARE = 1 / 300
"""A bar of made-up sound gathers this share of the time shown."""
MANY = 300
"""More marks than that are drawn smaller."""

ARRIVED, HEARD_AT, WANTED, MADE, LONGER, SHORTER, WAITS = (
    "#9aa5b1", "#1f5fa8", "#e08a00", "#c62828", "#7b3fa0", "#2e8b57", "#b8d4ee"
)  # fmt: skip


def expect_library() -> None:
    """Nothing where pictures can be drawn; ProfileError says what to install."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ProfileError('drawing needs Matplotlib: pip install "imsphone[plot]"') from None


def draw(
    path: Path, recording: Recording, run: Run, score: Score, between_s: tuple[float, float] | None = None
) -> None:
    """Writes the picture of a run that kept its moments and its log. Raises ProfileError where it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    delays, waits, made = figure.subplots(3, 1, sharex=True, height_ratios=(6, 1.2, 1.2))
    view = _View(recording, run, between_s)
    figure.suptitle(recording.name, fontsize=13, weight="bold")
    delays.set_title(
        (f"{recording.note}\n" if recording.note else "")
        + f"delay {score.mean_ms:.0f} ms, p95 {score.p95_ms:.0f} ms · made up {score.concealed_percent:.2f} % · "
        f"JLR {score.jlr_percent:.2f} % · stretched {score.stretched_percent:.2f} % · "
        f"R {score.r:.1f}, MOS {score.mos:.2f}",
        fontsize=10,
    )
    view.draw_delays(delays)
    view.draw_waiting(waits)
    view.draw_made(made)
    for axes in (delays, waits, made):
        axes.grid(True, color="#e6e9ed", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    made.set_xlabel("s")
    made.set_xlim(*view.shown_s)
    try:
        canvas.print_figure(path, dpi=DPI, format="png")
    except OSError as error:
        raise ProfileError(f"cannot write {path}: {error.strerror}") from None


class _View:
    """The series of one run, on the ruler of the packets, in seconds after the first arrival."""

    def __init__(self, recording: Recording, run: Run, between_s: tuple[float, float] | None) -> None:
        log, moments = Log(run.log), run.moments
        last = int(np.flatnonzero(log.kind == HEARD)[-1]) + 1  # then the stream is over, and nothing is missing
        moments, at_ms = moments[:last], log.at_ms[:last]
        zero_ms = float(np.nanmin(recording.arrived_ms))
        self.at_s = (at_ms - zero_ms) / 1000
        delay_ms = playout_delay(recording, at_ms, log.position_ms[:last])
        is_told = (log.kind[:last] == HEARD) & ~is_silence(recording, log)[:last]
        self.delay_ms = np.where(is_told, delay_ms, np.nan)
        # The buffer's own ruler forgets an old least; what it tells of its target counts from where it believes to be.
        wanted_by_ms = np.array([moment.target_ms - moment.delay_ms for moment in moments])
        self.target_ms = np.where(log.kind[:last] > 0, delay_ms + wanted_by_ms, np.nan)
        self.fill_ms = np.array([moment.fill_ms for moment in moments])
        self.made_ms = np.array([moment.made_ms for moment in moments])
        self.is_longer = np.array([moment.inserted_ms > 0 for moment in moments])
        self.is_shorter = np.array([moment.removed_ms > 0 for moment in moments])
        is_lost = np.isnan(recording.arrived_ms)
        self.came_s = (recording.arrived_ms - zero_ms) / 1000
        self.lost_s = (recording.sent_ms[is_lost] - zero_ms) / 1000
        self.under_way_ms = recording.delay_ms
        is_played = np.isin(recording.sequence, log.frame) | (recording.sequence > log.frame.max())
        self.is_late = ~is_lost & ~is_played
        self.shown_s = between_s or (float(self.at_s[0]), float(self.at_s[-1]))

    def draw_delays(self, axes: Axes) -> None:
        """Packets, playout, target and stretches."""
        begin_s, end_s = self.shown_s
        packets = (self.came_s >= begin_s) & (self.came_s <= end_s)
        pulls = (self.at_s >= begin_s) & (self.at_s <= end_s)
        axes.plot(self.came_s, self.under_way_ms, ".", color=ARRIVED, markersize=3, label="packets under way")
        late = self.is_late
        if late.any():
            axes.plot(self.came_s[late], self.under_way_ms[late], "x", color=MADE, markersize=5, label="too late")
        axes.plot(self.at_s, self.target_ms, "--", color=WANTED, linewidth=1, label="target")
        axes.plot(self.at_s, self.delay_ms, "-", color=HEARD_AT, linewidth=1.2, label="heard")
        for is_so, marker, colour, label in (
            (self.is_longer, "^", LONGER, "lengthened"),
            (self.is_shorter, "v", SHORTER, "shortened"),
        ):
            is_so = is_so & pulls
            size = 4 if is_so.sum() < MANY else 2.5
            axes.plot(self.at_s[is_so], self.delay_ms[is_so], marker, color=colour, markersize=size, label=label)
        most = np.nanmax(np.concatenate((self.delay_ms[pulls], self.under_way_ms[packets], [20.0])))
        axes.set_ylim(0, 1.08 * most)
        axes.set_ylabel("ms above the fastest packet")
        axes.legend(loc="upper right", ncols=6, fontsize=9, framealpha=0.9)

    def draw_waiting(self, axes: Axes) -> None:
        """How much sound waits."""
        axes.fill_between(self.at_s, self.fill_ms, step="post", color=WAITS, linewidth=0)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("waiting, ms")

    def draw_made(self, axes: Axes) -> None:
        """Sound made up, gathered into bars, and the packets that never came."""
        begin_s, end_s = self.shown_s
        edges = np.linspace(begin_s, end_s, round(1 / BAR_SHARE) + 1)
        made_ms = np.histogram(self.at_s, edges, weights=self.made_ms)[0]
        axes.bar(edges[:-1], made_ms, np.diff(edges), align="edge", color=MADE, label="made up")
        axes.set_ylim(0, max(20.0, 1.15 * float(made_ms.max())))
        if self.lost_s.size:
            foot = axes.get_xaxis_transform()  # ticks that stand on the axis, whatever its scale
            axes.vlines(self.lost_s, 0, 0.12, color="black", linewidth=1, transform=foot, label="lost")
        axes.set_ylabel("made up, ms")
        axes.legend(loc="upper right", ncols=2, fontsize=9, framealpha=0.9)
