"""A picture is for eyes; a test sees that it is one, and that it shows what happened."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from imsphone.cli.chart import MADE, draw, expect_library
from imsphone.cli.recording import Recording, recording
from imsphone.cli.score import score
from imsphone.errors import ProfileError
from imsphone.media.playout import Playout
from imsphone.media.replay import Run, replay

PNG = b"\x89PNG\r\n\x1a\n"
ROWS = [f"{k},{20 * k},{'lost' if k in LOST else 20 * k + 30}" for LOST in [range(60, 63)] for k in range(150)]


@pytest.fixture
def replayed(tmp_path: Path) -> tuple[Recording, Run]:
    (tmp_path / "a.csv").write_text("\n".join(ROWS))
    one = recording(tmp_path / "a.csv")
    return one, replay(Playout(one.codecs), one.arrivals, is_drawn=True)


def reds(path: Path) -> np.ndarray:
    """The columns of a picture (0 left, 1 right) that hold the colour of made-up sound."""
    from matplotlib.image import imread

    pixels = (imread(path)[..., :3] * 255).round().astype(int)
    colour = [int(MADE[at : at + 2], 16) for at in (1, 3, 5)]
    lower = (np.abs(pixels - colour).max(axis=2) < 3)[-pixels.shape[0] // 12 :]
    return lower.any(axis=0).nonzero()[0] / pixels.shape[1]


def test_a_gap_is_red_where_it_was(replayed: tuple[Recording, Run], tmp_path: Path) -> None:
    one, run = replayed
    draw(tmp_path / "a.png", one, run, score(one, run))
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    columns = reds(tmp_path / "a.png")
    assert columns.size
    gap = columns[columns < 0.9]  # at its end the stream runs dry
    assert 0.35 < gap.min() <= gap.max() < 0.5  # 1.2 s of 3 s


def test_seconds_without_a_gap_have_no_red(replayed: tuple[Recording, Run], tmp_path: Path) -> None:
    one, run = replayed
    draw(tmp_path / "a.png", one, run, score(one, run), (1.5, 2.5))
    assert not reds(tmp_path / "a.png").size


def test_where_it_cannot_be_written(replayed: tuple[Recording, Run], tmp_path: Path) -> None:
    one, run = replayed
    with pytest.raises(ProfileError, match=r"cannot write .*No such file or directory"):
        draw(tmp_path / "nowhere" / "a.png", one, run, score(one, run))


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ProfileError, match=r'pip install "imsphone\[plot\]"'):
        expect_library()
