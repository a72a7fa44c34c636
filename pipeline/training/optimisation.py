"""How weights move: learning-rate schedule, averaged weights, and the draws of a step."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import ParamsError

SCHEDULES = ("cosine", "constant")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """AdamW (Loshchilov & Hutter 2019) and what surrounds it."""

    learning_rate: float = 2e-3  # the paper's is 5e-4, held for 400,000 steps
    schedule: str = "cosine"  # after the warm-up: cosine to 0, or constant
    warmup_fraction: float = 0.05  # part of the steps over which the rate rises from 0
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.01  # on matrices; biases, norms and layer weights are left alone
    clip_norm: float = 1.0  # largest gradient norm; 0 does not clip
    ema_decay: float = 0.999  # of the averaged weights, which are what is kept

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ParamsError(
                f"train.optimiser.schedule: {self.schedule!r} is not one of {list(SCHEDULES)}."
            )
        for name, low, high in (
            ("learning_rate", 0, math.inf),
            ("warmup_fraction", 0, 1),
            ("beta1", 0, 1),
            ("beta2", 0, 1),
            ("weight_decay", 0, math.inf),
            ("clip_norm", 0, math.inf),
            ("ema_decay", 0, 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ParamsError(
                    f"train.optimiser.{name}: {value} is not between {low} and {high}."
                )


def make_optimiser(
    parameters: Iterable[nn.Parameter], config: OptimiserConfig
) -> torch.optim.AdamW:
    """Return fused AdamW over two groups: decayed matrices, and the rest."""
    every = list(parameters)
    groups = [
        {"params": [p for p in every if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in every if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True
    )


def learning_rate(step: int, num_steps: int, config: OptimiserConfig) -> float:
    """Return the rate of step `step` (from 0): linear warm-up, then cosine to 0 or constant."""
    warmup = max(round(config.warmup_fraction * num_steps), 1)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "constant":
        return config.learning_rate
    progress = (step - warmup) / max(num_steps - warmup, 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, *, step: int, decay: float) -> None:
    """Move averaged weights towards the current ones.

    The decay is at most (1 + step) / (10 + step), so that a short run is not mostly its start.
    """
    rate = min(decay, (1 + step) / (10 + step))
    for averaged, parameter in zip(average.parameters(), current.parameters(), strict=True):
        averaged.lerp_(parameter, 1 - rate)


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
    generator = torch.Generator().manual_seed(_mixed(seed, 3, step))
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
    generator = torch.Generator().manual_seed(_mixed(seed, 0, epoch))
    return torch.randperm(num_rows, generator=generator)


def mixup(
    layers: Tensor, targets: Tensor, *, alpha: float, step: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Return each clip mixed with another of its batch, and its target with the other's.

    Zhang et al. 2018, mixup, Eq. 2, a share of its own for each clip:
        x = lambda x_i + (1 - lambda) x_j,  y = lambda y_i + (1 - lambda) y_j,
        lambda ~ Beta(alpha, alpha)

    Args:
        layers: Standardised features, shape (B, L, D).
        targets: Shape (B, C).
        alpha: Above 0; the larger the nearer the shares are to a half.
        step: From 0.
        seed: Of the training.
    """
    generator = np.random.default_rng(_mixed(seed, 4, step))
    share = torch.from_numpy(generator.beta(alpha, alpha, len(layers))).to(layers)
    other = torch.from_numpy(generator.permutation(len(layers))).to(layers.device)
    mixed = layers + (1 - share)[:, None, None] * (layers[other] - layers)
    return mixed, targets + (1 - share)[:, None] * (targets[other] - targets)


def step_generator(step: int, seed: int) -> torch.Generator:
    """Return the source of a step's own draws (times, noise), a function of seed and step."""
    return torch.Generator().manual_seed(_mixed(seed, 1, step))


def seed_dropout(step: int, seed: int) -> None:
    """Set torch's own generator, which dropout draws from, for one step.

    Call it inside `torch.random.fork_rng` only: the caller's generator is not ours to move.
    """
    torch.manual_seed(_mixed(seed, 2, step))


def _mixed(seed: int, purpose: int, number: int) -> int:
    """Return one seed of three numbers, far from that of any neighbours (SplitMix64's mixer)."""
    mask = (1 << 64) - 1
    value = (seed * 0x9E3779B97F4A7C15 + purpose * 0xD1B54A32D192ED03 + number) & mask
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = ((value ^ (value >> shift)) * factor) & mask
    return (value ^ (value >> 31)) >> 1
