import numpy as np
import pyarrow as pa
import pytest

from helpers.predictions import example, with_value
from pipeline.errors import PredictionsError, ShapeError
from pipeline.scoring.predictions import (
    Predictions,
    write_predictions,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "predictions.parquet"


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("predicted", 2, None, "'predicted': found None at .*dia 002.*value where there is no"),
        ("predicted", 0, "calm", "'predicted': found 'calm' at .*dia 000.*null where there is"),
        ("predicted", 2, "bored", "'predicted': found 'bored' .*wanted one of .'angry', 'calm'"),
        ("label", 3, "bored", "'label': found 'bored' at .*dia 003"),
        ("score.calm", 2, None, "'score.calm': found None .*value where there is no error"),
        ("score.calm", 0, 0.5, "'score.calm': found 0.5 .*null where there is an error"),
        ("score.calm", 2, float("nan"), "'score.calm': found nan .*a finite number"),
        ("score.calm", 2, float("inf"), "'score.calm': found inf .*a finite number"),
        ("probability.calm", 2, None, "'probability.calm': found None"),
        ("probability.calm", 2, 1.5, "'probability.calm': found 1.5 .*wanted 0 to 1"),
        ("error", 0, None, "'predicted': found None"),
        ("error", 2, "late error", "'predicted': found .*null where there is an error"),
        ("utterance_id", 2, "corpus/dia 000/utt", "'corpus/dia 000/utt' more than once"),
        ("utterance_id", 2, None, "found 1 rows without utterance_id"),
    ],
)
def test_row_that_breaks_a_rule_is_refused(path, column, row, value, message):
    with pytest.raises(PredictionsError, match=message):
        write_predictions(path, with_value(example(), column, row, value))
    assert not path.exists()


def test_refusal_names_ten_rows_and_counts_the_rest(path):
    with pytest.raises(PredictionsError, match="dia 011/utt', and 15 more, wanted a finite"):
        write_predictions(path, example(30, scores=np.full((30, 3), np.nan)))


def test_score_beyond_float32_is_refused(path):
    with pytest.raises(PredictionsError, match="found inf"):
        write_predictions(path, example(scores=np.full((20, 3), 1e300)))


def test_table_with_other_columns_is_refused(path):
    whole = example()
    for table in (
        whole.table.drop_columns(["split"]),
        whole.table.select(whole.table.schema.names[::-1]),
        whole.table.set_column(4, "score.angry", whole.table["score.angry"].cast(pa.float64())),
        whole.table.append_column("later", pa.array([""] * 20)),
        whole.table.select([]),
    ):
        other = Predictions(table=table, classes=whole.classes, metadata={})
        with pytest.raises(PredictionsError, match=r"found columns .*, each name once"):
            write_predictions(path, other)


@pytest.mark.parametrize("classes", [("a", "a"), ("a", "")])
def test_classes_without_distinct_names_are_refused(path, classes):
    other = Predictions(table=example().table, classes=classes)
    with pytest.raises(PredictionsError, match="wanted different, non-empty names"):
        write_predictions(path, other)


def test_without_classes_labels_are_wanted_as_numbers(path):
    other = Predictions(table=example().table, classes=())
    with pytest.raises(PredictionsError, match=r"wanted .*\('label', 'double'\)"):
        write_predictions(path, other)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("label", pa.array([""] * 20), "each name once"),
        ("score.other", pa.array([1.0] * 20, pa.float32()), "no name that begins"),
        ("codes", pa.array([[1]] * 20), "of type 'list<item: int64>'"),
    ],
)
def test_extra_column_that_cannot_be_told_apart_or_kept_is_refused(path, name, values, message):
    with pytest.raises(PredictionsError, match=message):
        write_predictions(path, example(extras={name: values}))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"classes": ["a"]}, "entry named 'classes'"),
        ({3: "a"}, "entry named 3"),
        ({"seed": float("nan")}, "not JSON"),
        ({"seed": {1, 2}}, "not JSON"),
        ({"seed": "\ud800"}, "not JSON"),
    ],
)
def test_metadata_that_cannot_be_kept_are_refused(path, metadata, message):
    with pytest.raises(PredictionsError, match=message):
        write_predictions(path, example(metadata=metadata))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"splits": ["test"]}, ShapeError, "splits: found 1 rows, wanted 20"),
        ({"scores": np.zeros((20, 2))}, ShapeError, r"scores: found shape \(20, 2\), wanted"),
        ({"extras": {"heard": pa.array(["x"])}}, ShapeError, "heard: found 1 rows"),
        ({"labels": [1] * 20}, PredictionsError, "wanted text or None"),
        ({"splits": ["\ud800"] * 20}, PredictionsError, "wanted text or None"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        example(**changes)
