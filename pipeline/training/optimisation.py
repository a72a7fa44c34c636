"""How weights move: the optimiser, its learning rate, and averaged weights."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from pipeline.heads.phase import OptimiserConfig

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


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
def update_average(
    average: Mapping[str, Tensor], current: Mapping[str, Tensor], *, step: int, decay: float
) -> None:
    """Move averaged weights towards the current ones, by name.

    The decay is at most (1 + step) / (10 + step), so that a short run is not mostly its start.
    """
    rate = min(decay, (1 + step) / (10 + step))
    for name, parameter in current.items():
        average[name].lerp_(parameter, 1 - rate)
