"""A head of numbers along recordings: its files, their times and units, kills, and the picture."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from helpers.extraction import tree
from helpers.long import (
    FRAME,
    LOUD,
    QUIET,
    SOFT,
    LoudnessHead,
    killed_at_every_flush,
    predict,
    session,
    speech,
    windows,
)
from pipeline.figures.canvas import COLOURS
from pipeline.figures.number_timeline import HEIGHT, draw_number_timeline
from pipeline.figures.timeline import WIDTH
from pipeline.manifests.numbers import Scale
from pipeline.progress import Silence
from pipeline.scoring.timeline_files import NO_RTTM

FRAME_S = FRAME / 16000
SCALE = Scale(low=1.0, high=7.0)
# Two alike with a silence between them that merging of classes would bridge.
PARTS = [(20, QUIET), (50, LOUD), (40, QUIET), (30, SOFT), (12, QUIET), (25, SOFT), (60, QUIET)]
PAD = 3
TRUTH = [(20, 70, LOUD), (110, 140, SOFT), (152, 177, SOFT)]


class Noted(Silence):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


def test_each_stretch_keeps_its_number_in_the_units_of_the_labels(tmp_path):
    path, noted = session(tmp_path / "a.wav", PARTS), Noted()
    head = LoudnessHead(scale=SCALE)
    assert predict(tmp_path / "out", [path], speech(), head, noted) == 0
    folder = tmp_path / "out" / "a.wav"
    table = pd.read_csv(folder / "timeline.csv")
    assert list(table) == ["start", "end", "predicted"]
    # To the microsecond: the frames of the made-up speech.
    expected = [[(a - PAD) * FRAME_S, (b + PAD) * FRAME_S] for a, b, _ in TRUTH]
    np.testing.assert_allclose(table[["start", "end"]], expected, atol=5e-7)
    np.testing.assert_allclose(table["predicted"], [1 + 6 * y for *_, y in TRUTH], atol=1e-3)
    stretches = pd.read_csv(folder / "stretches.csv")
    pd.testing.assert_frame_equal(stretches[list(table)], table)
    assert not [column for column in stretches if column.startswith("probability.")]
    told = json.loads((folder / "timeline.json").read_text())
    assert told["scale"] == {"low": 1.0, "high": 7.0}
    assert "classes" not in told
    assert told["timeline"] == table.to_dict("records")
    (done,) = pd.read_csv(tmp_path / "out" / "recordings.csv").to_dict("records")
    assert (done["stretches"], done["parts"]) == (3, 3)
    assert not (folder / "timeline.rttm").exists()
    assert noted.said[0] == NO_RTTM
    grid = (folder / "timeline.TextGrid").read_text()
    assert 'name = "arousal"' in grid
    assert [line.split(" = ")[1] for line in grid.splitlines() if "text = " in line] == [
        text for number in table["predicted"] for text in ('""', f'"{number:.3f}"')
    ] + ['""']


def test_where_windows_overlap_is_their_mean_as_of_labels(tmp_path):
    path = session(tmp_path / "a.wav", [(125, SOFT), (125, LOUD)])  # 4 s each
    predict(tmp_path / "out", [path], windows(window_s=2.0, hop_s=1.0), LoudnessHead(scale=SCALE))
    table = pd.read_csv(tmp_path / "out" / "a.wav" / "timeline.csv")
    # A part for each second, alike or not; a window that reaches into what is loud is loud.
    assert table["start"].tolist() == list(range(8))
    assert table["end"].tolist() == list(range(1, 9))
    loud = np.array([0, 0, 0, 0.5, 1, 1, 1, 1])
    wanted = 1 + 6 * (SOFT + (LOUD - SOFT) * loud)
    np.testing.assert_allclose(table["predicted"], wanted, atol=1e-3)


def test_killed_at_every_touch_of_the_disk_numbers_go_on(tmp_path, monkeypatch):
    path = session(tmp_path / "a.wav", PARTS)
    monkeypatch.setattr("pipeline.scoring.timeline_files.draw_number_timeline", lambda *_, **__: 0)
    predict(tmp_path / "undisturbed", [path], speech(), LoudnessHead(scale=SCALE))
    wanted = tree(tmp_path / "undisturbed")

    def work(folder: Path) -> None:
        predict(folder, [path], speech(), LoudnessHead(scale=SCALE))

    for event, folder in killed_at_every_flush(tmp_path, work):
        predict(folder, [path], speech(), LoudnessHead(scale=SCALE))
        assert tree(folder) == wanted, event
    assert event > 6


def test_a_recording_without_speech_has_a_timeline_without_parts(tmp_path):
    path = session(tmp_path / "a.wav", [(100, QUIET)])
    assert predict(tmp_path / "out", [path], speech(), LoudnessHead(scale=SCALE)) == 0
    folder = tmp_path / "out" / "a.wav"
    assert (folder / "timeline.csv").read_text() == "start,end,predicted\n"
    assert json.loads((folder / "timeline.json").read_text())["timeline"] == []
    assert (folder / "timeline.png").exists()


def drawn(path: Path, numbers: list[float], ends: tuple[float, float] = (1.0, 7.0)) -> np.ndarray:
    """Draw parts of 2 s with 1 s between them, and return their bars."""
    starts = 3.0 * np.arange(len(numbers))
    edges = np.stack([starts, starts + 2], 1)
    settings = {
        "ends": ends,
        "task": "arousal",
        "duration": max(3.0 * len(numbers), 2.0),
        "title": "a",
    }
    draw_number_timeline(path, edges, np.array(numbers), **settings)
    return bars_in(path)


def bars_in(path: Path) -> np.ndarray:
    """Return where the picture has the bars' colour."""
    with Image.open(path) as image:
        found = np.asarray(image.convert("RGB")).astype(int)
    assert found.shape == (HEIGHT, WIDTH, 3)
    return (found == np.round(np.array(to_rgb(COLOURS[0])) * 255)).all(2)


def test_bars_are_as_high_as_their_numbers(tmp_path):
    is_bar = drawn(tmp_path / "a.png", [1.0, 3.0, 4.0, 7.0])
    columns = np.flatnonzero(is_bar.any(0))
    groups = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    assert len(groups) == 4
    heights = [np.flatnonzero(is_bar[:, group].any(1)).mean() for group in groups]
    slope, offset = np.polyfit([1, 3, 4, 7], heights, 1)
    assert slope < -40  # pixels a unit, upwards
    np.testing.assert_allclose(np.polyval([slope, offset], [1, 3, 4, 7]), heights, atol=1)
    # Each lasts two thirds of the time between two starts.
    lengths = [len(group) for group in groups]
    steps = np.diff([group[0] for group in groups])
    np.testing.assert_allclose(np.array(lengths) / steps.mean(), 2 / 3, atol=0.02)


@pytest.mark.parametrize("numbers", [[-2.0, 9.5], []])
def test_what_lies_beyond_the_ends_is_seen_and_the_ends_are(tmp_path, numbers):
    is_bar = drawn(tmp_path / "a.png", numbers)
    columns = np.flatnonzero(is_bar.any(0))
    assert (len(columns) > 800) == bool(numbers)
    other = tmp_path / "other.png"
    drawn(other, numbers, ends=(0.0, 8.0))
    assert other.read_bytes() != (tmp_path / "a.png").read_bytes()


def test_a_bar_that_is_shorter_than_a_pixel_is_seen(tmp_path):
    starts = 180 + np.linspace(0, 36_000, 100, endpoint=False)
    settings = {"ends": (0.0, 1.0), "task": "arousal", "duration": 36_000.0, "title": "a"}
    seen = []
    for length in (2.0, 20.0):
        path = tmp_path / "a.png"
        edges = np.stack([starts, starts + length], 1)
        draw_number_timeline(path, edges, np.full(100, 0.5), **settings)
        seen.append(np.diff(np.flatnonzero(bars_in(path).any(0))))
    assert [(gaps > 1).sum() for gaps in seen] == [99, 99]
