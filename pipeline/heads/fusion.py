"""Fusion: one vector of several layers', by weights of each or side by side."""

import torch
from torch import Tensor, nn

from pipeline.heads.attentive_pooling import additive_score

ATTENTION, WEIGHTS, NONE = "attention", "weights", "none"
FUSIONS = (ATTENTION, "mean", WEIGHTS, "concat", NONE)


class Fusion(nn.Module):
    """Layers (..., R, W) as one vector (..., W).

    `attention`: sum_l a_l x_l with a_l = softmax_l(v . tanh(U x_l + b)), so the weights are of the
    clip or frame; `weights`: a_l = softmax_l of R learned numbers, the same for all; `mean`:
    a_l = 1 / R; `concat`: a linear map of all side by side; `none`: the one layer there is.

    Attributes:
        has_weights: Whether the weights of the layers are learned.
    """

    def __init__(self, kind: str, *, num_layers: int, width: int, hidden: int) -> None:
        """Fuse R layers of width W.

        Args:
            kind: One of `FUSIONS`.
            num_layers: R.
            width: W.
            hidden: Width of U x_l, of `attention`.
        """
        super().__init__()
        assert num_layers == 1 or kind != NONE, "several layers are to be fused"
        self.kind = kind
        self.num_layers = num_layers
        self.has_weights = kind in (ATTENTION, WEIGHTS)
        if kind == ATTENTION:
            self.score = additive_score(width, hidden)
        elif kind == WEIGHTS:
            self.logits = nn.Parameter(torch.zeros(num_layers))
        elif kind == "concat":
            self.join = nn.Linear(num_layers * width, width)

    def weights(self, layers: Tensor) -> Tensor:
        """Return how much each layer counts in each vector, float32, shape (..., R); sums are 1.

        Args:
            layers: Shape (..., R, W); not for `concat`, which has none.
        """
        assert self.kind != "concat"
        if self.kind == ATTENTION:
            found: Tensor = self.score(layers)[..., 0]
        elif self.kind == WEIGHTS:
            found = self.logits.expand(layers.shape[:-1])
        else:
            found = layers.new_zeros(layers.shape[:-1])
        return found.float().softmax(-1)

    def forward(self, layers: Tensor) -> Tensor:
        """Return the fused vectors, shape (..., W)."""
        if self.kind == "concat":
            joined: Tensor = self.join(layers.flatten(-2))
            return joined
        return torch.einsum("...r,...rw->...w", self.weights(layers).to(layers.dtype), layers)
