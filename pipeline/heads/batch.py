"""What a head sees of some clips: dense views, ragged views, texts, targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

LAYERS_NEED, BESIDE_NEED = "layers", "beside"


@dataclass(frozen=True)
class Ragged:
    """Clips of different lengths, padded with zeros to the longest.

    Attributes:
        values: Shape (B, T, ...), 0 beyond each clip's length.
        lengths: Frames of each clip, int64, shape (B,).
    """

    values: Tensor
    lengths: Tensor

    @property
    def mask(self) -> Tensor:
        """Which frames are a clip's own, bool, shape (B, T)."""
        frames = torch.arange(self.values.shape[1], device=self.values.device)
        return frames[None, :] < self.lengths[:, None]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a head sees of some clips.

    Attributes:
        views: By the name of the need: float32 and standardised, dense (B, L, D), or ragged with
            values (B, T, R, D); codes are int64 (B, T, R).
        texts: Manifest columns that the head reads, "" where a clip has none.
        targets: Share of each class in each clip's label, float32, shape (B, C), rows sum to 1;
            None where clips are scored.
        names: The utterance id of each clip, of which chance at scoring is a function; none where
            nobody gave any.
        weights: How much each clip counts in the loss, mean about 1, shape (B,); None is 1 each.
    """

    views: Mapping[str, Tensor | Ragged]
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    targets: Tensor | None = None
    weights: Tensor | None = None
    names: Sequence[str] = ()

    @property
    def layers(self) -> Tensor:
        """The need `layers`, shape (B, L, D)."""
        layers = self.views[LAYERS_NEED]
        assert isinstance(layers, Tensor)
        return layers

    @property
    def beside(self) -> Tensor | None:
        """The vector of each clip that stands beside its layers, shape (B, P); None without."""
        found = self.views.get(BESIDE_NEED)
        assert not isinstance(found, Ragged)
        return None if found is None else found.flatten(1)

    def with_beside(self, vectors: Tensor) -> Tensor:
        """Return vectors (B, W) of the clips with what stands beside their layers, (B, W + P)."""
        beside = self.beside
        return vectors if beside is None else torch.cat([vectors, beside], dim=1)

    def ragged(self, need: str) -> Ragged:
        """Return frames or codes by the name of their need."""
        view = self.views[need]
        assert isinstance(view, Ragged)
        return view

    @property
    def num_clips(self) -> int:
        """B; of a head that reads views."""
        view = next(iter(self.views.values()))
        return len(view.lengths if isinstance(view, Ragged) else view)

    def words(self, column: str) -> list[str | None]:
        """Return a column of texts, None where a clip has none."""
        texts = self.texts.get(column, [""] * self.num_clips)
        return [text if text.strip() else None for text in texts]

    def weighted_mean(self, losses: Tensor) -> Tensor:
        """Return the mean of losses (B,), each counted as much as its clip."""
        return losses.mean() if self.weights is None else (losses * self.weights).mean()


def of_layers(
    layers: Tensor,
    *,
    targets: Tensor | None = None,
    weights: Tensor | None = None,
    names: Sequence[str] = (),
) -> Batch:
    """Return the batch of a head that reads layers (B, L, D) alone."""
    return Batch(views={LAYERS_NEED: layers}, targets=targets, weights=weights, names=names)
