"""`genser predict` of folders and many files: a table that grows, bad files, the same numbers."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser, refused
from pipeline.scoring import predictor


@pytest.fixture
def calls(here, tmp_path) -> Path:
    """A folder with five recordings, two of them below, and what is none."""
    clips = sorted((here / "demo" / "audio").rglob("*.wav"))[:5]
    folder = tmp_path / "calls"
    for clip, name in zip(clips, ("b.wav", "a.wav", "d/x.WAV", "d/e/y.wav", "c.wav"), strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, folder / name)
    (folder / "note.txt").write_text("no sound")
    (folder / ".hidden.wav").write_text("no sound")
    os.mkfifo(folder / "pipe.wav")
    return folder


NAMES = ["a.wav", "b.wav", "c.wav", "d/e/y.wav", "d/x.WAV"]


def told(out: Path) -> pd.DataFrame:
    return pd.read_csv(out, keep_default_na=False)


def test_a_folder_becomes_a_table_with_what_each_file_alone_is_said_to_be(calls, tmp_path):
    out = tmp_path / "out.csv"
    result = genser("predict", calls, "--head", "head", "--out", out)
    assert result.exit_code == 0, result.output
    table = told(out)
    assert table["path"].tolist() == [str(calls / name) for name in NAMES]
    assert (table["error"] == "").all()
    columns = [column for column in table if column.startswith("probability.")]
    for path, row, label in zip(
        table["path"], table[columns].to_numpy(), table["predicted"], strict=True
    ):
        (alone,) = json.loads(genser("predict", path, "--head", "head", "--json").stdout)
        np.testing.assert_allclose(row, list(alone["probabilities"].values()), atol=1e-3)
        assert alone["predicted"] == label


def test_it_goes_on_with_what_is_not_there_yet(calls, tmp_path, monkeypatch):
    out, again = tmp_path / "out.csv", tmp_path / "again.csv"
    genser("predict", calls, "--head", "head", "--out", out)
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    again.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    asked = []
    original = predictor.Predictor.predict
    monkeypatch.setattr(
        predictor.Predictor,
        "predict",
        lambda self, clips, decoded: asked.extend(clips) or original(self, clips, decoded),
    )
    genser("predict", calls, "--head", "head", "--out", again)
    assert again.read_bytes() == whole
    assert [clip.place.path.name for clip in asked] == ["c.wav", "y.wav", "x.WAV"]
    asked.clear()
    shutil.copy(calls / "a.wav", calls / "c.wav")
    result = genser("predict", calls, "--head", "head", "--out", again)
    assert [clip.place.path.name for clip in asked] == ["c.wav"]
    assert "1 files have changed, or could not be read" in result.stderr
    table = told(again).set_index("path")
    mine, other = (table.loc[str(calls / name), "predicted"] for name in ("c.wav", "a.wav"))
    assert mine == other


def test_a_bad_file_has_its_row_and_stops_nothing(calls, tmp_path):
    (calls / "b.wav").write_text("no sound")
    out = tmp_path / "out.csv"
    words = ("predict", calls, "nowhere.wav", calls / "pipe.wav", "--head", "head", "--out", out)
    result = genser(*words)
    assert result.exit_code == 3
    assert "7 files, 3 of them with an error" in result.stdout
    errors = told(out).set_index("path")["error"]
    assert errors[str(calls / "b.wav")].startswith("decode_error: not decodable")
    assert errors["nowhere.wav"].startswith("missing:")
    assert errors[str(calls / "pipe.wav")].startswith("decode_error: cannot be read (a pipe")
    assert (errors == "").sum() == 4
    # What could not be read is tried again, what has the same bytes is not.
    assert "2 files to predict" in genser(*words).stderr


def test_outputs_that_do_not_fit_are_refused(calls, tmp_path):
    head = ("--head", "head")
    csv, folder = tmp_path / "x.csv", tmp_path / "x"
    assert "wanted a table that ends in .csv" in refused("predict", calls, *head, "--out", folder)
    words = ("--out", csv, "--json")
    assert "--json: is printed, found --out too" in refused("predict", calls, *head, *words)
    words = ("--segments", "windows")
    assert "--segments: found no --out" in refused("predict", calls, *head, *words)
    words = (*words, "--out", folder, "--text", "a")
    assert "--text: is of a whole recording" in refused("predict", calls, *head, *words)
    csv.write_text("mine\n1\n")
    assert "is another table than this" in refused("predict", calls, *head, "--out", csv)
    assert csv.read_text() == "mine\n1\n"
    (tmp_path / "empty").mkdir()
    assert "holds no recordings" in refused("predict", tmp_path / "empty", *head)


def test_segments_of_a_folder(calls, tmp_path):
    out = tmp_path / "out"
    words = ("-S", "segments.window_s=0.5", "-S", "segments.hop_s=0.25")
    (calls / "b.wav").write_text("no sound")
    result = genser(
        *words, "predict", calls, "--head", "head", "--segments", "windows", "--out", out
    )
    assert result.exit_code == 3
    assert "5 recordings, 1 of them could not be used" in result.stdout
    table = told(out / "recordings.csv")
    assert table["path"].tolist() == [str(calls / name) for name in NAMES]
    done = table[table["error"] == ""]
    for name, seconds in zip(done["folder"], done["seconds"], strict=True):
        timeline = pd.read_csv(out / name / "timeline.csv")
        assert timeline["start"].iloc[0] == 0
        assert timeline["end"].iloc[-1] == pytest.approx(float(seconds), abs=1e-3)
        columns = [column for column in timeline if column.startswith("probability.")]
        np.testing.assert_allclose(timeline[columns].to_numpy().sum(1), 1, atol=1e-5)
    assert not list(out.rglob("*.lock"))
