"""From what a head hears to soft tokens in a language model's space.

Soft tokens begin where the model's own embeddings lie: with their mean, which is most of their
length, and their deviation from it in each dimension, and with a scale, learned, of their root mean
square. Tokens without that mean are strange to a model, which then looks at them as at a beginning
of text, and learns to read them later.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.language.bags import moments


class Projector(nn.Module):
    """s = scale * LN(Linear(GELU(Linear(z)))), one soft token of a vector."""

    def __init__(self, width: int, embeddings: nn.Embedding) -> None:
        super().__init__()
        dim = embeddings.embedding_dim
        norm = nn.LayerNorm(dim)
        self.map = nn.Sequential(nn.Linear(width, dim), nn.GELU(), nn.Linear(dim, dim), norm)
        self.scale = _begin_as(embeddings, norm)

    def forward(self, z: Tensor) -> Tensor:
        """Return soft tokens of z (B, W), float32, shape (B, D)."""
        mapped: Tensor = self.map(z)
        return self.scale * mapped.float()


class FrameProjector(nn.Module):
    """s_t = scale * LN(Linear(ReLU(Linear([z_kt, ..., z_kt+k-1])))): k frames are one soft token.

    Attributes:
        neighbours: k.
    """

    def __init__(self, width: int, neighbours: int, hidden: int, embeddings: nn.Embedding) -> None:
        super().__init__()
        self.neighbours = neighbours
        dim = embeddings.embedding_dim
        norm = nn.LayerNorm(dim)
        self.map = nn.Sequential(
            nn.Linear(neighbours * width, hidden), nn.ReLU(), nn.Linear(hidden, dim), norm
        )
        self.scale = _begin_as(embeddings, norm)

    def forward(self, z: Tensor, lengths: Tensor) -> list[Tensor]:
        """Return soft tokens of each clip, float32, shape (ceil(T_i / k), D).

        Args:
            z: Frames, 0 beyond each clip's length, shape (B, T, W).
            lengths: T_i, shape (B,).
        """
        k = self.neighbours
        whole = functional.pad(z, (0, 0, 0, -z.shape[1] % k))
        mapped: Tensor = self.map(whole.reshape(len(z), whole.shape[1] // k, -1))
        soft = self.scale * mapped.float()
        return [one[: -(-length // k)] for one, length in zip(soft, lengths.tolist(), strict=True)]


@torch.no_grad()
def _begin_as(embeddings: nn.Embedding, norm: nn.LayerNorm) -> nn.Parameter:
    """Give a norm the mean and deviation of embeddings over their scale, and return that."""
    variance, mean = moments(embeddings)
    scale = (variance + mean.square()).mean().sqrt()
    norm.weight.copy_(variance.sqrt() / scale)
    norm.bias.copy_(mean / scale)
    return nn.Parameter(scale)
