"""Concordance, correlation and error of numbers, each against its plain formula."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.errors import ShapeError
from pipeline.evaluation.concordance import (
    cluster_sums,
    drawn_numbers,
    measure_numbers,
    moments,
    number_scores,
)
from pipeline.evaluation.number_standings import number_standings_of

NUMBERS = arrays(np.float64, 12, elements=st.floats(-100, 100, width=32))


def naive_ccc(x: np.ndarray, y: np.ndarray) -> float:
    """Lin 1989 as it is printed, by loops."""
    n = len(x)
    mx, my = sum(x) / n, sum(y) / n
    sx = sum((a - mx) ** 2 for a in x) / n
    sy = sum((b - my) ** 2 for b in y) / n
    sxy = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / n
    return 2 * sxy / (sx + sy + (mx - my) ** 2)


@given(NUMBERS, NUMBERS)
def test_scores_are_those_of_the_plain_formulas(x: np.ndarray, y: np.ndarray) -> None:
    x = x + np.arange(12)  # never all alike
    y = y + np.arange(12) * 0.5
    found = measure_numbers(x, y)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((x - y) ** 2)), abs=1e-5)
    if min(x.std(), y.std()) > 1e-2:
        assert found["ccc"] == pytest.approx(naive_ccc(x, y), abs=1e-9)
        assert found["pearson"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)
        assert abs(found["ccc"]) <= abs(found["pearson"]) + 1e-12


def test_an_example_by_hand() -> None:
    # means 2 and 3, variances 2/3 and 8/3, covariance 4/3: 2 * 4/3 / (10/3 + 1)
    found = measure_numbers(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 5.0]))
    assert found["ccc"] == pytest.approx(8 / 13)
    assert found["pearson"] == pytest.approx(1.0)
    assert found["rmse"] == pytest.approx(np.sqrt(5 / 3))


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_predictions_that_are_all_alike_have_no_concordance(far: float) -> None:
    found = measure_numbers(far + np.array([1.0, 2.0, 4.0]), np.full(3, far + 0.1))
    assert (found["ccc"], found["pearson"]) == (0.0, 0.0)


def test_numbers_far_from_zero_lose_nothing() -> None:
    x, y = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.5, 3.0])
    near, far = measure_numbers(x, y), measure_numbers(1e6 + x, 1e6 + y)
    assert far == pytest.approx(near, rel=1e-6)


def test_clusters_add_up_to_all_clips_and_draws_are_of_clusters() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=40), draw.normal(size=40)
    clusters = [f"s{i % 4}" for i in range(40)]
    sums = cluster_sums(x, y, clusters)
    assert sums.shape == (4, 6)
    np.testing.assert_allclose(sums.sum(0), moments(x, y).sum(0), atol=1e-12)
    rows = [i for i in range(40) if i % 4 == 1]
    of_one = {name: float(v) for name, v in number_scores(sums[1]).items()}
    assert of_one == pytest.approx(measure_numbers(x[rows], y[rows]))
    # One cluster alone can only be drawn whole.
    alone = drawn_numbers(sums.sum(0)[None, None])
    assert np.ptp(alone["ccc"]) == 0


@pytest.mark.parametrize("wrong", [np.array([]), np.array([1.0, np.nan])])
def test_what_is_no_number_of_each_clip_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="wanted"):
        measure_numbers(wrong, wrong)


def table(system: str, predicted: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "system": system,
            "fold": "",
            "seed": 0,
            "utterance_id": [f"c{i:02d}" for i in range(len(labels))],
            "corpus": "one",
            "speaker": [f"s{i % 6}" for i in range(len(labels))],
            "dialogue": "",
            "label": labels,
            "predicted": predicted,
        }
    )


def test_systems_are_compared_under_the_same_draws() -> None:
    draw = np.random.default_rng(1)
    labels = draw.normal(size=60)
    good, bad = labels + 0.1 * draw.normal(size=60), draw.normal(size=60)
    both = pd.concat([table("good", good, labels), table("bad", bad, labels)], ignore_index=True)
    found = number_standings_of(both, cluster="speaker", margin=0.02)
    assert found.first.scores["ccc"].value == pytest.approx(naive_ccc(labels, good))
    assert found.first.label_sd == pytest.approx(labels.std())
    gain = found.comparisons["bad"]
    assert gain.verdict == "better"
    assert gain.rmse.high < 0
    expected = naive_ccc(labels, good) - naive_ccc(labels, bad)
    assert gain.difference.value == pytest.approx(expected)
    same = pd.concat([table("a", good, labels), table("b", good, labels)], ignore_index=True)
    tie = number_standings_of(same, cluster="speaker", margin=0.02).comparisons["b"]
    assert (tie.difference.low, tie.difference.high) == (0.0, 0.0)
    assert tie.verdict == "not inferior"
