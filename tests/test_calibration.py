import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.errors import HeadError, ParamsError, ShapeError
from pipeline.evaluation.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    fit_temperature,
    negative_log_likelihood,
    probabilities,
)


def naive_probabilities(scores, temperature):
    powers = [[math.exp(score / temperature) for score in row] for row in scores]
    return np.array([[power / sum(row) for power in row] for row in powers])


def drawn(seed, *, temperature, num_clips=20_000, num_classes=5):
    """Scores, and labels drawn from the softmax of the scores at the temperature."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(num_clips, num_classes))
    noise = generator.gumbel(size=scores.shape)
    return scores, np.argmax(scores / temperature + noise, axis=1).astype(np.int64)


@st.composite
def noisy_scores(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    return drawn(seed, temperature=draw(st.floats(0.3, 3.0)), num_clips=200, num_classes=4)


@pytest.mark.parametrize("temperature", [0.05, 0.4, 1.0, 2.5])
def test_temperature_of_the_model_that_drew_the_labels_is_recovered(temperature):
    scores, labels = drawn(0, temperature=temperature)
    # 20 000 clips leave a standard error of about 2 %.
    assert fit_temperature(scores, labels) == pytest.approx(temperature, rel=0.06)


@pytest.mark.parametrize("share", [0.6, 0.75, 0.9])
def test_two_classes_with_one_gap_have_the_closed_form(share):
    # All clips score (s, 0) and a share q is of the first class: 1 / (1 + exp(-s / T)) = q.
    gap, num_clips = 0.7, 20
    right = round(share * num_clips)
    scores = np.tile([gap, 0.0], (num_clips, 1))
    labels = np.repeat(np.array([0, 1], dtype=np.int64), [right, num_clips - right])
    expected = gap / math.log(share / (1 - share))
    assert fit_temperature(scores, labels) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(noisy_scores())
def test_loss_has_no_slope_at_the_fitted_temperature(pair):
    scores, labels = pair
    fitted = fit_temperature(scores, labels)
    assume(2 * MIN_TEMPERATURE < fitted < MAX_TEMPERATURE / 2)
    # d loss / d log T = mean(label's score - expected score) / T.
    expected = (probabilities(scores, fitted) * scores).sum(axis=1)
    slope = np.mean(scores[np.arange(len(labels)), labels] - expected) / fitted
    assert slope == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(noisy_scores())
def test_no_other_temperature_has_a_lower_loss(pair):
    scores, labels = pair
    lowest = negative_log_likelihood(scores, labels, fit_temperature(scores, labels))
    for other in np.geomspace(MIN_TEMPERATURE, MAX_TEMPERATURE, 41):
        assert lowest <= negative_log_likelihood(scores, labels, float(other)) + 1e-12


@settings(max_examples=30, deadline=None)
@given(noisy_scores(), st.floats(0.1, 10.0))
def test_temperature_follows_the_unit_of_the_scores(pair, factor):
    scores, labels = pair
    fitted = fit_temperature(scores, labels)
    assume(20 * MIN_TEMPERATURE < fitted < MAX_TEMPERATURE / 20)
    assert fit_temperature(factor * scores, labels) == pytest.approx(factor * fitted, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(noisy_scores(), st.floats(-50.0, 50.0))
def test_adding_a_number_to_all_scores_of_a_clip_changes_nothing(pair, offset):
    scores, _ = pair
    np.testing.assert_allclose(
        probabilities(scores + offset, 0.7), probabilities(scores, 0.7), rtol=1e-11
    )


@settings(max_examples=30, deadline=None)
@given(noisy_scores(), st.floats(0.05, 100.0))
def test_temperature_never_changes_the_predicted_class(pair, temperature):
    scores, _ = pair
    found = probabilities(scores, temperature)
    np.testing.assert_array_equal(found.argmax(axis=1), scores.argmax(axis=1))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)


def test_probabilities_agree_with_the_formula():
    scores = np.array([[0.1, -0.4, 0.9], [2.0, 2.0, 2.0]])
    np.testing.assert_allclose(
        probabilities(scores, 0.3), naive_probabilities(scores, 0.3), rtol=1e-12
    )


def test_loss_agrees_with_the_formula():
    scores, labels = drawn(1, temperature=0.5, num_clips=50)
    chosen = naive_probabilities(scores, 0.8)[np.arange(50), labels]
    expected = -sum(math.log(value) for value in chosen) / 50
    assert negative_log_likelihood(scores, labels, 0.8) == pytest.approx(expected, rel=1e-12)


def test_highest_probability_falls_towards_even_as_temperature_rises():
    scores, _ = drawn(2, temperature=1.0, num_clips=30)
    highest = [probabilities(scores, t).max(axis=1) for t in (0.01, 0.1, 1.0, 10.0, 1e6)]
    assert all((cold >= warm).all() for cold, warm in pairwise(highest))
    np.testing.assert_allclose(highest[-1], 1 / 5, rtol=1e-5)


def test_large_scores_neither_overflow_nor_lose_their_difference():
    scores = np.array([[1e6, 1e6 - 0.001], [-1e6, 1e6]])
    np.testing.assert_allclose(
        probabilities(scores, 1e-3), [[1 / (1 + math.exp(-1)), 1 / (1 + math.e)], [0, 1]], rtol=1e-6
    )


def test_labels_that_always_score_highest_get_the_lower_bound():
    labels = np.array([0, 1, 2, 1], dtype=np.int64)
    for gap in (0.2, 1.0, 50.0):
        assert fit_temperature(gap * np.eye(3)[labels], labels) == MIN_TEMPERATURE


def test_labels_that_always_score_lowest_get_the_upper_bound():
    labels = np.array([0, 1, 2, 1], dtype=np.int64)
    assert fit_temperature(-np.eye(3)[labels], labels) == MAX_TEMPERATURE


def test_scores_without_a_difference_get_temperature_one():
    labels = np.array([0, 1, 2], dtype=np.int64)
    assert fit_temperature(np.full((3, 4), 0.3), labels) == 1.0
    assert fit_temperature(np.zeros((3, 1)), np.zeros(3, dtype=np.int64)) == 1.0


def test_float32_scores_give_float64_probabilities():
    found = probabilities(np.zeros((2, 4), dtype=np.float32), 0.1)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, np.full((2, 4), 0.25))
    assert probabilities(np.zeros((0, 4)), 0.1).shape == (0, 4)


@pytest.mark.parametrize(
    ("scores", "labels", "error", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, np.int64), ShapeError, "wanted at least one clip"),
        (np.zeros((2, 3)), np.zeros(3, np.int64), ShapeError, r"labels: found shape \(3,\)"),
        (np.zeros((2, 3)), np.zeros(2, np.int32), ShapeError, "'int32'"),
        (np.zeros(3), np.zeros(3, np.int64), ShapeError, r"scores: found shape \(3,\)"),
        (np.zeros((2, 3), np.int64), np.zeros(2, np.int64), ShapeError, "a float dtype"),
        (np.zeros((2, 3)), np.array([0, 3]), ShapeError, "indices 0 to 3, wanted 0 to 2"),
        (np.zeros((2, 3)), np.array([-1, 0]), ShapeError, "indices -1 to 0"),
        (np.array([[0.0], [np.nan]]), np.zeros(2, np.int64), HeadError, "found nan at clip 1"),
    ],
)
def test_scores_and_labels_that_do_not_fit_are_refused(scores, labels, error, message):
    with pytest.raises(error, match=message):
        fit_temperature(scores, labels)
    with pytest.raises(error, match=message):
        negative_log_likelihood(scores, labels, 1.0)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_temperature_that_is_no_number_above_zero_is_refused(temperature):
    with pytest.raises(ParamsError, match=f"temperature: found {temperature!r}"):
        probabilities(np.zeros((1, 2)), temperature)
