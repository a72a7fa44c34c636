"""How far a head's probabilities can be believed."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ShapeError

NUM_BINS = 15


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Clips in bins of the probability of what was predicted.

    Attributes:
        edges: Of the bins, shape (NUM_BINS + 1,).
        counts: Clips in each, shape (NUM_BINS,).
        confidence: Mean probability of the predicted class in each, NaN without clips.
        accuracy: Share that was right in each, NaN without clips.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> Reliability:
    """Sort clips into bins of equal width by the probability of the predicted class.

    Args:
        probabilities: Shape (B, C), rows sum to 1.
        labels: Class indices, shape (B,).

    Raises:
        ShapeError: If the arrays do not agree or are empty.
    """
    _check(probabilities, labels)
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    edges = np.linspace(0.0, 1.0, NUM_BINS + 1)
    # A bin holds its upper edge: (0, 1/15], (1/15, 2/15], ... as in Guo et al. 2017, Eq. 2.
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, NUM_BINS - 1)
    counts = np.bincount(bins, minlength=NUM_BINS)
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges=edges,
            counts=counts,
            confidence=np.bincount(bins, confidence, minlength=NUM_BINS) / counts,
            accuracy=np.bincount(bins, right, minlength=NUM_BINS) / counts,
        )


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean distance of accuracy from confidence (Guo et al. 2017, Eq. 3).

    ECE = sum over bins m of |B_m| / B |accuracy_m - confidence_m|, 15 bins of equal width

    Raises:
        ShapeError: As `reliability`.
    """
    found = reliability(probabilities, labels)
    gaps = np.nan_to_num(np.abs(found.accuracy - found.confidence))
    return float((found.counts * gaps).sum() / len(labels))


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean squared distance of the probabilities from the truth (Brier 1950).

    Brier = mean over clips of sum over classes c of (p_c - [c is the label])^2, 0 to 2

    Raises:
        ShapeError: As `reliability`.
    """
    _check(probabilities, labels)
    truth = np.eye(probabilities.shape[1])[labels]
    return float(np.square(probabilities - truth).sum(1).mean())


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean negative logarithm of the labels' probabilities, in nats.

    Probabilities of 0 count as the least float32 above it, which is what files hold.

    Raises:
        ShapeError: As `reliability`.
    """
    _check(probabilities, labels)
    told = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(told, np.finfo(np.float32).tiny)).mean())


def jensen_shannon(probabilities: np.ndarray, shares: np.ndarray) -> float:
    """Return the mean Jensen-Shannon distance of probabilities to the shares of the votes.

    Lin 1991; Endres and Schindelin 2003, for each clip, with logarithms to base 2:
        sqrt((KL(p || m) + KL(q || m)) / 2),  m = (p + q) / 2

    Args:
        probabilities: p, shape (B, C), rows sum to 1.
        shares: q, likewise.

    Returns:
        From 0, all alike, to 1, nothing in common.

    Raises:
        ShapeError: If the arrays do not agree or are empty.
    """
    from scipy.spatial.distance import jensenshannon

    if probabilities.shape != shares.shape or probabilities.ndim != 2 or not len(shares):
        raise ShapeError(
            f"votes: found probabilities {probabilities.shape} and shares {shares.shape}, wanted "
            "the same (B, C) with B > 0; pass the clips that have votes."
        )
    return float(np.mean(jensenshannon(probabilities, shares, base=2, axis=1)))


def _check(probabilities: np.ndarray, labels: np.ndarray) -> None:
    if probabilities.ndim != 2 or labels.shape != (len(probabilities),) or not len(labels):
        raise ShapeError(
            f"probabilities: found shape {probabilities.shape!r} and labels {labels.shape!r}, "
            "wanted (B, C) and (B,) with at least one clip; pass the labelled clips of one split."
        )
