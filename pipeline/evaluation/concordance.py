"""How well numbers are predicted: concordance, correlation and error, from sums over clips.

`labels` (what is so) and `predicted` (what the head said) are float arrays in the same units, one
entry per clip, shape (B,). Everything is a function of six sums, so whole clusters of clips can be
drawn again and again without looking at a clip twice.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.errors import ShapeError
from pipeline.evaluation.bootstrap import Interval, interval_of
from pipeline.evaluation.cluster_draws import draws_of_clusters

CCC, PEARSON, RMSE = "ccc", "pearson", "rmse"
NUMBER_SCORES = (CCC, PEARSON, RMSE)
RISING = (CCC, PEARSON)  # the higher the better
_EXACT = 1e-12  # of a mean square: below that part of it a variance is rounding


def moments(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return what is summed over clips: 1, x, y, x^2, y^2 and x y, float64, shape (B, 6).

    x are the labels and y the predictions, both less the mean label: no score changes by that, and
    nothing is lost where numbers are large and near each other.

    Raises:
        ShapeError: If the arrays are empty, unequal in length, or hold what is no finite number.
    """
    for name, values in (("labels", labels), ("predicted", predicted)):
        if values.ndim != 1 or len(values) != len(labels) or not np.isfinite(values).all():
            raise ShapeError(
                f"{name}: found shape {values.shape!r} beside {len(labels)} labels, wanted one "
                "finite number per clip; leave out clips without a number."
            )
    if not len(labels):
        raise ShapeError("labels: found 0 clips, wanted at least 1; score labelled clips.")
    centre = labels.astype(np.float64).mean()
    x, y = labels - centre, predicted.astype(np.float64) - centre
    return np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)


def number_scores(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of sums of `moments`, shape (...) of sums (..., 6).

    With means m, variances s^2 and the covariance s_xy, all over B:

        ccc     = 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2)    Lin 1989, Biometrics 45, Eq. 2
        pearson = s_xy / (s_x s_y)
        rmse    = sqrt(mean of (x - y)^2)

    CCC and Pearson are in [-1, 1], and 0 where labels or predictions are all alike; RMSE is at
    least 0, in the units of the labels.
    """
    num, x, y, xx, yy, xy = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    mean_x, mean_y = x / num, y / num
    var_x, var_y = (
        np.where((v := square / num - mean**2) > _EXACT * square / num, v, 0.0)
        for square, mean in ((xx, mean_x), (yy, mean_y))
    )
    both = np.where((var_x > 0) & (var_y > 0), xy / num - mean_x * mean_y, 0.0)
    spread = var_x + var_y + (mean_x - mean_y) ** 2
    ccc = np.divide(2 * both, spread, out=np.zeros_like(both), where=spread > 0)
    scale = np.sqrt(var_x * var_y)
    pearson = np.divide(both, scale, out=np.zeros_like(both), where=scale > 0)
    return {
        CCC: np.clip(ccc, -1, 1),
        PEARSON: np.clip(pearson, -1, 1),
        RMSE: np.sqrt(np.maximum((xx + yy - 2 * xy) / num, 0.0)),
    }


def measure_numbers(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return every score of some clips.

    Raises:
        ShapeError: As `moments`.

    >>> measure_numbers(np.array([1.0, 3.0]), np.array([2.0, 4.0]))["rmse"]
    1.0
    """
    found = number_scores(moments(labels, predicted).sum(0))
    return {name: float(value) for name, value in found.items()}


def cluster_sums(
    labels: np.ndarray, predicted: np.ndarray, clusters: Sequence[object]
) -> np.ndarray:
    """Return the sums of `moments` of each cluster, sorted by its name, shape (G, 6).

    Raises:
        ShapeError: As `moments`.
    """
    names, places = np.unique(np.asarray(clusters, dtype="U"), return_inverse=True)
    sums = np.zeros((len(names), 6))
    np.add.at(sums, places, moments(labels, predicted))
    return sums


def number_intervals(runs: np.ndarray) -> dict[str, Interval]:
    """Return every score with its interval, averaged over runs.

    Args:
        runs: Sums of each training seed and cluster, shape (S, G, 6).
    """
    pooled, drawn = number_scores(runs.sum(1)), drawn_numbers(runs)
    return {
        name: interval_of(float(pooled[name].mean()), drawn[name], runs.shape[1])
        for name in NUMBER_SCORES
    }


def drawn_numbers(runs: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the scores of every draw of clusters, averaged over runs, shape (draws,).

    One seed draws the same clusters of any sums of as many clusters, as
    `pipeline.evaluation.bootstrap.drawn_scores` does.

    Args:
        runs: Sums of each training seed and cluster, shape (S, G, 6).
        seed: Of the draws.
    """
    draws = draws_of_clusters(runs.shape[1], seed)
    sums = np.concatenate([np.einsum("bg,sgk->sbk", w, runs) for w in draws], axis=1)
    return {name: values.mean(0) for name, values in number_scores(sums).items()}
