from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.report.besides import LONGEST, besides_sections
from pipeline.report.page import HTML, MARKDOWN
from pipeline.report.report import ReportConfig, Sources, write_report
from pipeline.scoring.predictions import (
    Predictions,
    assemble_predictions,
    read_predictions,
    write_predictions,
)

CLASSES = ("calm", "sad")
LABELS = ["calm", "sad"] * 10
PREDICTED = ["calm"] * 10 + ["sad"] * 10


def predictions(**extras: pa.Array) -> Predictions:
    """Twenty clips of test, u0 is calm, u1 sad; the first ten are taken for calm."""
    probabilities = np.where(np.array(PREDICTED)[:, None] == np.array(CLASSES), 0.8, 0.2)
    return assemble_predictions(
        utterance_ids=[f"u{i}" for i in range(20)],
        splits=["test"] * 20,
        labels=LABELS,
        scores=np.log(probabilities),
        probabilities=probabilities,
        errors=[None] * 20,
        classes=CLASSES,
        metadata={"task": "mood", "seed": 0},
        extras=extras,
    )


def tables(one: Predictions) -> list[pd.DataFrame]:
    (section,) = besides_sections({"mine": one}, "test")
    return [table.frame for table in section.tables]


def test_a_text_is_shown_for_the_first_right_and_wrong_clips_of_each_class():
    (shown,) = tables(predictions(story=pa.array([f"story of {i}" for i in range(20)])))
    assert shown["clip"].tolist() == ["u0", "u2", "u10", "u12", "u11", "u13", "u1", "u3"]
    assert shown["class"].tolist() == ["calm"] * 4 + ["sad"] * 4
    assert shown["taken for"].tolist() == ["calm"] * 2 + ["sad"] * 4 + ["calm"] * 2
    assert shown["story"].tolist() == [f"story of {clip[1:]}" for clip in shown["clip"]]


def test_a_text_is_kept_to_one_line_of_bounded_length():
    (shown,) = tables(predictions(story=pa.array(["a\n b\t" + "x" * 1000] * 20)))
    assert {len(text) for text in shown["story"]} == {LONGEST}
    assert all(text.startswith("a b xx") and text.endswith("x…") for text in shown["story"])


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.int64(), pa.bool_()])
def test_a_number_is_averaged_by_class_and_by_right_and_wrong(kind):
    values = np.arange(20) % 3 == 0 if kind == pa.bool_() else np.arange(20)
    (shown,) = tables(predictions(loudness=pa.array(values.tolist(), kind)))
    assert shown["class"].tolist() == ["calm", "sad", "all"]
    labels, is_right = np.array(LABELS), np.array(LABELS) == np.array(PREDICTED)
    for row in shown.to_dict("records"):
        mine = np.ones(20, bool) if row["class"] == "all" else labels == row["class"]
        assert row["clips"] == str(mine.sum())
        assert row["mean"] == f"{values[mine].mean():.4g}"
        assert row["of the right"] == f"{values[mine & is_right].mean():.4g}"
        assert row["of the wrong"] == f"{values[mine & ~is_right].mean():.4g}"


def test_clips_without_a_value_or_with_none_that_counts_are_left_out():
    values = [None, float("inf"), float("nan"), *range(3, 20)]
    (shown,) = tables(predictions(loudness=pa.array(values, pa.float64())))
    assert shown["clips"].tolist() == ["8", "9", "17"]
    assert shown["mean"].iloc[-1] == f"{np.mean(range(3, 20)):.4g}"


def test_there_is_no_such_part_without_such_columns(tmp_path: Path):
    nothing = pa.array([None] * 20, pa.string())
    assert besides_sections({"mine": predictions()}, "test") == []
    assert besides_sections({"mine": predictions(story=nothing)}, "test") == []
    write_report(tmp_path, Sources(predictions={"mine": predictions()}), ReportConfig())
    assert "besides" not in (tmp_path / MARKDOWN).read_text()


def test_the_page_shows_by_name_what_a_file_holds_and_runs_none_of_it(tmp_path: Path):
    text = "<script>alert(1)</script> | *loud* ![x](http://y)"
    write_predictions(
        tmp_path / "p.parquet",
        predictions(story=pa.array([text] * 20), pitch=pa.array([1.5] * 20)),
    )
    read = read_predictions(tmp_path / "p.parquet")
    assert read.extras == ["story", "pitch"]
    write_report(tmp_path, Sources(predictions={"p": read}), ReportConfig())
    page, markdown = (tmp_path / HTML).read_text(), (tmp_path / MARKDOWN).read_text()
    for told in (page, markdown):
        assert "What the head says besides" in told
        assert "p: story, of the first 2 clips" in told
        assert "p: mean of pitch over" in told
        assert "<script>" not in told
    assert r"| &lt;script>alert(1)&lt;/script> \| \*loud\* ![x\](http://y) |" in markdown
