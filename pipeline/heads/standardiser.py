"""Standardisation of one need's features, fitted on the training rows and kept with the head.

`train.standardise` says what is taken off and divided by, `train.standardise_over` whose rows it is
taken from: of all training rows, of each corpus, or of each speaker. A speaker's own rows are all
that a manifest has of it, test rows too, whose labels stay unseen: such results are transductive
and are stamped so.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import ParamsError
from pipeline.heads.batch import Ragged

KINDS = ("none", "scalar", "dimension")
ALL, CORPUS, SPEAKER = "all", "corpus", "speaker"
OVER = (ALL, CORPUS, SPEAKER)
FEW_CLIPS = 8  # a group with fewer has no deviation worth the name, and takes that of all clips
ROWS_AT_ONCE = 256  # that share what their deviations are taken from
ROWS_IN_CACHE = 8


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
        mean, scale = self._of(places)
        narrow = layers if layers.itemsize < mean.itemsize else layers.float()
        return torch.sub(narrow, mean).mul_(scale)  # one new tensor, of float32

    def frames(self, frames: Ragged, places: Tensor | None = None) -> Ragged:
        """Standardise frames of any float type, values (B, T, R, D); what is padded stays 0."""
        mean, scale = self._of(places)
        if mean.ndim == 3:
            mean, scale = mean[:, None], scale[:, None]
        # One new tensor, changed in place: frames are large, and copies of them would lie about.
        values = (frames.values - mean).mul_(scale)
        return Ragged(values.masked_fill_(~frames.mask[:, :, None, None], 0.0), frames.lengths)

    def _of(self, places: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return mean and inverse deviation of clips, shape (L, D), or (B, L, D) by group."""
        if not self.is_grouped or not self.groups:
            return self.mean, self.inverse_deviation
        assert places is not None
        known = (places >= 0)[:, None, None]
        mean = torch.where(known, self.group_mean[places], self.mean)
        scale = torch.where(known, self.group_inverse_deviation[places], self.inverse_deviation)
        return mean, scale

    def places(self, groups: Sequence[str] | np.ndarray) -> Tensor | None:
        """Return where each row's group stands, -1 for none of its own, int64, shape (B,)."""
        if not self.is_grouped:
            return None
        positions = {name: i for i, name in enumerate(self.groups)}
        found = [positions.get(name, -1) for name in groups]
        return torch.tensor(found, dtype=torch.int64, device=self.mean.device)

    def fit(self, parts: Iterable[np.ndarray]) -> None:
        """Take mean and deviation from the training rows.

        Args:
            parts: Together all of them, each of shape (N, L, D): clips, or frames of clips.
        """
        if self.kind != "none":
            mean, scale = moments(parts, self.kind)
            self.mean.copy_(mean)
            self.inverse_deviation.copy_(scale)

    def extended(self, groups: Iterable[tuple[str, Iterable[np.ndarray]]]) -> "Standardiser":
        """Return one that knows these groups too.

        Args:
            groups: Name and features of each, as `fit` takes them.
        """
        other = copy.deepcopy(self)
        for name, parts in groups:
            mean, scale = (part.to(self.mean)[None] for part in moments(parts, self.kind))
            mean, scale = (part.expand(1, *self.mean.shape) for part in (mean, scale))
            other.groups = (*other.groups, name)
            other.group_mean = torch.cat([other.group_mean, mean])
            other.group_inverse_deviation = torch.cat([other.group_inverse_deviation, scale])
        return other


def moments(parts: Iterable[np.ndarray], kind: str) -> tuple[Tensor, Tensor]:
    """Return mean and inverse deviation of features that may not fit in memory at once.

    One pass, in float64: sums of deviations from the mean so far, of a few rows while they lie in
    the cache, are put together as by Chan et al. 1979.

    Args:
        parts: Each of shape (N, L, D).
        kind: `"dimension"`, or `"scalar"` for one number per layer.

    Returns:
        Shape (L, D), or (L, 1) for `scalar`; the inverse is 0 where all numbers are the same.
    """
    total: _Sums | None = None
    for part in parts:
        values = torch.from_numpy(part)
        for start in range(0, len(part), ROWS_AT_ONCE):
            rows = values[start : start + ROWS_AT_ONCE]
            # Exact where all rows are the same, and then so is every later mean.
            near = rows[:ROWS_IN_CACHE].double().mean(0) if total is None else total.mean
            found = _sums(rows, near)
            total = found if total is None else total.joined(found)
    assert total is not None, "there are training rows"
    if kind == "scalar":
        total = total.pooled()
    # Equal numbers have a rounding-error variance; only their range is exactly 0.
    deviation = (total.scatter / total.count).clamp_min(1e-30).sqrt()
    scale = torch.where(total.high > total.low, 1 / deviation, 0.0)
    return total.mean.float(), scale.float()


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """Count, mean, summed squared deviation and range of some features, shape (L, D) each."""

    count: int
    mean: Tensor
    scatter: Tensor
    low: Tensor
    high: Tensor

    def joined(self, other: "_Sums") -> "_Sums":
        count = self.count + other.count
        shift = other.mean - self.mean
        return _Sums(
            count=count,
            mean=self.mean + shift * (other.count / count),
            scatter=self.scatter
            + other.scatter
            + shift.square() * (self.count * other.count / count),
            low=torch.minimum(self.low, other.low),
            high=torch.maximum(self.high, other.high),
        )

    def pooled(self) -> "_Sums":
        """Return those of each layer's dimensions together, shape (L, 1)."""
        mean = self.mean.mean(1, keepdim=True)
        scatter = self.scatter + self.count * (self.mean - mean).square()
        return _Sums(
            count=self.count * self.mean.shape[1],
            mean=mean,
            scatter=scatter.sum(1, keepdim=True),
            low=self.low.amin(1, keepdim=True),
            high=self.high.amax(1, keepdim=True),
        )


def _sums(rows: Tensor, near: Tensor) -> _Sums:
    """Return the sums of rows (N, L, D) by their deviations from numbers (L, D) near the mean."""
    shifted, squared = torch.zeros(2, *near.shape, dtype=torch.float64)
    low, high = torch.full_like(near, torch.inf), torch.full_like(near, -torch.inf)
    block = torch.empty(ROWS_IN_CACHE, *near.shape, dtype=torch.float64)
    for start in range(0, len(rows), ROWS_IN_CACHE):
        part = rows[start : start + ROWS_IN_CACHE]
        mine = block[: len(part)].copy_(part)
        torch.minimum(low, mine.amin(0), out=low)
        torch.maximum(high, mine.amax(0), out=high)
        shifted += mine.sub_(near).sum(0)
        squared += mine.square_().sum(0)
    count = len(rows)
    mean = shifted / count
    return _Sums(
        count=count,
        mean=near + mean,
        scatter=squared - count * mean.square(),
        low=low,
        high=high,
    )
