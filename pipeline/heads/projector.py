"""From what a head hears to soft tokens in a language model's space."""

from torch import Tensor, nn


class Projector(nn.Module):
    """s = scale * LN(Linear(GELU(Linear(z)))), as long as the language model's own embeddings.

    A vector of length 1 is far from them; the scale begins at their root mean square.
    """

    def __init__(self, width: int, embeddings: nn.Embedding) -> None:
        super().__init__()
        dim = embeddings.embedding_dim
        self.map = nn.Sequential(
            nn.Linear(width, dim), nn.GELU(), nn.Linear(dim, dim), nn.LayerNorm(dim)
        )
        root_mean_square = embeddings.weight.detach().float().square().mean().sqrt()
        self.scale = nn.Parameter(root_mean_square.clone())

    def forward(self, z: Tensor) -> Tensor:
        """Return soft tokens of z (B, W), float32, shape (B, D)."""
        mapped: Tensor = self.map(z)
        return self.scale * mapped.float()
