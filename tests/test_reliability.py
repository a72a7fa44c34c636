import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss

from pipeline.errors import ShapeError
from pipeline.evaluation.reliability import (
    NUM_BINS,
    brier_score,
    expected_calibration_error,
    jensen_shannon,
    log_loss,
    reliability,
)


def random(seed: int = 0, num: int = 200):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(4), num)
    return probabilities, generator.integers(0, 4, num)


def naive_error(probabilities, labels) -> float:
    total = 0.0
    for index in range(NUM_BINS):
        low, high = index / NUM_BINS, (index + 1) / NUM_BINS
        inside = [
            (p.max(), p.argmax() == label)
            for p, label in zip(probabilities, labels, strict=True)
            if low < p.max() <= high
        ]
        if inside:
            confidence = np.mean([c for c, _ in inside])
            accuracy = np.mean([right for _, right in inside])
            total += len(inside) / len(labels) * abs(accuracy - confidence)
    return total


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 80))
def test_the_calibration_error_is_the_naive_sum_over_bins(seed: int, num: int) -> None:
    probabilities, labels = random(seed, num)
    found = expected_calibration_error(probabilities, labels)
    assert found == pytest.approx(naive_error(probabilities, labels), abs=1e-12)
    assert reliability(probabilities, labels).counts.sum() == num


def test_who_is_right_as_often_as_sure_is_calibrated() -> None:
    probabilities = np.tile([0.75, 0.25], (4, 1))
    assert expected_calibration_error(probabilities, np.array([0, 0, 0, 1])) == pytest.approx(0)
    sure = np.tile([1.0, 0.0], (4, 1))
    assert expected_calibration_error(sure, np.array([0, 0, 0, 1])) == pytest.approx(0.25)


def test_brier_and_log_loss_are_those_of_the_formulas() -> None:
    probabilities, labels = random()
    naive = np.mean(
        [
            sum((p[c] - (c == label)) ** 2 for c in range(4))
            for p, label in zip(probabilities, labels, strict=True)
        ]
    )
    assert brier_score(probabilities, labels) == pytest.approx(naive)
    assert log_loss(probabilities, labels) == pytest.approx(
        sklearn_log_loss(labels, probabilities, labels=range(4))
    )
    assert brier_score(np.eye(3), np.arange(3)) == 0
    assert brier_score(np.eye(3), (np.arange(3) + 1) % 3) == 2
    assert np.isfinite(log_loss(np.eye(3), (np.arange(3) + 1) % 3))


def test_arrays_that_do_not_agree_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"found shape \(2, 2\) and labels \(3,\), wanted"):
        brier_score(np.eye(2), np.arange(3))
    with pytest.raises(ShapeError, match="at least one clip"):
        reliability(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))


def test_the_distance_to_votes_is_the_definition() -> None:
    p, q = (np.random.default_rng(i).dirichlet(np.ones(4), 30) for i in range(2))
    mid = (p + q) / 2
    divergence = ((p * np.log2(p / mid)).sum(1) + (q * np.log2(q / mid)).sum(1)) / 2
    assert jensen_shannon(p, q) == pytest.approx(np.sqrt(divergence).mean())
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p))
    assert jensen_shannon(p, p) == pytest.approx(0, abs=1e-7)
    assert jensen_shannon(np.eye(2), np.eye(2)[::-1]) == pytest.approx(1)
    with pytest.raises(ShapeError, match=r"votes: found probabilities \(2, 2\) and shares"):
        jensen_shannon(np.eye(2), np.eye(3))
