"""The estimate of a clip's code from several places about its embedding, and their scatter.

A network that was fitted closely says one code for sure at the embedding itself. The mean estimate
from x1 + noise z is softer where the clip lies near a border, and how far the draws disagree says
so by itself.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pipeline.chance import seed_of

_PURPOSE = "draws about an embedding"


def clip_draws(names: Sequence[str], num_draws: int, dim: int) -> Tensor:
    """Return standard normal draws z of each clip, a function of its name alone.

    Args:
        names: Of the clips, B of them.
        num_draws: K.
        dim: D.

    Returns:
        Shape (K, B, D), float32, on the CPU; the first draws are the same for every K.
    """
    drawn = [
        torch.randn(
            num_draws, dim, generator=torch.Generator().manual_seed(seed_of(_PURPOSE, name))
        )
        for name in names
    ]
    return torch.stack(drawn, dim=1)


def mean_and_scatter(
    estimate: Callable[[Tensor], Tensor], x1: Tensor, draws: Tensor, noise: float
) -> tuple[Tensor, Tensor]:
    """Return the mean estimate of codes over draws, and how far the draws are from it.

        mean = 1/K sum_k e_k,  scatter = 1/K sum_k ||e_k - mean||^2,  e_k = estimate(x1 + noise z_k)

    Args:
        estimate: From sources (B, D) to codes (B, D).
        x1: Sources, shape (B, D).
        draws: z, shape (K, B, D).
        noise: Deviation of the noise, in units of the standardised features.

    Returns:
        Means, shape (B, D), and scatters, at least 0, shape (B,); float32 or wider.
    """
    # One draw after the other (Welford 1962), so that memory does not grow with K.
    mean = torch.zeros_like(x1, dtype=torch.promote_types(x1.dtype, torch.float32))
    squares = mean.new_zeros(len(x1))
    for count, z in enumerate(draws, start=1):
        found = estimate(x1 + noise * z.to(x1)).to(mean.dtype)
        before = found - mean
        mean = mean + before / count
        squares = squares + (before * (found - mean)).sum(-1)
    return mean, squares / len(draws)
