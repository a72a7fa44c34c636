"""Running a head over features in memory."""

import numpy as np
import torch

from pipeline.heads.base import Batch, Head
from pipeline.heads.standardiser import Standardiser
from pipeline.sampler import SamplerConfig

SCORED_AT_ONCE = 1024


def autocast(device: str, precision: str) -> torch.autocast:
    """Return the context in which the network runs in `precision`."""
    kind = device.partition(":")[0]
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=precision == "bfloat16")


@torch.inference_mode()
def score_features(
    head: Head,
    standardiser: Standardiser,
    features: np.ndarray,
    config: SamplerConfig,
    *,
    device: str,
    precision: str,
) -> np.ndarray:
    """Return a head's class scores of stored features, float32, shape (N, C)."""
    head.eval()
    parts = []
    for start in range(0, len(features), SCORED_AT_ONCE):
        part = torch.from_numpy(features[start : start + SCORED_AT_ONCE]).to(device)
        labels = torch.full((len(part),), -1, device=device)
        with autocast(device, precision):
            batch = Batch(layers=standardiser(part), labels=labels)
            parts.append(head.scores(batch, config).float().cpu())
    scores: np.ndarray = torch.cat(parts).numpy()
    return scores
