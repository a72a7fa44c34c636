"""How weights move: the optimiser, its learning rate, and averaged weights."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pipeline.heads.phase import OptimiserConfig

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def make_optimiser(
    parameters: Mapping[str, nn.Parameter],
    config: OptimiserConfig,
    factors: Mapping[str, float] | None = None,
) -> torch.optim.AdamW:
    """Return fused AdamW over groups: decayed matrices and the rest, for each factor of the rate.

    Args:
        parameters: By name.
        config: Of the phase.
        factors: What the phase's rate is multiplied with, by name; 1 where it is None.
    """
    of = dict.fromkeys(parameters, 1.0) if factors is None else factors
    groups = []
    for factor in dict.fromkeys(of[name] for name in parameters):
        mine = [p for name, p in parameters.items() if of[name] == factor]
        for params, decay in (
            ([p for p in mine if p.ndim >= 2], config.weight_decay),
            ([p for p in mine if p.ndim < 2], 0.0),
        ):
            groups.append({"params": params, "weight_decay": decay, "rate_factor": factor})
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
    torch._foreach_lerp_([average[name] for name in current], list(current.values()), 1 - rate)
