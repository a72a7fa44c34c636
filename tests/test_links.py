"""Probabilities of projections on class codes: the link, its fit, and its prior."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from pipeline.errors import HeadError, ParamsError, ShapeError
from pipeline.evaluation.calibration import fit_temperature
from pipeline.evaluation.links import Power, Softmax, fit_link, fit_power


def drawn(seed: int, power: Power, num_clips: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    """Projections of sure and unsure clips, some below 0, and labels drawn from the link."""
    generator = np.random.default_rng(seed)
    scores = generator.dirichlet(np.full(4, 0.4), num_clips)
    scores += generator.normal(scale=0.02, size=scores.shape)
    probabilities = power.probabilities(scores).cumsum(1)
    labels = (generator.random((num_clips, 1)) > probabilities).sum(1)
    return scores, np.minimum(labels, 3).astype(np.int64)


def naive_loss(scores: np.ndarray, labels: np.ndarray, exponent: float, offset: float) -> float:
    total = 0.0
    for row, label in zip(scores, labels, strict=True):
        raised = [(max(value, 0.0) + offset) ** exponent for value in row]
        total -= np.log(raised[label] / sum(raised))
    return total / len(labels)


@pytest.mark.parametrize(("exponent", "offset"), [(1.0, 0.05), (0.5, 0.01), (2.0, 0.2)])
def test_the_link_that_drew_the_labels_is_recovered(exponent, offset):
    found = fit_power(*drawn(0, Power(exponent=exponent, offset=offset)))
    assert found.exponent == pytest.approx(exponent, rel=0.15)
    assert found.offset == pytest.approx(offset, rel=0.35)


def test_another_search_over_the_naive_loss_finds_no_better_link():
    scores, labels = drawn(1, Power(exponent=0.7, offset=0.03), num_clips=200)
    found = fit_power(scores, labels)
    mine = naive_loss(scores, labels, found.exponent, found.offset)
    for start in ((0.0, -2.0), (1.0, -5.0), (-1.0, -1.0)):
        other = minimize(
            lambda x: naive_loss(scores, labels, *np.exp(x)), start, method="Nelder-Mead"
        )
        assert mine <= other.fun + 1e-6


@given(
    st.lists(st.floats(-0.5, 1.5), min_size=3, max_size=3),
    st.floats(0.1, 5.0),
    st.floats(1e-4, 0.5),
    st.lists(st.floats(0.05, 20.0), min_size=3, max_size=3),
)
def test_reweighting_is_bayes_rule(row, exponent, offset, factors):
    power = Power(exponent=exponent, offset=offset)
    scores, factors = np.array([row]), np.array(factors)
    before = power.probabilities(scores)
    wanted = before * factors / (before * factors).sum()
    np.testing.assert_allclose(
        power.probabilities(power.reweighted(scores, factors)), wanted, rtol=1e-9, atol=1e-12
    )


@given(st.lists(st.floats(-1, 2), min_size=4, max_size=4), st.floats(0.05, 50), st.floats(1e-6, 1))
def test_the_likeliest_class_is_the_one_with_the_largest_projection(row, exponent, offset):
    found = Power(exponent=exponent, offset=offset).probabilities(np.array([row]))
    assert found.sum() == pytest.approx(1.0)
    assert found[0, np.argmax(row)] == found.max()


def test_probabilities_of_the_mean_code_are_its_shares():
    shares = np.array([[0.7, 0.2, 0.1, 0.0]])
    found = Power(exponent=1.0, offset=1e-6).probabilities(shares)
    np.testing.assert_allclose(found, shares, atol=1e-5)


def test_separable_projections_get_the_bounds_and_finite_losses():
    labels = np.array([0, 1, 2, 1], dtype=np.int64)
    found = fit_power(np.eye(3)[labels], labels)
    assert np.isfinite(np.log(found.probabilities(np.eye(3)))).all()
    assert found.probabilities(np.eye(3)).diagonal().min() > 0.999


def test_projections_without_a_difference_fit_every_link_alike():
    labels = np.array([0, 1], dtype=np.int64)
    found = fit_power(np.array([[-1.0, -2.0], [-0.5, 0.0]]), labels)
    np.testing.assert_array_equal(found.probabilities(np.array([[-1.0, -2.0]])), [[0.5, 0.5]])


def test_a_softmax_is_fitted_as_ever():
    scores, labels = drawn(2, Power(exponent=1.0, offset=0.1), num_clips=50)
    assert fit_link("softmax", scores, labels) == Softmax(
        temperature=fit_temperature(scores, labels)
    )


def test_what_no_link_can_be_fitted_to_is_refused():
    labels = np.zeros(1, np.int64)
    with pytest.raises(HeadError, match="link: 'logit' is not one of"):
        fit_link("logit", np.zeros((1, 2)), labels)
    with pytest.raises(HeadError, match="found nan at clip 0"):
        fit_power(np.array([[np.nan, 0.0]]), labels)
    with pytest.raises(ShapeError, match="wanted at least one clip"):
        fit_power(np.zeros((0, 2)), labels[:0])
    with pytest.raises(ParamsError, match=r"power link: offset 0\.0 is not a finite number"):
        Power(exponent=1.0, offset=0.0)
