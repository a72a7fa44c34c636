"""Ridge regression by scikit-learn on the shares of a scale's ends, its penalty chosen by CCC."""

from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.concordance import CCC, measure_numbers

if TYPE_CHECKING:
    from sklearn.linear_model import Ridge

STRENGTHS = tuple(10.0**power for power in range(-7, 3))  # the grid: one over scikit-learn's alpha
INNER_FOLDS = 3
UNCHOSEN = 1e-2  # where there are too few groups to choose by


def fit_ridge(
    x: np.ndarray, shares: np.ndarray, weights: np.ndarray, groups: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit shares that sum to 1 by rows that count by their weights.

        least  sum over n of w_n (u_n - x_n v - b)^2 + |v|^2 / strength

    Args:
        x: Shape (N, P).
        shares: Of the low and the high end, shape (N, 2).
        weights: Above 0, shape (N,).
        groups: The speaker of each row, shape (N,).
        strength: 0 chooses it among `STRENGTHS` by the mean CCC over folds that share no speaker.

    Returns:
        Coefficients (2, P) and intercepts (2,), of both ends, and the strength that was taken.
    """
    chosen = strength or _choose(x, shares[:, 1], weights, groups)
    model = _fitted(x, shares[:, 1], weights, chosen)
    signs = np.array([-1.0, 1.0])
    return signs[:, None] * model.coef_, np.array([1, 0]) + signs * model.intercept_, chosen


def _fitted(x: np.ndarray, u: np.ndarray, weights: np.ndarray, strength: float) -> "Ridge":
    from sklearn.linear_model import Ridge

    return Ridge(alpha=1 / strength).fit(x, u, sample_weight=weights)


def _choose(x: np.ndarray, u: np.ndarray, weights: np.ndarray, groups: np.ndarray) -> float:
    """Return the strength with the best mean CCC over inner folds; the smaller of equals."""
    from sklearn.model_selection import GroupKFold

    num_folds = min(INNER_FOLDS, len(np.unique(groups)))
    if num_folds < 2:
        return UNCHOSEN
    folds = list(GroupKFold(num_folds).split(x, u, groups))

    def worth(strength: float) -> float:
        found = [
            measure_numbers(
                u[test], _fitted(x[train], u[train], weights[train], strength).predict(x[test])
            )[CCC]
            for train, test in folds
        ]
        return float(np.mean(found))

    return max(STRENGTHS, key=worth)
