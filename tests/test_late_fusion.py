"""Late fusion: by NumPy, of parts with faults, and how it is spelled."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ParamsError
from pipeline.experiments.crossval import BINDING
from pipeline.experiments.late_fusion import Fusion, fuse, fused_runs, read_fusions
from pipeline.experiments.plan import Run
from pipeline.scoring.number_predictions import assemble_numbers
from pipeline.scoring.predictions import (
    Predictions,
    assemble_predictions,
    read_predictions,
    write_predictions,
)

CLASSES = ("a", "b", "c")


def predictions(seed: int, *, errors=(None,) * 5, **metadata: object) -> Predictions:
    found = np.random.default_rng(seed).dirichlet(np.ones(3), 5)
    return assemble_predictions(
        utterance_ids=[f"u{i}" for i in range(5)],
        splits=["test"] * 5,
        labels=["a", "b", None, "c", "a"],
        scores=np.log(found),
        probabilities=found,
        errors=list(errors),
        classes=CLASSES,
        metadata={"task": "emotion", "seed": 0, BINDING: str(seed), **metadata},
    )


def probabilities(one: Predictions) -> np.ndarray:
    return one.frame[[f"probability.{name}" for name in CLASSES]].to_numpy(np.float64)


def test_it_is_the_normalised_geometric_mean_of_the_parts():
    parts = {name: predictions(seed) for seed, name in enumerate("xyz")}
    found = fuse(parts, {})
    product = np.prod([probabilities(one) for one in parts.values()], axis=0) ** (1 / 3)
    wanted = product / product.sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities(found), wanted, rtol=1e-5)
    assert found.frame["predicted"].tolist() == [CLASSES[i] for i in wanted.argmax(1)]
    assert found.table["label"].to_pylist() == ["a", "b", None, "c", "a"]


def numbers(seed: int, *, errors=(None,) * 5) -> Predictions:
    draw = np.random.default_rng(seed)
    return assemble_numbers(
        utterance_ids=[f"u{i}" for i in range(5)],
        splits=["test", None, "test", "test", "test"],
        labels=np.array([1.0, 2.5, np.nan, 7.0, 4.0]),
        predicted=draw.uniform(1, 7, 5),
        errors=list(errors),
        metadata={"task": "arousal", "scale": {"low": 1.0, "high": 7.0}, "seed": seed},
    )


def test_of_numbers_it_is_their_mean(tmp_path):
    lost = (None, None, None, "silent: nothing", None)
    parts = {"x": numbers(1), "y": numbers(2, errors=lost), "z": numbers(3)}
    found = fuse(parts, {})
    wanted = sum(one.frame["predicted"] for one in parts.values()) / 3
    pd.testing.assert_series_equal(found.frame["predicted"], wanted)
    assert found.table["error"].to_pylist() == [None, None, None, "y: silent: nothing", None]
    assert found.table["predicted"].null_count == 1
    for column in ("utterance_id", "split", "label"):
        assert found.table[column].equals(parts["x"].table[column])
    assert found.classes == ()
    assert found.metadata["scale"] == {"low": 1.0, "high": 7.0}
    assert "seed" not in found.metadata
    write_predictions(tmp_path / "p.parquet", found)
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "p.parquet").frame, found.frame)
    # Its squared error is no more than the mean of the parts' (Jensen).
    label = found.frame["label"]
    errors = [((one.frame["predicted"] - label) ** 2)[[0, 1, 4]].mean() for one in parts.values()]
    assert ((found.frame["predicted"] - label) ** 2)[[0, 1, 4]].mean() <= np.mean(errors)


@given(st.integers(0, 1000), st.integers(1, 4))
def test_a_part_with_itself_is_that_part(seed: int, times: int):
    one = predictions(seed)
    found = fuse({str(i): one for i in range(times)}, {})
    np.testing.assert_allclose(probabilities(found), probabilities(one), rtol=1e-4, atol=1e-7)


@given(st.permutations("xyz"))
def test_the_order_of_the_parts_does_not_matter(order):
    parts = {name: predictions(ord(name)) for name in "xyz"}
    found = fuse({name: parts[name] for name in order}, {})
    np.testing.assert_allclose(probabilities(found), probabilities(fuse(parts, {})), rtol=1e-5)


def test_a_class_that_a_part_rules_out_stays_finite_and_last():
    ruled = predictions(1)
    zeros = pa.Table.from_pandas(ruled.frame.assign(**{"probability.b": 0.0}))
    found = fuse({"x": Predictions(table=zeros, classes=CLASSES), "y": predictions(2)}, {})
    scores = found.frame[[f"score.{name}" for name in CLASSES]].to_numpy()
    assert np.isfinite(scores).all()
    assert (scores.argmin(1) == 1).all()


def test_a_row_that_a_part_lacks_has_that_part_s_reason():
    lost = (None, "silent: nothing", None, None, None)
    found = fuse({"x": predictions(1), "y": predictions(2, errors=lost)}, {}).table
    assert found["error"].to_pylist() == [None, "y: silent: nothing", None, None, None]
    assert [label is None for label in found["predicted"].to_pylist()] == [
        reason is not None for reason in lost
    ]


def test_metadata_is_what_the_parts_agree_on_and_who_they_are():
    parts = {"x": predictions(1, head="1"), "y": predictions(2, head="2")}
    assert fuse(parts, {BINDING: "z"}).metadata == {
        "task": "emotion",
        "seed": 0,
        "head_kind": "late-fusion",
        "parts": ["x", "y"],
        BINDING: "z",
    }


def test_runs_are_kept_until_a_part_changes(tmp_path):
    runs = [
        Run(system=name, fold=fold, seed=0, predictions=predictions(seed))
        for seed, (name, fold) in enumerate((n, f) for n in "xy" for f in "12")
    ]
    fusions = [Fusion(name="both", parts=("x", "y"))]
    first = fused_runs(runs, fusions, tmp_path)
    assert [(run.system, run.fold) for run in first] == [("both", "1"), ("both", "2")]
    path = tmp_path / "runs" / "both" / "1-0.parquet"
    pd.testing.assert_frame_equal(read_predictions(path).frame, first[0].predictions.frame)
    data, before = path.read_bytes(), path.stat().st_mtime_ns
    fused_runs(runs, fusions, tmp_path)
    assert path.stat().st_mtime_ns == before
    path.write_bytes(data[:-1])
    fused_runs(runs, fusions, tmp_path)
    assert path.read_bytes() == data
    other = path.with_name("2-0.parquet").read_bytes()
    fused_runs(
        [*runs[:3], Run(system="y", fold="2", seed=0, predictions=predictions(9))],
        fusions,
        tmp_path,
    )
    assert path.read_bytes() == data
    assert path.with_name("2-0.parquet").read_bytes() != other


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["late"], "--late-fusion late: wanted NAME=SYSTEM+SYSTEM, at least two."),
        (["late=x"], "--late-fusion late=x: wanted NAME=SYSTEM+SYSTEM, at least two."),
        (["x=x+y"], "--late-fusion x=x+y: there is a 'x' already; rename it."),
        (
            ["late=x+z"],
            "--late-fusion late=x+z: found 'z', wanted each part once, of the systems ['x', 'y'].",
        ),
        (
            ["late=y+y"],
            "--late-fusion late=y+y: found 'y', wanted each part once, of the systems ['x', 'y'].",
        ),
    ],
)
def test_a_misspelt_fusion_is_refused(texts, told):
    with pytest.raises(ParamsError) as error:
        read_fusions(texts, ["x", "y"])
    assert str(error.value) == told


def test_a_fusion_may_be_part_of_a_later_one():
    found = read_fusions(["late=x+y", "all=late+z"], ["x", "y", "z"])
    assert found == (Fusion(name="late", parts=("x", "y")), Fusion(name="all", parts=("late", "z")))
