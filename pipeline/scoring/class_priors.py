"""What is known of classes before a clip is heard: their shares, and which a corpus can have."""

import numpy as np
import torch

from pipeline.errors import HeadError
from pipeline.evaluation.links import Power, Shares, Softmax
from pipeline.heads.saved import TrainedHead


def with_prior(trained: TrainedHead, scores: np.ndarray, prior: str) -> np.ndarray:
    """Return a head's scores (N, C) under another prior of the classes, `train` or `uniform`.

    Raises:
        HeadError: If the head does not know the shares that it was trained with, or says numbers.
    """
    if prior == "train":
        return scores
    if isinstance(trained.link, Shares):
        raise HeadError(
            f"score.prior: {prior!r} is for classes, and this head says numbers; set it to 'train'."
        )
    factors = uniform_factors(trained)
    link = trained.link
    if isinstance(link, Power):
        return link.reweighted(scores, factors)
    assert isinstance(link, Softmax)
    changed = trained.head.reweighted(
        torch.from_numpy(scores), torch.from_numpy(factors).to(torch.float32), link.temperature
    )
    return changed.numpy()


def uniform_factors(trained: TrainedHead) -> np.ndarray:
    """Return what makes classes equally frequent that were learnt by their shares, shape (C,).

    Raises:
        HeadError: If the head does not know the shares that it was trained with.
    """
    # A class that the loss never saw has no share to divide by.
    shares = np.where(trained.prior > 0, trained.prior, 1 / len(trained.classes))
    factors: np.ndarray = 1 / (len(trained.classes) * shares)
    return factors


def masked(scores: np.ndarray, lacking: np.ndarray) -> np.ndarray:
    """Return scores with classes ruled out: they come below all others of their clip.

    Args:
        scores: Shape (N, C), float32.
        lacking: Whether a clip cannot be of a class, never all of a row, shape (N, C).
    """
    lowest = np.where(lacking, np.inf, scores).min(1, keepdims=True).astype(np.float32)
    below = np.nextafter(lowest, np.float32(-np.inf))
    return np.where(lacking, np.minimum(scores, below), scores)


def classes_lacking(trained: TrainedHead, corpora: np.ndarray) -> np.ndarray:
    """Return whether a row's corpus had no training row of a class, shape (N, C)."""
    lacking = np.zeros((len(corpora), len(trained.classes)), dtype=bool)
    for name, present in trained.record.corpora.items():
        lacking[corpora == name] = [label not in present for label in trained.classes]
    return lacking
