"""Frames pooled without queries: what stands in place of a Q-Former where a head has none."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.heads.base import Base
from pipeline.heads.batch import Ragged
from pipeline.heads.needs import FeatureShape


class PooledFrames(nn.Module):
    """z = F / |F|, F = Linear(LN(mean over valid frames of sum_l softmax(w)_l x_l)).

    Attributes:
        width: W, of z.
        base: None: it begins at random.
    """

    base: Base | None = None

    def __init__(self, shape: FeatureShape, width: int) -> None:
        super().__init__()
        self.width = width
        self.layer_weights = nn.Parameter(torch.zeros(shape.num_layers))
        self.map = nn.Sequential(nn.LayerNorm(shape.dim), nn.Linear(shape.dim, width))

    def forward(self, frames: Ragged, texts: object = None) -> Tensor:
        """Return z of frames (B, T, R, D), shape (B, W); texts are not looked at."""
        del texts
        summed = (frames.values * self.layer_weights.softmax(0)[:, None]).sum(2)
        inside = frames.mask[..., None]
        mean = (summed * inside).sum(1) / inside.sum(1)
        return functional.normalize(self.map(mean).float(), dim=-1)
