"""From what a head hears to soft tokens in a language model's space.

A vector of length 1 is far from the model's own embeddings, so soft tokens have a scale, learned,
that begins at their root mean square.
"""

from torch import Tensor, nn
from torch.nn import functional


class Projector(nn.Module):
    """s = scale * LN(Linear(GELU(Linear(z)))), as long as the language model's own embeddings."""

    def __init__(self, width: int, embeddings: nn.Embedding) -> None:
        super().__init__()
        dim = embeddings.embedding_dim
        self.map = nn.Sequential(
            nn.Linear(width, dim), nn.GELU(), nn.Linear(dim, dim), nn.LayerNorm(dim)
        )
        self.scale = _root_mean_square(embeddings)

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
        self.map = nn.Sequential(
            nn.Linear(neighbours * width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, dim),
            nn.LayerNorm(dim),
        )
        self.scale = _root_mean_square(embeddings)

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


def _root_mean_square(embeddings: nn.Embedding) -> nn.Parameter:
    return nn.Parameter(embeddings.weight.detach().float().square().mean().sqrt().clone())
