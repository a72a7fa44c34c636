"""The walk along the path in plain Python, and the sampler's beside it."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.diffusion.path import Schedule
from pipeline.diffusion.sampler import Sample, SamplerConfig, integrate

SOLVERS = ("printed", "euler", "exponential")


STEPS = (1, 2, 4, 10, 20)


def naive_mean(k: float, t: float) -> float:
    return 0.5 * (1 + math.tanh(k * (t - 0.5) / 2) / math.tanh(k / 4))


def naive_slope(k: float, t: float) -> float:
    s = 1 / (1 + math.exp(-k * (t - 0.5)))
    return k * s * (1 - s) / math.tanh(k / 4)


def naive_walk(
    solver: str,
    estimate: Callable[[float, float], float],
    x1: float,
    *,
    k: float,
    num_steps: int,
    t_start: float = 1.0,
) -> list[float]:
    """Walk one number down the path in plain Python; also by Eq. 5 with a plus."""
    x, h, walked = x1, t_start / num_steps, [x1]
    for n in range(num_steps):
        t = t_start - n * h
        target = estimate(x, t)
        mean = target + naive_mean(k, t) * (x1 - target)
        slope = naive_slope(k, t) * (x1 - target)
        spread = 0.0 if t == 1 else (1 - 2 * t) / (2 * t * (1 - t)) * (x - mean)
        if solver == "euler":
            x = x - h * (slope + spread)
        elif solver == "printed":
            x = x + h * (-slope + spread)
        elif solver == "plus":
            x = x + h * (slope + spread)
        else:
            s = 0.0 if n == num_steps - 1 else t - h
            shrink = 0.0 if t == 1 else math.sqrt(s * (1 - s) / (t * (1 - t)))
            x = target + naive_mean(k, s) * (x1 - target) + shrink * (x - mean)
        walked.append(x)
    return walked


def walk(
    solver: str,
    estimate: Callable[[Tensor, Tensor], Tensor],
    x1: Tensor,
    *,
    k: float = 10.0,
    num_steps: int = 4,
    readout: str = "state",
    t_start: float = 1.0,
    sigma: float = 1.0,
) -> Sample:
    config = SamplerConfig(num_steps=num_steps, solver=solver, readout=readout)
    schedule = Schedule(k=k, sigma=sigma)
    return integrate(estimate, x1, schedule, config, t_start=t_start, keep_states=True)


def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x0, x1 = torch.randn(2, 3, 8, generator=generator, dtype=torch.float64)
    return x0, x1
