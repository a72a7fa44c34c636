"""A class that a head never heard, told by the mean of a few clips.

What a clip is to a head before classes are told apart (`Head.embedding`) needs no new training: a
class that was trained on stands at the mean embedding of its training clips, a new one at the mean
of those that are shown, and the nearest by cosine is said (nearest class mean; Mensink et al. 2013,
Rebuffi et al. 2017). It is the same rule for every head. For Gen-SER the embedding is the estimate
of the class code, so a known class stands at its code, as far as training went, and a new one at a
place between the codes that its clips are carried to.
"""

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.dataset import StoredFeatures
from pipeline.diffusion.codes import similarities
from pipeline.evaluation.links import fit_link
from pipeline.heads.saved import TrainedHead
from pipeline.scoring.score import ScoreConfig, open_clips
from pipeline.sources.inference import embed_source


def scores_with_new_class(
    features: StoredFeatures,
    trained: TrainedHead,
    config: ScoreConfig,
    rows: np.ndarray,
    *,
    known: Sequence[np.ndarray],
    shown: np.ndarray,
    device: str,
) -> np.ndarray:
    """Return the cosine of clips to the mean of each class of a head, and of a new one.

    Args:
        features: Of the manifest.
        trained: The head.
        config: How to score.
        rows: The clips to score, N of them; each must have features, as all that follow.
        known: Training clips of each class of the head, C of them, none empty.
        shown: Clips of the new class.
        device: A torch device.

    Returns:
        Shape (N, C + 1), float32; the new class last.

    Raises:
        FeatureStoreError: If a store is damaged.
    """
    every = np.unique(np.concatenate([rows, *known, shown]))
    clips = open_clips(features, every, trained, device=device)
    embedded = embed_source(
        trained.head,
        clips.source,
        config.options(trained.record.kind),
        device=device,
        precision=trained.record.precision,
    )
    means = np.stack([embedded[np.searchsorted(every, one)].mean(0) for one in (*known, shown)])
    found = embedded[np.searchsorted(every, rows)]
    return similarities(torch.from_numpy(found), torch.from_numpy(means)).numpy()


def probabilities_with_new_class(
    scores: np.ndarray, dev_scores: np.ndarray, dev_labels: np.ndarray
) -> np.ndarray:
    """Return probabilities of scores (N, C + 1), float64, by a temperature.

    It is fitted on dev clips, none of which is of the new class.

    Args:
        scores: Of the clips.
        dev_scores: Of dev, shape (M, C + 1).
        dev_labels: Class indices below C, shape (M,).
    """
    return fit_link("softmax", dev_scores, dev_labels).probabilities(scores)
