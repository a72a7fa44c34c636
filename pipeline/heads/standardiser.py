"""Standardisation of stored features, fitted on the training rows and kept with the head.

`train.standardise` says what is taken off and divided by, `train.standardise_over` whose rows it is
taken from: of all training rows, of each corpus, or of each speaker. A speaker's own rows are all
that a manifest has of it, test rows too, whose labels stay unseen: such results are transductive
and are stamped so.
"""

import copy
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import ParamsError

KINDS = ("none", "scalar", "dimension")
ALL, CORPUS, SPEAKER = "all", "corpus", "speaker"
OVER = (ALL, CORPUS, SPEAKER)
FEW_ROWS = 8  # a group with fewer has no deviation worth the name, and takes that of all rows
ROWS_AT_ONCE = 1024


class Standardiser(nn.Module):
    """(x - mean) * inverse_deviation, row by row; a dimension without variance becomes 0.

    Attributes:
        kind: `"none"` leaves features as they are (the paper says nothing of it), `"dimension"` has
            one mean and deviation per layer and dimension, `"scalar"` one per layer.
        over: Whose rows they are taken from, one of `OVER`.
        mean: Of all training rows, shape (L, D).
        inverse_deviation: Shape (L, D); 0 where the training rows are all the same.
        groups: Names of the corpora or speakers whose own numbers are known.
        group_mean: Shape (G, L, D).
        group_inverse_deviation: Shape (G, L, D).
    """

    mean: Tensor
    inverse_deviation: Tensor
    group_mean: Tensor
    group_inverse_deviation: Tensor

    def __init__(
        self,
        num_layers: int,
        dim: int,
        *,
        kind: str = "dimension",
        over: str = ALL,
        groups: Sequence[str] = (),
    ) -> None:
        """Make one that changes nothing yet.

        Raises:
            ParamsError: If kind or over is unknown.
        """
        super().__init__()
        for name, value, allowed in (
            ("standardise", kind, KINDS),
            ("standardise_over", over, OVER),
        ):
            if value not in allowed:
                raise ParamsError(f"train.{name}: {value!r} is not one of {list(allowed)}.")
        self.kind = kind
        self.over = over
        self.groups = tuple(groups)
        self.register_buffer("mean", torch.zeros(num_layers, dim))
        self.register_buffer("inverse_deviation", torch.ones(num_layers, dim))
        # Only corpora are kept with a head: a speaker's numbers come from what is scored.
        kept = over == CORPUS
        shape = (len(self.groups), num_layers, dim)
        self.register_buffer("group_mean", torch.zeros(shape), persistent=kept)
        self.register_buffer("group_inverse_deviation", torch.ones(shape), persistent=kept)

    @property
    def is_grouped(self) -> bool:
        """Whether a row's corpus or speaker has to be known."""
        return self.over != ALL and self.kind != "none"

    def forward(self, layers: Tensor, places: Tensor | None = None) -> Tensor:
        """Standardise features of any float type, shape (B, L, D); float32 comes back.

        Args:
            layers: The features.
            places: Of `places`, shape (B,), where `is_grouped`.
        """
        if not self.is_grouped or not self.groups:
            return (layers.float() - self.mean) * self.inverse_deviation
        assert places is not None
        known = (places >= 0)[:, None, None]
        mean = torch.where(known, self.group_mean[places], self.mean)
        scale = torch.where(known, self.group_inverse_deviation[places], self.inverse_deviation)
        return (layers.float() - mean) * scale

    def places(self, groups: Sequence[str] | np.ndarray) -> Tensor | None:
        """Return where each row's group stands, -1 for none of its own, int64, shape (B,)."""
        if not self.is_grouped:
            return None
        positions = {name: i for i, name in enumerate(self.groups)}
        found = [positions.get(name, -1) for name in groups]
        return torch.tensor(found, dtype=torch.int64, device=self.mean.device)

    def fit(self, features: np.ndarray) -> None:
        """Take mean and deviation from all training rows, shape (N, L, D)."""
        if self.kind != "none":
            mean, scale = _moments(features, self.kind)
            self.mean.copy_(mean)
            self.inverse_deviation.copy_(scale)

    def extended(self, groups: Iterable[tuple[str, np.ndarray]]) -> "Standardiser":
        """Return one that knows these groups too.

        Args:
            groups: Name and features (N, L, D) of each; one of fewer than `FEW_ROWS` rows stays
                unknown, and its rows are standardised as those of all.
        """
        other = copy.deepcopy(self)
        for name, features in groups:
            if len(features) < FEW_ROWS:
                continue
            mean, scale = (part.to(self.mean)[None] for part in _moments(features, self.kind))
            mean, scale = (part.expand(1, *self.mean.shape) for part in (mean, scale))
            other.groups = (*other.groups, name)
            other.group_mean = torch.cat([other.group_mean, mean])
            other.group_inverse_deviation = torch.cat([other.group_inverse_deviation, scale])
        return other


def _moments(features: np.ndarray, kind: str) -> tuple[Tensor, Tensor]:
    """Return mean and inverse deviation, shape (L, D), or (L, 1) for `scalar`."""
    axis = 0 if kind == "dimension" else (0, 2)
    low, high = features.min(axis), features.max(axis)
    mean = _chunked_mean(features, axis, None)
    variance = _chunked_mean(features, axis, mean)
    # Equal numbers have a rounding-error variance; only their range is exactly 0.
    scale = np.where(high > low, 1 / np.sqrt(np.maximum(variance, 1e-30)), 0.0)
    if kind == "scalar":
        mean, scale = mean[:, None], scale[:, None]
    return torch.from_numpy(mean).float(), torch.from_numpy(scale).float()


def _chunked_mean(
    features: np.ndarray, axis: int | tuple[int, int], centre: np.ndarray | None
) -> np.ndarray:
    """Return the mean, or the mean squared deviation from `centre`, in float64."""
    total: np.ndarray = np.zeros(features.min(axis).shape)
    count = len(features) * (1 if axis == 0 else features.shape[2])
    for start in range(0, len(features), ROWS_AT_ONCE):
        part = features[start : start + ROWS_AT_ONCE].astype(np.float64)
        if centre is not None:
            shift = centre if axis == 0 else centre[:, None]
            part = np.square(part - shift)
        total += part.sum(axis)
    return total / count
