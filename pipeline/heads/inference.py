"""Running a head over features in memory."""

import numpy as np
import torch

from pipeline.dataset import StoredFeatures
from pipeline.diffusion.sampler import SamplerConfig
from pipeline.heads.base import Batch, Head
from pipeline.heads.standardiser import Standardiser

SCORED_AT_ONCE = 1024


def autocast(device: str, precision: str) -> torch.autocast:
    """Return the context in which the network runs in `precision`."""
    kind = device.partition(":")[0]
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def with_groups(
    standardiser: Standardiser, features: StoredFeatures, rows: np.ndarray
) -> Standardiser:
    """Return the standardiser with the numbers of groups that it has not met.

    Those of a corpus that was not trained on, and of every speaker, are taken from all rows of it
    that the manifest has, labels unseen.

    Args:
        standardiser: Of a head.
        features: Of the manifest.
        rows: Which rows are to be standardised.

    Raises:
        FeatureStoreError: If a store is damaged.
    """
    if not standardiser.is_grouped:
        return standardiser
    names = features.groups(standardiser.over)
    unknown = sorted(set(names[rows]) - set(standardiser.groups))
    usable = features.has_features
    return standardiser.extended(
        (name, features.read(np.flatnonzero((names == name) & usable))) for name in unknown
    )


@torch.inference_mode()
def score_features(
    head: Head,
    standardiser: Standardiser,
    features: np.ndarray,
    groups: np.ndarray | None,
    config: SamplerConfig,
    *,
    device: str,
    precision: str,
) -> np.ndarray:
    """Return a head's class scores of stored features, float32, shape (N, C).

    Args:
        head: The network.
        standardiser: What stands before it; it must know the groups.
        features: Shape (N, L, D).
        groups: Each row's corpus or speaker, shape (N,); None where they do not matter.
        config: Of the sampler.
        device: A torch device.
        precision: Of the network.
    """
    places = None if groups is None else standardiser.places(groups)
    head.eval()
    parts = []
    for start in range(0, len(features), SCORED_AT_ONCE):
        part = torch.from_numpy(features[start : start + SCORED_AT_ONCE]).to(device)
        mine = None if places is None else places[start : start + SCORED_AT_ONCE]
        with autocast(device, precision):
            batch = Batch(layers=standardiser(part, mine))
            parts.append(head.scores(batch, config).float().cpu())
    scores: np.ndarray = torch.cat(parts).numpy()
    return scores
