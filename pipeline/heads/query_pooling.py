"""Attentive pooling with several heads: the queries of a clip become one vector."""

import torch
from torch import Tensor, nn


class QueryPooling(nn.Module):
    """Sums of vectors under weights that are learned, several at once (Lin et al. 2017, Eqs. 6-7).

    A = softmax over vectors of (W2 tanh(W1 H + b));  M = A H, the rows of M side by side.

    Attributes:
        out_width: Of what comes back, the number of heads times W.
    """

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        """Pool vectors of this width; `hidden` is the width of W1 H, `heads` the rows of A."""
        super().__init__()
        self.out_width = heads * width
        self.score = nn.Sequential(
            nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, heads, bias=False)
        )

    def weights(self, vectors: Tensor) -> Tensor:
        """Return how much each vector counts in each head, float32, shape (B, heads, N).

        Args:
            vectors: Shape (B, N, W).
        """
        scores: Tensor = self.score(vectors).float()
        return scores.softmax(1).transpose(1, 2)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return what each head sums, side by side, float32, shape (B, heads W)."""
        weights = self.weights(vectors)
        with torch.autocast(vectors.device.type, enabled=False):
            return (weights @ vectors.float()).flatten(1)
