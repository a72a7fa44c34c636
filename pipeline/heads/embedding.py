"""Embeddings of codes and of frames: one space for both, e_tl = W_l LN(x_tl) + b_l.

x_tl is a frame, or the vector of its code in the codebook of its layer; so a head that reads codes
with the centroids for vectors, and one that reads frames, differ by quantisation and nothing else.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import HeadError
from pipeline.heads.needs import FeatureShape
from pipeline.quantisation.codebooks import Codebooks

CENTROIDS, LEARNED, TUNED = "centroids", "learned", "tuned"
EMBEDDINGS = (CENTROIDS, LEARNED, TUNED)


class Maps(nn.Module):
    """W_l LN(x) + b_l of each layer; LN has no weights of its own, W_l would undo them."""

    def __init__(self, num_layers: int, dim: int, width: int) -> None:
        super().__init__()
        self.each = nn.ModuleList(nn.Linear(dim, width) for _ in range(num_layers))

    def forward(self, layer: int, vectors: Tensor) -> Tensor:
        """Return vectors (..., D) of a layer, shape (..., W)."""
        mapped: Tensor = self.each[layer](functional.layer_norm(vectors, vectors.shape[-1:]))
        return mapped


class FrameEmbedding(nn.Module):
    """Frames as they are stored, standardised, through the maps."""

    def __init__(self, shape: FeatureShape, width: int) -> None:
        super().__init__()
        self.maps = Maps(shape.num_layers, shape.dim, width)

    def forward(self, frames: Tensor) -> Sequence[Tensor]:
        """Return frames (B, T, R, D) as R tensors of shape (B, T, W)."""
        return [self.maps(layer, part) for layer, part in enumerate(frames.unbind(2))]


class CodeEmbedding(nn.Module):
    """Codes by the vectors of their codebooks, through the maps.

    Attributes:
        vectors: Of each layer's codes, shape (R, K, D) of centroids, which are never saved with
            the head where they are frozen, or (R, K, W), learned.
    """

    vectors: Tensor

    def __init__(self, shape: FeatureShape, width: int, kind: str) -> None:
        """Make the vectors, random or, until `adopt`, 0.

        Args:
            shape: Of a need of codes.
            width: W.
            kind: One of `EMBEDDINGS`.
        """
        super().__init__()
        assert shape.num_codes is not None
        self.kind = kind
        self.is_adopted = kind == LEARNED
        size = (shape.num_layers, shape.num_codes, width if kind == LEARNED else shape.dim)
        if kind == CENTROIDS:
            self.register_buffer("vectors", torch.zeros(size), persistent=False)
        else:
            start = torch.randn(size) if kind == LEARNED else torch.zeros(size)
            self.vectors = nn.Parameter(start)
        self.maps = Maps(shape.num_layers, size[2], width)

    @torch.no_grad()
    def adopt(self, codebooks: Codebooks) -> None:
        """Take the centroids, unless vectors are learned from the start.

        Raises:
            HeadError: If they are of another shape than the view was said to have.
        """
        if self.kind == LEARNED:
            return
        found, wanted = tuple(codebooks.centroids.shape), tuple(self.vectors.shape)
        if found != wanted:
            raise HeadError(
                f"head tokens: found codebooks of shape {found}, wanted {wanted} (layers, codes, "
                "width); tokenise again, or train the head on this view."
            )
        self.vectors.copy_(codebooks.centroids)
        self.is_adopted = True

    def forward(self, codes: Tensor) -> Sequence[Tensor]:
        """Return codes (B, T, R) as R tensors of shape (B, T, W).

        Raises:
            HeadError: If it needs centroids and has none.
        """
        if not self.is_adopted:
            raise HeadError(
                f"head tokens: found no codebooks, wanted those that embedding {self.kind!r} "
                "starts from; give them to `adopt` first."
            )
        # The maps once for each code, not for each frame: there are fewer of them.
        return [
            functional.embedding(part, self.maps(layer, vectors))
            for layer, (part, vectors) in enumerate(zip(codes.unbind(2), self.vectors, strict=True))
        ]
