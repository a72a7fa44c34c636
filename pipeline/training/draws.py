"""Every random draw of a step, a function of the training's seed and the step's number alone."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from pipeline.heads.batch import Ragged


def mixed_seed(seed: int, purpose: int, number: int) -> int:
    """Return one seed of three numbers, far from that of any neighbours (SplitMix64's mixer)."""
    mask = (1 << 64) - 1
    value = (seed * 0x9E3779B97F4A7C15 + purpose * 0xD1B54A32D192ED03 + number) & mask
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = ((value ^ (value >> shift)) * factor) & mask
    return (value ^ (value >> 31)) >> 1


def step_generator(step: int, seed: int) -> torch.Generator:
    """Return the source of a step's own draws (times, noise), a function of seed and step."""
    return torch.Generator().manual_seed(mixed_seed(seed, 1, step))


def seed_dropout(step: int, seed: int) -> None:
    """Set torch's own generator, which dropout draws from, for one step.

    Call it inside `torch.random.fork_rng` only: the caller's generator is not ours to move.
    """
    torch.manual_seed(mixed_seed(seed, 2, step))


def drawn_rows(step: int, draw: Tensor, batch_size: int, seed: int) -> Tensor:
    """Return the rows of step `step`, each drawn by its own chance, with replacement.

    Args:
        step: From 0.
        draw: Chance of each row, sum 1, float64, shape (N,).
        batch_size: Rows of a batch.
        seed: Of the training.

    Returns:
        Row numbers, shape (min(batch_size, N),).
    """
    generator = torch.Generator().manual_seed(mixed_seed(seed, 3, step))
    # By the inverse of the summed chances: torch.multinomial stops at 2^24 rows.
    uniform = torch.rand(min(batch_size, len(draw)), generator=generator, dtype=torch.float64)
    return torch.searchsorted(draw.cumsum(0), uniform, right=True).clamp(max=len(draw) - 1)


def batch_rows(step: int, num_rows: int, batch_size: int, seed: int) -> Tensor:
    """Return the rows of step `step`: consecutive slices of one shuffle per epoch.

    They are a function of seed and step alone, so a run resumed at a step draws what it would have
    drawn. A short tail of an epoch is left for the next shuffle.

    Returns:
        Row numbers, shape (min(batch_size, num_rows),).
    """
    batch_size = min(batch_size, num_rows)
    epoch, place = divmod(step, num_rows // batch_size)
    order = _shuffle(num_rows, seed, epoch)
    return order[place * batch_size : (place + 1) * batch_size]


@lru_cache(maxsize=1)  # a million rows take 20 ms to shuffle, and an epoch has thousands of steps
def _shuffle(num_rows: int, seed: int, epoch: int) -> Tensor:
    generator = torch.Generator().manual_seed(mixed_seed(seed, 0, epoch))
    return torch.randperm(num_rows, generator=generator)


def mixup(
    views: Mapping[str, Tensor | Ragged], targets: Tensor, *, alpha: float, step: int, seed: int
) -> tuple[dict[str, Tensor | Ragged], Tensor]:
    """Return each clip mixed with another of its batch, and its target with the other's.

    Zhang et al. 2018, mixup, Eq. 2, a share of its own for each clip:
        x = lambda x_i + (1 - lambda) x_j,  y = lambda y_i + (1 - lambda) y_j,
        lambda ~ Beta(alpha, alpha)

    Args:
        views: Standardised features, each of shape (B, L, D); or waveforms, values (B, T), which
            are mixed as far as both clips go and keep their lengths.
        targets: Shape (B, C).
        alpha: Above 0; the larger the nearer the shares are to a half.
        step: From 0.
        seed: Of the training.
    """
    generator = np.random.default_rng(mixed_seed(seed, 4, step))
    share = torch.from_numpy(generator.beta(alpha, alpha, len(targets))).to(targets)
    other = torch.from_numpy(generator.permutation(len(targets))).to(targets.device)
    left = 1 - share
    mixed = {name: _mixed(view, other, left) for name, view in views.items()}
    return mixed, targets + left[:, None] * (targets[other] - targets)


def noised(
    views: Mapping[str, Tensor | Ragged], *, deviation: float, step: int, seed: int
) -> dict[str, Tensor | Ragged]:
    """Return dense views (B, L, D) with normal noise of a deviation; ragged ones as they are."""
    generator = torch.Generator().manual_seed(mixed_seed(seed, 7, step))
    result = dict(views)
    for name, view in views.items():
        if isinstance(view, Tensor):
            result[name] = view + deviation * torch.randn(view.shape, generator=generator).to(view)
    return result


def _mixed(view: Tensor | Ragged, other: Tensor, left: Tensor) -> Tensor | Ragged:
    if isinstance(view, Tensor):
        return view + left[:, None, None] * (view[other] - view)
    shared = view.mask & view.mask[other]
    change = left[:, None] * (view.values[other] - view.values)
    return Ragged(view.values + change.masked_fill(~shared, 0.0), view.lengths)
