"""Temperature scaling: turns a head's class scores into calibrated probabilities.

One number, fitted on dev after training, divides all scores before the softmax. It changes how
sure the head sounds and never which class it says.

Guo 2017: Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, ICML 2017.
"""

import numpy as np
from scipy.special import log_softmax, softmax

from pipeline.errors import HeadError, ParamsError, ShapeError

MIN_TEMPERATURE = 1e-3
MAX_TEMPERATURE = 1e3


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature with the least mean negative log likelihood.

    Guo 2017, section 4.2, Eq. 9:
        temperature = argmin over T > 0 of -mean_b log softmax(scores_b / T)[label_b]

    The loss is convex in 1/T, so it has one minimum. Where that lies outside
    [MIN_TEMPERATURE, MAX_TEMPERATURE] the nearer bound is returned exactly: the lower one when
    every clip's label has the highest score, the upper one when labels score below the average
    class. Scores that are equal within each clip fit every temperature alike and give 1.

    Args:
        scores: Class scores (cosines or logits), shape (B, C), finite.
        labels: Class indices 0 to C-1, shape (B,), int64.

    Returns:
        Temperature in [1e-3, 1e3], in the unit of the scores.

    Raises:
        ShapeError: If B is 0, or scores and labels do not agree in B and C.
        HeadError: If a score is not finite.
    """
    from scipy.optimize import minimize_scalar

    check_scores(scores)
    check_labels(scores, labels)
    if np.all(scores == scores[:, :1]):
        return 1.0

    def loss(log_temperature: float) -> float:
        return _mean_loss(scores, labels, float(np.exp(log_temperature)))

    found = minimize_scalar(
        loss,
        bounds=(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    # The search never evaluates its bounds, and the loss of separable scores is 0 to the last bit
    # well above the lower one; the bound comes first because `min` keeps the first of equals.
    candidates = (MIN_TEMPERATURE, float(np.exp(found.x)), MAX_TEMPERATURE)
    return min(candidates, key=lambda temperature: _mean_loss(scores, labels, temperature))


def probabilities(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Class probabilities of the scores at a temperature.

    Guo 2017, Eq. 8 (all classes of it):
        probability_c = exp(score_c / T) / sum over k of exp(score_k / T)

    Args:
        scores: Class scores, shape (B, C), finite; B may be 0.
        temperature: T > 0, in the unit of the scores.

    Returns:
        Probabilities, shape (B, C), float64; each row sums to 1.

    Raises:
        ShapeError: If the scores do not have shape (B, C).
        HeadError: If a score is not finite.
        ParamsError: If the temperature is not a finite number above 0.
    """
    check_scores(scores)
    _check_temperature(temperature)
    result: np.ndarray = softmax(_scaled(scores, temperature), axis=1)
    return result


def negative_log_likelihood(scores: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Mean negative log likelihood of the labels at a temperature, in nats.

    Guo 2017, Eq. 3 divided by the number of clips:
        -mean_b log softmax(scores_b / T)[label_b]

    Args:
        scores: Class scores, shape (B, C), finite.
        labels: Class indices 0 to C-1, shape (B,), int64.
        temperature: T > 0, in the unit of the scores.

    Returns:
        Loss >= 0; log C when all classes are equally probable.

    Raises:
        ShapeError: If B is 0, or scores and labels do not agree in B and C.
        HeadError: If a score is not finite.
        ParamsError: If the temperature is not a finite number above 0.
    """
    check_scores(scores)
    check_labels(scores, labels)
    _check_temperature(temperature)
    return _mean_loss(scores, labels, temperature)


def _mean_loss(scores: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    log_probabilities = log_softmax(_scaled(scores, temperature), axis=1)
    return float(-np.mean(log_probabilities[np.arange(len(labels)), labels]))


def _scaled(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Scores over temperature in float64, highest of each row 0."""
    # Shifting before dividing keeps the digits of large scores at small temperatures.
    wide = scores.astype(np.float64)
    shifted: np.ndarray = (wide - wide.max(axis=1, keepdims=True)) / temperature
    return shifted


def check_scores(scores: np.ndarray) -> None:
    """Refuse what are no class scores (B, C).

    Raises:
        ShapeError: If the scores do not have that shape.
        HeadError: If a score is not finite.
    """
    if scores.ndim != 2 or scores.shape[1] == 0 or scores.dtype.kind != "f":
        raise ShapeError(
            f"scores: found shape {scores.shape!r} and dtype {str(scores.dtype)!r}, wanted (B, C) "
            "and a float dtype; pass one score per clip and class."
        )
    bad = ~np.isfinite(scores)
    if bad.any():
        raise HeadError(
            f"scores: found {float(scores[bad][0])!r} at clip {int(np.argmax(bad.any(axis=1)))}, "
            "wanted finite numbers; train the head again with a lower learning rate."
        )


def check_labels(scores: np.ndarray, labels: np.ndarray) -> None:
    """Refuse labels that are no class indices of scores (B, C).

    Raises:
        ShapeError: If B is 0, or the two do not agree.
    """
    num_clips, num_classes = scores.shape
    if labels.shape != (num_clips,) or labels.dtype != np.int64 or num_clips == 0:
        raise ShapeError(
            f"labels: found shape {labels.shape!r} and dtype {str(labels.dtype)!r} for scores of "
            f"shape {scores.shape!r}, wanted at least one clip and one int64 label per row; "
            "pass the labelled clips of one split."
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ShapeError(
            f"labels: found class indices {int(labels.min())} to {int(labels.max())}, wanted 0 to "
            f"{num_classes - 1}; leave out clips without a class."
        )


def _check_temperature(temperature: float) -> None:
    if not (np.isfinite(temperature) and temperature > 0):
        raise ParamsError(
            f"temperature: found {temperature!r}, wanted a finite number above 0; "
            "fit it on dev with fit_temperature."
        )
