"""Means and deviations over the valid frames of a clip, layer by layer, accumulated in float32."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

MEAN = "mean"
MEAN_STD = "mean_std"
POOLINGS = (MEAN, MEAN_STD)


@dataclass(frozen=True)
class Moments:
    """Count, mean and summed squared deviation of frames.

    Attributes:
        num_frames: Frames counted.
        mean: Mean over them, shape (L, D), float32.
        scatter: Sum of squared deviations from the mean, shape (L, D), float32.
    """

    num_frames: int
    mean: Tensor
    scatter: Tensor


def masked_moments(frames: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and scatter of each clip's first frames.

    Args:
        frames: Encoder outputs, shape (B, T, D), any float type.
        num_frames: Valid frames of each clip, shape (B,).

    Returns:
        Means and sums of squared deviations, float32, shape (B, D) each.
    """
    values = frames.float()
    positions = torch.arange(values.shape[1], device=values.device)
    valid = (positions[None, :] < num_frames[:, None]).unsqueeze(-1)
    # where, not a product: a padded position may hold anything, NaN too.
    mean = torch.where(valid, values, 0.0).sum(1) / num_frames[:, None]
    scatter = torch.where(valid, values - mean[:, None], 0.0).square().sum(1)
    return mean, scatter


def combine(parts: Sequence[Moments]) -> Moments:
    """Return the moments of all frames of several windows together (Chan et al. 1979)."""
    return reduce(_combine_two, parts)


def _combine_two(a: Moments, b: Moments) -> Moments:
    total = a.num_frames + b.num_frames
    delta = b.mean - a.mean
    return Moments(
        num_frames=total,
        mean=a.mean + delta * (b.num_frames / total),
        scatter=a.scatter + b.scatter + delta.square() * (a.num_frames * b.num_frames / total),
    )


def pool(moments: Moments, pooling: str) -> Tensor:
    """Return the features of a clip.

    Args:
        moments: Of all its frames.
        pooling: `"mean"`, or `"mean_std"` for means and deviations side by side.

    Returns:
        Shape (L, D), or (L, 2 D) with deviations (of the population, divided by T).
    """
    if pooling == MEAN:
        return moments.mean
    deviation = (moments.scatter / moments.num_frames).sqrt()
    return torch.cat([moments.mean, deviation], dim=-1)


def mean_of_every(frames: Tensor, every: int) -> Tensor:
    """Return the means of consecutive frames: of `every` each, of what is left in the last.

    Args:
        frames: Shape (T, R, D).
        every: How many frames become one; 1 leaves them as they are.

    Returns:
        Shape (ceil(T / every), R, D).
    """
    if every == 1:
        return frames
    return torch.stack([group.mean(0) for group in torch.split(frames, every)])
