"""What EmoQ hears frames with: a Former, or frames pooled without queries in its place."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.heads.base import Base
from pipeline.heads.batch import Ragged
from pipeline.heads.emoq_config import EmoQConfig
from pipeline.heads.former import Former
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


def make_listener(
    config: EmoQConfig, shape: FeatureShape, tokeniser: Any, *, is_outline: bool
) -> Former | PooledFrames:
    """Return the part that hears.

    Args:
        config: Of the head.
        shape: Of the frames.
        tokeniser: Of the language model, for a Former that begins at random.
        is_outline: Whether only sizes are wanted.

    Raises:
        EncoderError: If the Former's checkpoint cannot be loaded.
        ParamsError: If its sizes do not fit each other.
    """
    if not config.has_former:
        return PooledFrames(shape, config.former_width)
    return Former(
        shape,
        checkpoint=config.former,
        tokeniser=tokeniser,
        num_queries=config.num_queries,
        cross_every=config.cross_every,
        pooling_heads=config.pooling_heads,
        width=config.former_width,
        num_blocks=config.former_blocks,
        num_heads=config.former_heads,
        is_outline=is_outline,
    )
